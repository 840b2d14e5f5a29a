//! Counting failed logins by address and network, in windows of a minute and a day (H4).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::store::{self, Counts};
use crate::error::{Error, Result};

/// Failures in a minute and in a day that an address, its network and the network around that may
/// have.
const LIMITS: [(i32, i32); 3] = [(10, 50), (30, 150), (90, 450)];
const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

/// Refuses an address with as many failures as are allowed.
pub(super) async fn check(
    conn: &mut PgConnection,
    address: IpAddr,
    now: OffsetDateTime,
) -> Result<()> {
    let networks = networks(address);
    let counts = store::counts(conn, &networks).await?;
    // One more would be too many.
    refuse(&networks, &counts, now, 1)
}

/// Counts a failure. Refuses when it is one too many: nothing is to be told of it then.
pub(super) async fn failed(
    conn: &mut PgConnection,
    address: IpAddr,
    now: OffsetDateTime,
) -> Result<()> {
    let networks = networks(address);
    let counts = store::add_failure(conn, &networks, minute(now), day(now)).await?;
    refuse(&networks, &counts, now, 0)
}

/// Takes the failures of an address that got in off the counts, unless there were too many.
pub(super) async fn succeeded(
    conn: &mut PgConnection,
    address: IpAddr,
    now: OffsetDateTime,
) -> Result<()> {
    let networks = networks(address);
    let counts = store::counts(conn, &networks).await?;
    refuse(&networks, &counts, now, 1)?;
    if counts.iter().any(|count| networks.first() == Some(&count.network)) {
        store::forgive(conn, &networks).await?;
    }
    Ok(())
}

fn refuse(networks: &[String; 3], counts: &[Counts], now: OffsetDateTime, more: i32) -> Result<()> {
    let waits = networks.iter().zip(LIMITS).filter_map(|(network, (in_minute, in_day))| {
        let counts = counts.iter().find(|counts| counts.network == *network);
        counts.map(|counts| {
            let over_day = counts.day_at == day(now) && counts.day_failures + more > in_day;
            let over_minute =
                counts.minute_at == minute(now) && counts.minute_failures + more > in_minute;
            match (over_day, over_minute) {
                (true, _) => left(counts.day_at, DAY, now),
                (false, true) => left(counts.minute_at, MINUTE, now),
                (false, false) => Duration::ZERO,
            }
        })
    });
    match waits.max().filter(|wait| !wait.is_zero()) {
        Some(retry_after) => Err(Error::RateLimited { retry_after }),
        None => Ok(()),
    }
}

/// Until the end of the window, in whole seconds.
fn left(begin: OffsetDateTime, length: i64, now: OffsetDateTime) -> Duration {
    let seconds = begin.unix_timestamp() + length - now.unix_timestamp();
    Duration::from_secs(u64::try_from(seconds.max(1)).unwrap_or(1))
}

fn minute(now: OffsetDateTime) -> OffsetDateTime {
    window(now, MINUTE)
}

fn day(now: OffsetDateTime) -> OffsetDateTime {
    window(now, DAY)
}

fn window(now: OffsetDateTime, length: i64) -> OffsetDateTime {
    let begin = now.unix_timestamp() - now.unix_timestamp().rem_euclid(length);
    OffsetDateTime::from_unix_timestamp(begin).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The address and the two networks around it: those that one client often has for itself, one
/// customer, and one small provider.
pub(super) fn networks(address: IpAddr) -> [String; 3] {
    match address.to_canonical() {
        IpAddr::V4(v4) => [32, 26, 21].map(|prefix| {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            format!("{}/{prefix}", Ipv4Addr::from_bits(v4.to_bits() & mask))
        }),
        IpAddr::V6(v6) => [64, 48, 32].map(|prefix| {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            format!("{}/{prefix}", Ipv6Addr::from_bits(v6.to_bits() & mask))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: OffsetDateTime = time::macros::datetime!(2026-11-21 12:00:30 UTC);

    fn counts(network: &str, minute_failures: i32, day_failures: i32) -> Counts {
        let (minute_at, day_at) = (minute(NOON), day(NOON));
        Counts { network: network.to_owned(), minute_at, minute_failures, day_at, day_failures }
    }

    fn wait(all: &[Counts], now: OffsetDateTime) -> u64 {
        let networks = networks("192.0.2.77".parse().unwrap());
        match refuse(&networks, all, now, 1) {
            Err(Error::RateLimited { retry_after }) => retry_after.as_secs(),
            _ => 0,
        }
    }

    #[test]
    fn each_network_has_its_limits() {
        let minute_later = NOON + time::Duration::seconds(31);
        let day_later = NOON + time::Duration::hours(12);
        for (network, in_minute, in_day) in
            [("192.0.2.77/32", 10, 50), ("192.0.2.64/26", 30, 150), ("192.0.0.0/21", 90, 450)]
        {
            assert_eq!(wait(&[counts(network, in_minute - 1, in_day - 1)], NOON), 0);
            assert_eq!(wait(&[counts(network, in_minute, in_day - 1)], NOON), 30);
            assert_eq!(wait(&[counts(network, in_minute, in_day - 1)], minute_later), 0);
            assert_eq!(wait(&[counts(network, 0, in_day)], NOON), 12 * 3600 - 30);
            assert_eq!(wait(&[counts(network, 0, in_day)], day_later), 0);
        }
        assert_eq!(wait(&[counts("192.0.2.78/32", 99, 999)], NOON), 0);
    }

    #[test]
    fn neighbours_share_networks() {
        let of = |text: &str| networks(text.parse().unwrap());
        assert_eq!(of("::ffff:192.0.2.77"), ["192.0.2.77/32", "192.0.2.64/26", "192.0.0.0/21"]);
        let v6 = ["2001:db8:1:2::/64", "2001:db8:1::/48", "2001:db8::/32"];
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), v6);
        assert_eq!(of("2001:db8:1:2::9"), v6);
    }
}
