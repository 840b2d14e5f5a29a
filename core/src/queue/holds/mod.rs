//! Rules that hold deliveries: those that wait when the rule is made, and new ones in the
//! transaction that takes them (C12, 0.6). Deleting a rule releases nothing.

pub(crate) mod apply;
mod manage;
mod store;

pub use manage::{
    change_hold, create_hold, delete_hold, find_hold, hold_change_faults, hold_faults, list_holds,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::QueueScope;
use crate::{
    cx::Cx,
    error::Result,
    id::{self, Account, Id},
};

/// Which deliveries a rule holds: those that match everything that is given.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HoldMatch {
    /// Reverse-path, in lower case.
    pub sender: Option<String>,
    /// Address of the envelope, in lower case.
    pub recipient: Option<String>,
    /// Domain of the reverse-path.
    pub sender_domain: Option<String>,
    /// Domain of the recipient.
    pub recipient_domain: Option<String>,
}

/// A rule to be made.
#[derive(Debug, Clone)]
pub struct NewHold {
    /// For the caller's account, or for all.
    pub scope: QueueScope,
    /// What it holds.
    pub matches: HoldMatch,
    /// Why, for people.
    pub reason: String,
    /// From then on it holds nothing new.
    pub expires_at: Option<OffsetDateTime>,
}

/// Changes of a rule; absent fields stay.
#[derive(Debug, Clone, Default)]
pub struct HoldPatch {
    /// Why, for people.
    pub reason: Option<String>,
    /// From then on it holds nothing new; `Some(None)`: until it is deleted.
    pub expires_at: Option<Option<OffsetDateTime>>,
}

/// A rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hold {
    /// Identifier.
    pub id: Id<id::Hold>,
    /// Whose deliveries it holds; none: those of all accounts.
    pub account_id: Option<Id<Account>>,
    /// What it holds.
    pub matches: HoldMatch,
    /// Why, for people.
    pub reason: String,
    /// From then on it holds nothing new.
    #[serde(with = "crate::time::millis::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was made.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
}

/// Rules that would hold a delivery of the caller's account now.
pub(super) async fn that_hold(cx: &Cx, sender: &str, recipient: &str) -> Result<Vec<Hold>> {
    let mut conn = cx.platform().acquire().await?;
    let mut rules = store::in_force(&mut conn, &[cx.account().uuid()], cx.now()).await?;
    rules.retain(|rule| rule.matches.holds(sender, recipient));
    Ok(rules)
}

impl Hold {
    /// Whether it holds what comes at `now`.
    fn is_in_force(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }
}

impl HoldMatch {
    /// Whether a delivery is held.
    fn holds(&self, sender: &str, recipient: &str) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(found))
        };
        is(&self.sender, sender)
            && is(&self.recipient, recipient)
            && is(&self.sender_domain, domain(sender))
            && is(&self.recipient_domain, domain(recipient))
    }
}

fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_given_must_match() {
        let some = |text: &str| Some(text.to_owned());
        let all = HoldMatch::default();
        assert!(all.holds("", "bob@example.net"));
        let domains = HoldMatch {
            sender_domain: some("example.test"),
            recipient_domain: some("example.net"),
            ..HoldMatch::default()
        };
        assert!(domains.holds("alice@example.test", "bob@EXAMPLE.net"));
        assert!(!domains.holds("", "bob@example.net"), "reports have no sender's domain");
        assert!(!domains.holds("alice@example.test", "bob@example.org"));
        let one = HoldMatch { recipient: some("bob@example.net"), ..domains };
        assert!(one.holds("alice@example.test", "Bob@example.net"));
        assert!(!one.holds("alice@example.test", "carol@example.net"));
    }
}
