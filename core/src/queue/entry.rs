//! A recipient that waits, as the schedule keeps it in memory.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use posthouse_mail::dsn::{DsnKind, OriginalRecipient, RcptDsn};
use time::OffsetDateTime;

use super::store::Message;
use crate::{
    id::{Account, Delivery, Id, Transport},
    ports::transport::RequireTls,
};

/// A recipient that waits.
#[derive(Clone)]
pub(crate) struct Entry {
    pub id: Id<Delivery>,
    pub account: Id<Account>,
    pub recipient: Arc<str>,
    /// Attempts made.
    pub attempts: u16,
    /// Milliseconds since the epoch.
    pub due: i64,
    /// Milliseconds since the epoch; the largest number for never.
    pub expires: i64,
    pub last_address: Option<IpAddr>,
    pub sandbox: bool,
    /// What the recipient can unsubscribe from.
    pub topic: Option<Arc<str>>,
    /// Whether the recipient is suppressed; not known: ask before the attempt.
    pub suppressed: Option<bool>,
    /// What [`crate::suppressions::Changes`] counted when that was asked.
    pub asked: u64,
    /// The domain of the recipient is served here; known with `suppressed`.
    pub at_home: bool,
    /// Chosen for it, before all routes.
    pub transport: Option<Id<Transport>>,
    /// What is wanted of TLS.
    pub require_tls: RequireTls,
    /// What the sender wants to be told; none: he has not said.
    pub dsn: Option<Arc<RcptDsn>>,
    /// A rule holds it from the beginning; says why.
    pub held: Option<Arc<str>>,
    content: Option<Arc<Message>>,
}

impl Entry {
    pub(crate) fn new(
        id: Id<Delivery>,
        account: Id<Account>,
        recipient: &str,
        due: OffsetDateTime,
    ) -> Self {
        Self {
            id,
            account,
            recipient: recipient.into(),
            attempts: 0,
            due: millis(due),
            expires: i64::MAX,
            last_address: None,
            sandbox: false,
            topic: None,
            suppressed: None,
            asked: 0,
            at_home: false,
            transport: None,
            require_tls: RequireTls::Default,
            dsn: None,
            held: None,
            content: None,
        }
    }

    /// Keeps the content for the first attempt.
    pub(super) fn hold(&mut self, content: Option<Arc<Message>>) {
        self.content = content;
    }

    /// Whether the content is in memory.
    pub(super) const fn has_content(&self) -> bool {
        self.content.is_some()
    }

    /// The content, if it is still in memory; it is given away only once.
    pub(crate) fn take_content(&mut self) -> Option<Arc<Message>> {
        self.content.take()
    }

    /// Whether the sender wants this told.
    pub(super) fn wants(&self, kind: DsnKind) -> bool {
        let usual = RcptDsn::default();
        self.dsn.as_deref().unwrap_or(&usual).wants(kind)
    }

    /// The original recipient as the sender has given it.
    pub(super) fn orcpt(&self) -> Option<&OriginalRecipient> {
        self.dsn.as_ref().and_then(|dsn| dsn.orcpt.as_ref())
    }

    /// NOTIFY as it is stored.
    pub(super) fn notify_text(&self) -> Option<String> {
        let notify = self.dsn.as_ref().and_then(|dsn| dsn.notify);
        notify.map(|notify| notify.to_string())
    }

    /// Domain of the recipient.
    pub(crate) fn domain(&self) -> &str {
        self.recipient.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// What is stored of the parameters of RCPT.
pub(super) fn rcpt_dsn(notify: Option<&str>, orcpt: Option<String>) -> Option<Arc<RcptDsn>> {
    let notify = notify.and_then(|text| text.parse().ok());
    let orcpt = orcpt.map(OriginalRecipient::from_text);
    (notify.is_some() || orcpt.is_some()).then(|| Arc::new(RcptDsn { notify, orcpt }))
}

/// Milliseconds since the epoch.
pub(crate) fn millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// Counts a content in memory, as long as anybody has it.
pub(crate) struct Held {
    size: u64,
    total: Arc<AtomicU64>,
}

impl Held {
    /// Counts `size` octets, unless more than `most` would be held then.
    pub(super) fn new(size: u64, total: &Arc<AtomicU64>, most: u64) -> Option<Self> {
        let before = total.fetch_add(size, Ordering::Relaxed);
        if before.saturating_add(size) > most {
            total.fetch_sub(size, Ordering::Relaxed);
            return None;
        }
        Some(Self { size, total: Arc::clone(total) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total.fetch_sub(self.size, Ordering::Relaxed);
    }
}
