//! Whether what a domain needs is in DNS (T5, Q3): asked when somebody wants it and every day.
//!
//! A domain is `verified` when MX, SPF, DKIM and DMARC are as they should be. `degraded` is one that
//! was. What DNS does not answer for now changes nothing.

pub(super) mod dkim;
mod hosts;
mod job;
mod policies;
mod probe;
pub(super) mod store;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub(crate) use job::run;
pub use job::run_due;

use super::{Domain, dkim::rotate, manage::load, store::find_locked};
use crate::{
    accounts, audit,
    cx::{Cx, Tx},
    error::{Error, Result},
    events::{DomainEvent, EventKind, NewEvent},
    id::{self, Id},
    ports::DnsError,
    scope::Scope,
};

/// Most records of one check that are shown.
const MAX_FOUND: usize = 20;
/// Characters of each.
const MAX_TEXT: usize = 500;

/// Whether a domain is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It never was.
    Unverified,
    /// It is.
    Verified,
    /// It was.
    Degraded,
}

impl State {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Verified => "verified",
            Self::Degraded => "degraded",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let all = [Self::Unverified, Self::Verified, Self::Degraded];
        all.into_iter().find(|state| state.as_str() == name)
    }

    /// What it is after `checks`.
    fn after(self, checks: &[Check]) -> Self {
        let mut required = checks.iter().filter(|check| check.required);
        let has_errors = required.clone().any(|check| check.status == Status::Error);
        match self {
            Self::Unverified if has_errors => Self::Unverified,
            _ if has_errors => Self::Degraded,
            _ if required.any(|check| check.status == Status::Unknown) => self,
            _ => Self::Verified,
        }
    }
}

/// What a check has found, the worst of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing to say.
    Ok,
    /// It works, and could be better.
    Warning,
    /// It does not work.
    Error,
    /// DNS did not answer.
    Unknown,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    /// `mx`, `spf`, `dkim` …
    pub name: String,
    /// The domain is not verified without it.
    pub required: bool,
    /// The worst of what follows.
    pub status: Status,
    /// DNSSEC proves the answer; none: several were asked, or nothing.
    pub secure: Option<bool>,
    /// Records that were found.
    pub found: Vec<String>,
    /// What does not work.
    pub errors: Vec<String>,
    /// What could be better, and what could not be looked up.
    pub warnings: Vec<String>,
    /// What to do.
    pub instructions: Vec<String>,
}

impl Check {
    fn new(name: &str, required: bool) -> Self {
        Self {
            name: name.to_owned(),
            required,
            status: Status::Ok,
            secure: None,
            found: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            instructions: Vec::new(),
        }
    }

    /// Shows a record.
    fn show(&mut self, text: &str) {
        if self.found.len() < MAX_FOUND {
            let text = text.chars().take(MAX_TEXT).filter(|c| !c.is_control());
            self.found.push(text.collect());
        }
    }

    fn error(&mut self, text: impl Into<String>) {
        self.errors.push(text.into());
        self.status = Status::Error;
    }

    fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
        if self.status == Status::Ok {
            self.status = Status::Warning;
        }
    }

    /// An answer could not be had.
    fn unknown(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
        if self.status != Status::Error {
            self.status = Status::Unknown;
        }
    }

    fn advise(&mut self, text: impl Into<String>) {
        self.instructions.push(text.into());
    }

    /// The answer, if there is one; it is an error when there is no record.
    fn answer<T>(&mut self, answer: Result<T, DnsError>, missing: &str) -> Option<T> {
        match answer {
            Ok(answer) => return Some(answer),
            Err(DnsError::NoName | DnsError::NoRecord) => self.error(missing),
            Err(error @ DnsError::Temporary(_)) => self.unknown(error.to_string()),
        }
        None
    }
}

/// The result of the last checks.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The domain.
    pub domain: Id<id::Domain>,
    /// Whether it is as it should be.
    pub state: State,
    /// When it was looked at; none: not yet.
    pub checked_at: Option<OffsetDateTime>,
    /// When it will be again.
    pub next_check_at: OffsetDateTime,
    /// What was found.
    pub checks: Vec<Check>,
}

/// What the last checks have found.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn last(cx: &Cx, domain: Id<id::Domain>) -> Result<Checked> {
    cx.require(Scope::AdminRead)?;
    let mut conn = cx.platform().acquire().await?;
    store::find(&mut conn, domain).await?.ok_or(Error::NotFound("domain"))
}

/// Checks a domain now, and goes on with the rotation of its keys.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn verify(cx: &Cx, domain: Id<id::Domain>) -> Result<Checked> {
    cx.require(Scope::AdminWrite)?;
    let domain = load(cx, domain).await?;
    let found = Box::pin(probe::look(cx.platform(), &domain)).await;
    let mut tx = cx.begin("domains.verify").await?;
    let checked = settle(&mut tx, cx.platform().config().hostname.as_str(), domain.id, found);
    let checked = checked.await?.ok_or(Error::NotFound("domain"))?;
    audit::record(&mut tx, cx, "verify_domain", None, &domain.name).await?;
    tx.commit().await?;
    cx.platform().directory().forget();
    Ok(checked)
}

/// Writes what was found, and what follows from it.
async fn settle(
    tx: &mut Tx,
    hostname: &str,
    domain: Id<id::Domain>,
    found: probe::Found,
) -> Result<Option<Checked>> {
    let Some(domain) = find_locked(tx, domain, hostname).await? else { return Ok(None) };
    rotate::apply(tx, &domain, &found.seen).await?;
    let now = tx.now();
    let before = store::find(tx.conn(), domain.id).await?.map_or(State::Unverified, |c| c.state);
    let state = before.after(&found.checks);
    let checked = Checked {
        domain: domain.id,
        state,
        checked_at: Some(now),
        next_check_at: job::next(&domain, &found.seen, state, now),
        checks: found.checks,
    };
    store::save(tx.conn(), &checked).await?;
    let kind = match (before, checked.state) {
        (State::Unverified | State::Degraded, State::Verified) => EventKind::DomainVerified,
        (State::Verified, State::Degraded) => EventKind::DomainDegraded,
        _ => return Ok(Some(checked)),
    };
    tell(tx, &domain, &checked, kind).await?;
    Ok(Some(checked))
}

/// Tells the administrators: a domain belongs to no account.
async fn tell(tx: &mut Tx, domain: &Domain, checked: &Checked, kind: EventKind) -> Result<()> {
    let failed = checked.checks.iter().filter(|check| check.status == Status::Error);
    let event = DomainEvent {
        domain_id: domain.id,
        domain: &domain.name,
        failed_checks: failed.map(|check| check.name.as_str()).collect(),
    };
    let now = tx.now();
    for account in accounts::store::administrators(tx.conn()).await? {
        tx.emit(NewEvent::new(account, kind, now, &event));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(required: bool, status: Status) -> Check {
        Check { status, ..Check::new("x", required) }
    }

    #[test]
    fn only_what_is_required_and_known_changes_the_state() {
        use State::{Degraded, Unverified, Verified};
        let error = [check(true, Status::Error), check(true, Status::Unknown)];
        let unknown = [check(true, Status::Ok), check(true, Status::Unknown)];
        let good = [check(true, Status::Warning), check(false, Status::Error)];
        for (before, after_error) in
            [(Unverified, Unverified), (Verified, Degraded), (Degraded, Degraded)]
        {
            assert_eq!(before.after(&error), after_error);
            assert_eq!(before.after(&unknown), before);
            assert_eq!(before.after(&good), Verified);
        }
    }
}
