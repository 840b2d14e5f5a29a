//! What suppressions look like in requests and answers.

use posthouse_core::{
    FieldError, Id, id,
    suppressions::{self, Bulk, NewSuppression, Reason, Target},
};
use posthouse_mail::address::Address;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{
    fields::Time,
    messages::{address_fault, nobody},
};
use crate::extract::Object;

/// Reads a plain address.
pub(super) fn address(text: &str, pointer: &str) -> Result<Address, FieldError> {
    Address::parse(text).map_err(|error| address_fault(pointer.to_owned(), error))
}

/// An address; what is wrong is noted, and somebody harmless stands in for it.
fn read(text: &str, pointer: &str, faults: &mut Vec<FieldError>) -> Address {
    address(text, pointer).unwrap_or_else(|fault| {
        faults.push(fault);
        nobody().address
    })
}

/// An entry of the suppression list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Suppression {
    /// Identifier.
    #[schema(value_type = String, example = "sup_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Suppression>,
    /// Whose list it is on.
    #[schema(value_type = String, example = "acc_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    account_id: Id<id::Account>,
    /// The address that gave the reason.
    #[schema(example = "bob+news@example.net")]
    address: String,
    /// What recipients are compared with: the address without what its domain ignores.
    #[schema(example = "bob+news@example.net")]
    base_address: String,
    /// Only messages of this topic; null: all messages of the account.
    #[schema(example = "newsletter")]
    topic: Option<String>,
    /// `bounce`, `complaint`, `unsubscribe` or `manual`.
    #[schema(value_type = String, example = "bounce")]
    reason: Reason,
    /// For people: what the other server said, or a note.
    #[schema(example = "5.1.1 No such user")]
    detail: String,
    /// The delivery that gave the reason.
    #[schema(value_type = Option<String>, example = "dlv_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    delivery_id: Option<Id<id::Delivery>>,
    /// It suppresses until then; null: for good.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
    /// When it was made.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
}

impl From<suppressions::Suppression> for Suppression {
    fn from(made: suppressions::Suppression) -> Self {
        Self {
            id: made.id,
            account_id: made.account_id,
            address: made.address,
            base_address: made.base_address,
            topic: made.topic,
            reason: made.reason,
            detail: made.detail,
            delivery_id: made.delivery_id,
            expires_at: made.expires_at,
            created_at: made.created_at,
        }
    }
}

/// A suppression to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSuppression, example = json!({
    "address": "bob@example.net", "reason": "manual", "detail": "asked us by phone",
}))]
pub(crate) struct NewSuppressionBody {
    /// The recipient.
    address: String,
    /// Only messages of this topic: 1 to 64 ASCII letters, digits, `.`, `_` and `-`. All messages
    /// of the account by default.
    topic: Option<String>,
    /// Why; `manual` by default.
    #[schema(inline)]
    reason: Option<ReasonInput>,
    /// A note for people, at most 4,096 octets.
    detail: Option<String>,
    /// It suppresses until then; for good by default.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Time>,
}

/// Why a recipient is not written to.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReasonInput {
    /// The address is no good.
    Bounce,
    /// The recipient called a message spam.
    Complaint,
    /// The recipient does not want such messages.
    Unsubscribe,
    /// Somebody decided so.
    Manual,
}

impl From<ReasonInput> for Reason {
    fn from(reason: ReasonInput) -> Self {
        match reason {
            ReasonInput::Bounce => Self::Bounce,
            ReasonInput::Complaint => Self::Complaint,
            ReasonInput::Unsubscribe => Self::Unsubscribe,
            ReasonInput::Manual => Self::Manual,
        }
    }
}

impl NewSuppressionBody {
    /// The entry, and what is wrong with it; `place` is the pointer to it.
    pub(super) fn read(self, place: &str) -> (NewSuppression, Vec<FieldError>) {
        let mut faults = Vec::new();
        let new = NewSuppression {
            address: read(&self.address, &format!("{place}/address"), &mut faults),
            topic: self.topic,
            reason: self.reason.map_or(Reason::Manual, Reason::from),
            detail: self.detail.unwrap_or_default(),
            expires_at: self.expires_at.map(|time| time.0),
        };
        (new, faults)
    }
}

/// Recipients that are asked about.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SuppressionCheck, example = json!({"addresses": ["bob@example.net"]}))]
pub(crate) struct CheckBody {
    /// 1 to 1,000 addresses.
    addresses: Vec<String>,
    /// Entries of this topic count too.
    pub(super) topic: Option<String>,
}

impl CheckBody {
    /// The addresses, and what is wrong with them.
    pub(super) fn read(&self) -> (Vec<Address>, Vec<FieldError>) {
        let mut faults = Vec::new();
        let some = self.addresses.iter().take(suppressions::MAX_ENTRIES + 1).enumerate();
        let addresses =
            some.map(|(index, text)| read(text, &format!("/addresses/{index}"), &mut faults));
        (addresses.collect(), faults)
    }
}

/// Whether a recipient is suppressed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckedAddress {
    /// The address that was asked about.
    #[schema(example = "bob@example.net")]
    address: String,
    /// Messages to it are not sent.
    #[schema(example = true)]
    suppressed: bool,
    /// The entries that suppress it.
    suppressions: Vec<Suppression>,
}

impl From<suppressions::Checked> for CheckedAddress {
    fn from(checked: suppressions::Checked) -> Self {
        Self {
            address: checked.address.to_string(),
            suppressed: !checked.suppressions.is_empty(),
            suppressions: checked.suppressions.into_iter().map(Suppression::from).collect(),
        }
    }
}

/// Changes of the suppression list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SuppressionChanges, example = json!({
    "create": [{"address": "bob@example.net"}], "delete": [{"address": "carol@example.net"}],
}))]
pub(crate) struct BulkBody {
    /// Entries to be made, after everything is deleted that is to be.
    #[schema(value_type = Option<Vec<NewSuppressionBody>>)]
    create: Option<Vec<Object<NewSuppressionBody>>>,
    /// Entries to be deleted.
    #[schema(value_type = Option<Vec<TargetBody>>)]
    delete: Option<Vec<Object<TargetBody>>>,
}

/// A recipient, and the topic that it is about.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SuppressionTarget, example = json!({"address": "carol@example.net"}))]
pub(crate) struct TargetBody {
    /// The recipient.
    address: String,
    /// The topic; none: the entry for all messages of the account.
    topic: Option<String>,
}

impl BulkBody {
    /// The changes, and what is wrong with them. Of too many only some are read.
    pub(super) fn read(self) -> (Bulk, Vec<FieldError>) {
        let most = suppressions::MAX_ENTRIES + 1;
        let mut faults = Vec::new();
        let mut bulk = Bulk::default();
        let create = self.create.unwrap_or_default().into_iter().take(most).enumerate();
        for (index, Object(body)) in create {
            let (new, wrong) = body.read(&format!("/create/{index}"));
            bulk.create.push(new);
            faults.extend(wrong);
        }
        let delete = self.delete.unwrap_or_default().into_iter().take(most).enumerate();
        for (index, Object(target)) in delete {
            let pointer = format!("/delete/{index}/address");
            let address = read(&target.address, &pointer, &mut faults);
            bulk.delete.push(Target { address, topic: target.topic });
        }
        (bulk, faults)
    }
}

/// What came of one change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SuppressionChange)]
pub(crate) struct BulkResult {
    /// The recipient.
    #[schema(example = "bob@example.net")]
    address: String,
    /// The topic.
    topic: Option<String>,
    /// `created`, `existing` (nothing was changed), `deleted` or `not_found`.
    #[schema(value_type = String, example = "created")]
    outcome: &'static str,
    /// The entry; null when there was none to delete.
    #[schema(value_type = Option<String>, example = "sup_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Option<Id<id::Suppression>>,
}

impl From<suppressions::BulkResult> for BulkResult {
    fn from(result: suppressions::BulkResult) -> Self {
        let outcome = result.outcome.as_str();
        Self { address: result.address, topic: result.topic, outcome, id: result.id }
    }
}
