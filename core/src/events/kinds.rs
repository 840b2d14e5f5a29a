//! The types of events: append only.

macro_rules! kinds {
    ($($variant:ident $text:literal $doc:literal;)*) => {
        /// Type of an event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum EventKind { $(#[doc = $doc] $variant,)* }

        impl EventKind {
            /// All types.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// Name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
            /// What it means.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

kinds! {
    MessageAccepted "message.accepted" "A message was taken for delivery.";
    MessageScheduled "message.scheduled" "A message was taken and waits for its time.";
    MessageRejected "message.rejected" "A message to an address of the account was refused.";
    DeliveryDelivered "delivery.delivered" "The recipient's server took the message.";
    DeliveryRelayed "delivery.relayed" "A smart host took the message.";
    DeliveryDeferred "delivery.deferred" "An attempt failed for now; there will be another.";
    DeliveryFailed "delivery.failed" "The recipient's server refused the message for good.";
    DeliverySuppressed "delivery.suppressed" "Not sent: the recipient is on the suppression list.";
    DeliveryExpired "delivery.expired" "The last attempt failed; there will be no other.";
    DeliveryCanceled "delivery.canceled" "Somebody canceled the delivery; it is not attempted any more.";
    DeliveryHeld "delivery.held" "The delivery waits until somebody releases it.";
    DeliveryReleased "delivery.released" "The delivery was on hold and goes on.";
    DeliveryBounced "delivery.bounced" "A report says that a message that was taken could not be delivered.";
    DeliveryComplained "delivery.complained" "The recipient called the message spam.";
    DeliveryExpanded "delivery.expanded" "A report says that a list took the message and sends it on.";
    DeliveryUnrecognized "delivery.unrecognized" "A mail that is no report came to the address for reports.";
    RecipientUnsubscribed "recipient.unsubscribed" "A recipient used the unsubscribe link of a message.";
    SuppressionCreated "suppression.created" "A recipient was put on the suppression list.";
    SuppressionDeleted "suppression.deleted" "A recipient was taken off the suppression list.";
    MailReceived "mail.received" "A message came in and is in a mailbox.";
    MailCreated "mail.created" "A mail was stored: a Sent copy, a delivery report, an upload or a copy.";
    MailUpdated "mail.updated" "Flags, keywords or mailbox of a mail have changed.";
    MailDeleted "mail.deleted" "A mail was deleted for good.";
    MailDropped "mail.dropped" "A message came in, and a route keeps it in no mailbox.";
    WebhookDisabled "webhook.disabled" "An endpoint was switched off.";
    WebhookTest "webhook.test" "A test that somebody asked for.";
    AccountLimitExceeded "account.limit_exceeded" "The account has reached a limit; told once for each limit and its time.";
    AccountQuotaWarning "account.quota_warning" "The mail of the account has passed 80 % or 95 % of its quota.";
    LoginNewAddress "login.new_address" "Somebody has logged in with a password from where the account has not been used before.";
    DomainVerified "domain.verified" "The records that a domain needs are in DNS.";
    DomainDegraded "domain.degraded" "Records that a domain needs are not in DNS any more.";
    DkimRotated "dkim.rotated" "New DKIM keys of a domain sign in place of old ones.";
}

/// Whether `kind` matches one of `patterns`: a name, `prefix.*`, or `*`.
pub fn matches_any(patterns: &[String], kind: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => kind.starts_with(prefix),
        None => pattern == kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_and_groups() {
        let patterns = |list: &[&str]| list.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        assert!(matches_any(&patterns(&["*"]), "mail.received"));
        assert!(matches_any(&patterns(&["delivery.*"]), "delivery.failed"));
        assert!(!matches_any(&patterns(&["delivery.*"]), "mail.received"));
        assert!(matches_any(&patterns(&["mail.received"]), "mail.received"));
        assert!(!matches_any(&patterns(&["mail.received"]), "mail.receivedx"));
    }
}
