//! Sending one report to the addresses that its domain has published.

use posthouse_mail::{
    address::Address,
    tls_report::{Envelope, TlsReport, compose},
};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use url::Url;

use super::{
    super::{
        record::{self, Rua, Target},
        store, suppress,
    },
    Destination, Sent, Status,
    assemble::{Reporter, assemble, gzip},
};
use crate::{
    config::SendReports,
    cx::{Actor, Cx},
    error::{Error, Result},
    id::{self, Account, Id},
    idempotency::IdempotencyKey,
    messages::{self, Content, NewMessage, Options, Purpose, ReversePath},
    platform::Platform,
    ports::DnsError,
};

/// Tries of a report, and attempts to deliver the mail with it (E8).
const ATTEMPTS: usize = 5;
const MEDIA_TYPE: &str = "application/tlsrpt+gzip";

/// Why a report goes nowhere now.
enum Refusal {
    /// It is tried again.
    Later(String),
    /// It is not sent.
    Skip(String),
}

/// Whom reports are from.
struct Sender {
    address: Address,
    account: Id<Account>,
}

/// Sends a report that was claimed, and writes what became of it.
pub(super) async fn send(platform: &Platform, mut sent: Sent) -> Result<()> {
    let mut report = None;
    match Box::pin(deliver(platform, &mut sent, &mut report)).await? {
        Ok(()) => sent.error = None,
        Err(Refusal::Skip(why)) => (sent.status, sent.error) = (Status::Skipped, Some(why)),
        Err(Refusal::Later(why)) => sent.error = Some(why),
    }
    settle(&mut sent);
    if sent.status != Status::Waiting {
        sent.completed_at = Some(platform.now());
        let result = sent.status.as_str();
        metrics::counter!("posthouse_tls_reports_total", "result" => result).increment(1);
    }
    let mut conn = platform.acquire().await?;
    store::finish(&mut conn, &sent, report.as_ref()).await
}

/// What becomes of the report as a whole.
fn settle(sent: &mut Sent) {
    let is_last = usize::try_from(sent.attempts).unwrap_or(0) >= ATTEMPTS;
    if is_last {
        for destination in &mut sent.destinations {
            if destination.status == Status::Waiting {
                destination.status = Status::Failed;
            }
        }
    }
    if sent.status != Status::Waiting {
        return;
    }
    let has = |status| sent.destinations.iter().any(|one| one.status == status);
    sent.status = match sent.destinations.is_empty() {
        true if is_last => Status::Failed,
        true => Status::Waiting,
        false if has(Status::Waiting) => Status::Waiting,
        false if has(Status::Sent) => Status::Sent,
        false if has(Status::Failed) => Status::Failed,
        false => Status::Skipped,
    };
}

async fn deliver(
    platform: &Platform,
    sent: &mut Sent,
    told: &mut Option<TlsReport>,
) -> Result<Result<(), Refusal>> {
    let config = &platform.config().tls_reports;
    let mut conn = platform.acquire().await?;
    let counts = store::results(&mut conn, sent.day, &sent.domain).await?;
    drop(conn);
    let sum = |failed: bool| {
        let sessions = counts.iter().filter(|(_, failure, _)| failure.is_some() == failed);
        sessions.map(|(.., sessions)| sessions).sum()
    };
    (sent.successes, sent.failures) = (sum(false), sum(true));
    if sent.failures == 0 && config.send != SendReports::All {
        return Ok(Err(Refusal::Skip("no session failed".to_owned())));
    }
    let addresses = match addresses(platform, &sent.domain).await {
        Ok(addresses) => addresses,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let Some(sender) = sender(platform).await? else {
        let why = "no domain that is served here has the name of this server, or one above it, and \
                   keys of DKIM: nobody can be the sender of reports";
        return Ok(Err(Refusal::Skip(why.to_owned())));
    };
    let contact = sender.address.to_string();
    let organization = config.organization.clone();
    let organization = organization.unwrap_or_else(|| sender.address.domain().to_owned());
    let report = assemble(sent, Reporter { organization, contact }, counts);
    if sent.destinations.is_empty() {
        sent.destinations = destinations(platform, &addresses).await?;
    }
    let gzip = gzip(&report).await?;
    for destination in &mut sent.destinations {
        if destination.status != Status::Waiting {
            continue;
        }
        let target = addresses.iter().find(|(uri, _)| *uri == destination.uri);
        let going = Going { platform, sender: &sender, domain: &sent.domain, report: &report };
        match target.and_then(|(_, target)| target.as_ref()) {
            Some(Target::Mail(to)) => going.mail(destination, to, &gzip).await?,
            Some(Target::Post(url)) => going.post(destination, url, gzip.clone()).await,
            None => destination.status = Status::Skipped,
        }
    }
    *told = Some(report);
    Ok(Ok(()))
}

/// Where the domain wants reports.
async fn addresses(platform: &Platform, domain: &str) -> Result<Vec<Rua>, Refusal> {
    let records = match platform.resolver().txt(&format!("_smtp._tls.{domain}")).await {
        Ok(records) => records,
        Err(DnsError::NoName | DnsError::NoRecord) => Vec::new(),
        Err(error @ DnsError::Temporary(_)) => return Err(Refusal::Later(error.to_string())),
    };
    let found = record::addresses(&records).filter(|addresses| !addresses.is_empty());
    found.ok_or_else(|| Refusal::Skip("the domain does not ask for reports".to_owned()))
}

async fn destinations(platform: &Platform, addresses: &[Rua]) -> Result<Vec<Destination>> {
    let uris: Vec<String> = addresses.iter().map(|(uri, _)| uri.clone()).collect();
    let mut conn = platform.acquire().await?;
    let suppressed = suppress::which(&mut conn, &uris, platform.now()).await?;
    let destination = |(uri, target): &Rua| {
        let is_suppressed = suppressed.contains(&uri.to_ascii_lowercase());
        let error = match target {
            _ if is_suppressed => Some("the address is on the list of those that get no reports"),
            None => Some("this is neither an address of mail nor one of https"),
            Some(_) => None,
        };
        let status = if error.is_some() { Status::Skipped } else { Status::Waiting };
        let error = error.map(str::to_owned);
        Destination { uri: uri.clone(), status, message_id: None, error }
    };
    Ok(addresses.iter().map(destination).collect())
}

/// Postmaster at the nearest domain of ours that signs (RFC 8460 §3: reports are signed by the domain
/// of the reporter).
async fn sender(platform: &Platform) -> Result<Option<Sender>> {
    let mut name = platform.config().hostname.as_str();
    loop {
        let domain = platform.directory().domain(platform, name).await?;
        if domain.is_some_and(|domain| !domain.disabled && !domain.signers.is_empty()) {
            let address = Address::new("postmaster", name).map_err(Error::internal)?;
            let local = platform.directory().resolve(platform, &address).await?;
            if let Some(local) = local {
                return Ok(Some(Sender { address, account: local.account }));
            }
        }
        let Some((_, parent)) = name.split_once('.') else { return Ok(None) };
        name = parent;
    }
}

/// A report on its way.
struct Going<'a> {
    platform: &'a Platform,
    sender: &'a Sender,
    domain: &'a str,
    report: &'a TlsReport,
}

impl Going<'_> {
    /// By mail, as a message of the account that is postmaster; done again, it is the same message.
    async fn mail(&self, destination: &mut Destination, to: &Address, gzip: &[u8]) -> Result<()> {
        let now = self.platform.now();
        let raw = compose(&Envelope {
            from: &self.sender.address,
            to,
            domain: self.domain,
            report_id: &self.report.report_id,
            range: self.report.date_range,
            gzip,
            now,
        });
        let metadata = ("tls_report_id".to_owned(), self.report.report_id.clone());
        let new = NewMessage {
            // Nobody is to be told when it cannot be delivered.
            mail_from: Some(ReversePath::Null),
            recipients: vec![to.clone()],
            content: Content::Raw(raw.into()),
            template: None,
            uploads: Vec::new(),
            options: Options {
                metadata: [metadata].into(),
                expires_at: Some(self.last_attempt()),
                require_tls: Some(false),
                purpose: Purpose::Report,
                ..Options::default()
            },
        };
        let actor = Actor::system(self.sender.account);
        let key = format!("{} {}", self.report.report_id, to);
        let key = key.get(..key.floor_char_boundary(255)).unwrap_or_default();
        let cx = Cx::new(self.platform.clone(), actor, Id::<id::Request>::new(now))
            .with_idempotency(IdempotencyKey::new(key, "tls-report", b""));
        match Box::pin(messages::submit(&cx, new)).await {
            Ok(done) => {
                destination.status = Status::Sent;
                destination.message_id = Some(done.value.id);
                destination.error = None;
            }
            Err(error @ (Error::Unavailable(_) | Error::StorageFull(_))) => {
                destination.error = Some(error.to_string());
            }
            Err(error) => {
                tracing::warn!(error = ?error, "a report about TLS cannot be sent by mail");
                destination.status = Status::Failed;
                destination.error = Some(error.to_string());
            }
        }
        Ok(())
    }

    /// It expires between the last attempt that is wanted and the one that would follow.
    fn last_attempt(&self) -> time::OffsetDateTime {
        let schedule = &self.platform.config().delivery.retry_schedule;
        let until: std::time::Duration = schedule.iter().take(ATTEMPTS - 1).sum();
        let next = schedule.get(ATTEMPTS - 1).copied().unwrap_or_default();
        self.platform.now() + until.mul_f64(1.01) + next / 2 + std::time::Duration::from_secs(1)
    }

    /// By HTTPS (RFC 8460 §3, §5.2).
    async fn post(&self, destination: &mut Destination, url: &Url, gzip: Vec<u8>) {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        let answer = self.platform.tls_reports().client.post(url, headers, gzip.into()).await;
        if answer.is_success() {
            destination.status = Status::Sent;
            destination.error = None;
            return;
        }
        let said = answer.status.map(|status| format!("the answer is {status}"));
        destination.error = answer.error.or(said);
    }
}
