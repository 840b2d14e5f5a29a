//! Where an account is used from: the owner hears of a login from somewhere else.

use std::net::IpAddr;

use time::{Duration, OffsetDateTime};

use super::{LoginAttempt, store, throttle};
use crate::{
    error::Result,
    events::{EventKind, LoginEvent, NewEvent},
    id::{Account, Id},
    platform::Platform,
};

/// A place that was not used for so long is new again.
pub(super) const REMEMBERED: Duration = Duration::days(90);
/// A use is noted again after this time.
const NOTED: Duration = Duration::hours(1);
/// Most places of an account that are remembered.
const MOST: i64 = 1000;

/// Notes a login of an account, with an event when it comes from a place that is new.
pub(super) async fn note(
    platform: &Platform,
    account: Id<Account>,
    remote: IpAddr,
    login: &LoginAttempt,
) -> Result<()> {
    let now = platform.now();
    let [network, ..] = throttle::networks(remote);
    let mut conn = platform.acquire().await?;
    let last = store::last_login_from(&mut conn, account, &network).await?;
    if last.is_some_and(|at| at > now - NOTED) {
        return Ok(());
    }
    if last.is_some_and(|at| at > now - REMEMBERED) {
        return store::note_login_from(&mut conn, account, &network, now).await;
    }
    drop(conn);
    tell(platform, account, (&network, now), login).await
}

async fn tell(
    platform: &Platform,
    account: Id<Account>,
    (network, now): (&str, OffsetDateTime),
    login: &LoginAttempt,
) -> Result<()> {
    let mut tx = platform.begin("credentials.new_address").await?;
    // Of many logins at a time one is the first.
    if !store::learn_login_from(tx.conn(), account, network, (now, now - REMEMBERED)).await? {
        return Ok(());
    }
    store::forget_places(tx.conn(), account, MOST).await?;
    let event = LoginEvent {
        remote_address: login.remote_address.clone(),
        network,
        door: &login.door,
        mechanism: &login.mechanism,
        login: &login.login,
        user_agent: &login.user_agent,
    };
    tx.emit(NewEvent::new(account, EventKind::LoginNewAddress, now, &event));
    tx.commit().await
}
