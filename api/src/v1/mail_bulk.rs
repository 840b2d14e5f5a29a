//! `POST /v1/mail/bulk`: changing many mails at once.

use std::collections::BTreeMap;

use axum::Json;
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id,
    mails::{self, Action, BulkRequest, BulkTarget, MailFilter, MailPatch},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{fields::present, mail};
use crate::{
    answer::Replayed,
    extract::{Create, Input, Reader},
    problem::ApiResult,
    schema,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(change_many_mails))
}

/// What is done to each mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BulkActionName {
    /// Flags and keywords, and perhaps the mailbox, as in a change of one mail.
    Update,
    /// To the mailbox `mailbox_id`.
    Move,
    /// A copy in the mailbox `mailbox_id`.
    Copy,
    /// To the Trash; for good if it is there already, or with `permanent`.
    Delete,
}

/// A change of many mails.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MailBulk, example = json!({
    "filter": {"mailbox_id": "mbx_01k6h3v9x8e7ktq2w5m4n1r0sa", "unseen": true},
    "action": "update", "add_flags": ["\\Seen"], "dry_run": true,
}))]
pub(crate) struct BulkBody {
    /// What is done to each.
    action: BulkActionName,
    /// These mails, at most 500, in one transaction.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>, nullable = false)]
    ids: Option<Vec<Id<id::Mail>>>,
    /// Instead of `ids`: all mails that fit, in steps. The fields are the query parameters of
    /// `GET /v1/mail`, at least one of them. Needs the scope `mail:read` too.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>, nullable = false)]
    filter: Option<BTreeMap<String, Value>>,
    /// With `filter`: go on where an earlier answer stopped.
    cursor: Option<String>,
    /// The flags to have, and no others.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    flags: Option<Vec<String>>,
    /// Flags to have in addition.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    add_flags: Option<Vec<String>>,
    /// Flags not to have any more.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    remove_flags: Option<Vec<String>>,
    /// The keywords to have, and no others.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    keywords: Option<Vec<String>>,
    /// Keywords to have in addition.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    add_keywords: Option<Vec<String>>,
    /// Keywords not to have any more.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    remove_keywords: Option<Vec<String>>,
    /// The mailbox to be in, or for copies.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, nullable = false)]
    mailbox_id: Option<Id<id::Mailbox>>,
    /// Delete for good, wherever it is.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    permanent: Option<bool>,
    /// Change nothing, only count.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    dry_run: Option<bool>,
}

impl BulkBody {
    fn convert(self) -> (BulkRequest, Vec<FieldError>) {
        let mut faults = Vec::new();
        let dry_run = self.dry_run.unwrap_or_default();
        self.check_fields(&mut faults);
        let target = target(self.ids, self.filter, self.cursor, &mut faults);
        let patch = MailPatch {
            flags: self.flags,
            add_flags: self.add_flags.unwrap_or_default(),
            remove_flags: self.remove_flags.unwrap_or_default(),
            keywords: self.keywords,
            add_keywords: self.add_keywords.unwrap_or_default(),
            remove_keywords: self.remove_keywords.unwrap_or_default(),
            mailbox: self.mailbox_id,
        };
        let action = match (self.action, self.mailbox_id) {
            (BulkActionName::Copy, Some(mailbox)) => Action::Copy(mailbox),
            (BulkActionName::Delete, _) => Action::Delete(self.permanent.unwrap_or_default()),
            (BulkActionName::Update | BulkActionName::Move | BulkActionName::Copy, _) => {
                Action::Update(patch)
            }
        };
        let request = BulkRequest { target, action, dry_run };
        // A copy or move without a mailbox has that fault only.
        if faults.is_empty() {
            faults = request.faults();
        }
        (request, faults)
    }

    /// Fields that the action does not have, and those that it lacks.
    fn check_fields(&self, faults: &mut Vec<FieldError>) {
        let action = self.action;
        let marks = [
            ("flags", self.flags.is_some()),
            ("add_flags", self.add_flags.is_some()),
            ("remove_flags", self.remove_flags.is_some()),
            ("keywords", self.keywords.is_some()),
            ("add_keywords", self.add_keywords.is_some()),
            ("remove_keywords", self.remove_keywords.is_some()),
        ];
        let mut unfit: Vec<&str> = Vec::new();
        if action != BulkActionName::Update {
            unfit.extend(marks.iter().filter(|(_, there)| *there).map(|(name, _)| *name));
        }
        if action != BulkActionName::Delete && self.permanent.is_some() {
            unfit.push("permanent");
        }
        if action == BulkActionName::Delete && self.mailbox_id.is_some() {
            unfit.push("mailbox_id");
        }
        for name in unfit {
            let detail = "this action has no such field";
            faults.push(FieldError::new(format!("/{name}"), "unfitting_field", detail));
        }
        let needs_mailbox = matches!(action, BulkActionName::Move | BulkActionName::Copy);
        if needs_mailbox && self.mailbox_id.is_none() {
            let detail = "this action needs a mailbox";
            faults.push(FieldError::new("/mailbox_id", "missing_field", detail));
        }
    }
}

fn target(
    ids: Option<Vec<Id<id::Mail>>>,
    filter: Option<BTreeMap<String, Value>>,
    cursor: Option<String>,
    faults: &mut Vec<FieldError>,
) -> BulkTarget {
    if cursor.is_some() && filter.is_none() {
        let detail = "only a filter has a cursor";
        faults.push(FieldError::new("/cursor", "unfitting_field", detail));
    }
    match (ids, filter) {
        (None, Some(filter)) => {
            let filter = Box::new(read_filter(&filter, faults));
            BulkTarget::Filter { filter, cursor }
        }
        (Some(ids), None) => BulkTarget::Ids(ids),
        _ => {
            let detail = "either ids or a filter says which mails";
            faults.push(FieldError::new("", "ids_or_filter", detail));
            BulkTarget::Ids(Vec::new())
        }
    }
}

/// The filter that the query parameters of the list would be.
fn read_filter(filter: &BTreeMap<String, Value>, faults: &mut Vec<FieldError>) -> MailFilter {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let mut add = |name: &str, value: &str| {
        query.append_pair(name, value);
    };
    if filter.is_empty() {
        faults.push(FieldError::new("/filter", "empty_filter", "name at least one criterion"));
        return MailFilter::default();
    }
    for (name, value) in filter {
        let values = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        for value in values {
            match value {
                Value::String(text) => add(name, text),
                Value::Bool(_) | Value::Number(_) => {
                    add(name, &value.to_string());
                }
                _ => {
                    let place = format!("/filter/{}", schema::escape(name));
                    let detail = "expected a string, a number or a boolean";
                    faults.push(FieldError::new(place, "wrong_type", detail));
                }
            }
        }
    }
    let mut reader = Reader::new(&query.finish());
    let filter = mail::filter(&mut reader);
    for fault in reader.into_faults() {
        faults.push(FieldError::new(format!("/filter{}", fault.pointer), fault.code, fault.detail));
    }
    filter
}

impl Input for BulkBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::MailWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        self.convert().1
    }
}

/// What became of many mails.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailBulkResult {
    /// Mails that were there and fit.
    matched: u64,
    /// Mails that are others now; what was as wanted already does not count. 0 after a dry run.
    changed: u64,
    /// Ids that do not exist.
    not_found: u64,
    /// Mails that others kept changing meanwhile: nothing was done to them.
    conflicts: u64,
    /// What became of each mail that was named by its id and that changed.
    mails: Vec<MailBulkItem>,
    /// Of the mailbox that these were moved or copied to.
    uidvalidity: Option<i64>,
    /// Time was up before all that fit was done: repeat the request with `next_cursor`.
    has_more: bool,
    /// The next request's `cursor`.
    next_cursor: Option<String>,
}

/// What became of one mail.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailBulkItem {
    /// The mail.
    #[schema(value_type = String, example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Mail>,
    /// Where it was.
    before: MailPlace,
    /// The mail itself, or its copy, and where that is; null: deleted for good.
    now: Option<MailPlace>,
}

/// A mail in its place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailPlace {
    /// The mail.
    #[schema(value_type = String, example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Mail>,
    /// Its mailbox.
    #[schema(value_type = String, example = "mbx_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    mailbox_id: Id<id::Mailbox>,
    /// Its number there.
    uid: i64,
}

impl From<mails::Placed> for MailPlace {
    fn from(placed: mails::Placed) -> Self {
        Self { id: placed.mail, mailbox_id: placed.mailbox, uid: placed.uid }
    }
}

impl From<mails::Done> for MailBulkItem {
    fn from(done: mails::Done) -> Self {
        Self { id: done.mail, before: done.from.into(), now: done.now.map(Into::into) }
    }
}

impl From<mails::BulkResult> for MailBulkResult {
    fn from(result: mails::BulkResult) -> Self {
        Self {
            matched: result.matched,
            changed: result.changed,
            not_found: result.not_found,
            conflicts: result.conflicts,
            mails: result.done.into_iter().map(Into::into).collect(),
            uidvalidity: result.uidvalidity,
            has_more: result.next_cursor.is_some(),
            next_cursor: result.next_cursor,
        }
    }
}

/// Change many mails
///
/// Sets flags and keywords, moves, copies or deletes mails that are named by their ids, or all that
/// fit a filter. By ids it is one transaction: all or nothing. By a filter it goes in steps of one
/// short transaction each, from the newest to the oldest; what comes meanwhile is left alone, and
/// what fails leaves the steps before it done. After 20 seconds it stops and says where to go on.
/// There is one event for each mail. An `Idempotency-Key` makes it safe to repeat once it was
/// answered; a copy by filter that was broken off before that begins anew.
#[utoipa::path(post, path = "/mail/bulk", tag = "mail", request_body = BulkBody,
    security(("api_key" = ["mail:write"])),
    params(("Idempotency-Key" = Option<String>, Header,
        description = "Makes the request safe to repeat: 1 to 255 printable ASCII characters.")),
    responses((status = 200, description = "What became of them", body = MailBulkResult)))]
async fn change_many_mails(
    Create { cx, body }: Create<BulkBody>,
) -> ApiResult<(Replayed, Json<MailBulkResult>)> {
    let (request, faults) = body.convert();
    Error::unless_empty(faults)?;
    let done = mails::bulk(&cx, &request).await?;
    Ok((Replayed(done.replayed), Json(done.value.into())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(body: Value) -> Vec<String> {
        let body: BulkBody = serde_json::from_value(body).unwrap();
        body.convert().1.into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn a_filter_is_what_the_list_takes() {
        let body = json!({"action": "delete", "filter": {"subject": "a&b=c", "unseen": true}});
        let body: BulkBody = serde_json::from_value(body).unwrap();
        let (request, faults) = body.convert();
        assert_eq!(faults, []);
        let BulkTarget::Filter { filter, .. } = request.target else { panic!("no filter") };
        assert_eq!((filter.subject.as_deref(), filter.unseen), (Some("a&b=c"), true));
    }

    #[test]
    fn fields_have_to_fit_the_action() {
        let id = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa";
        let cases = [
            (json!({"action": "delete", "filter": {}}), vec!["/filter"]),
            (json!({"action": "delete"}), vec![""]),
            (json!({"action": "delete", "ids": [id], "filter": {"unseen": true}}), vec![""]),
            (json!({"action": "delete", "ids": []}), vec!["/ids"]),
            (json!({"action": "update", "ids": [id]}), vec![""]),
            (json!({"action": "move", "ids": [id]}), vec!["/mailbox_id"]),
            (
                json!({"action": "copy", "ids": [id], "permanent": true}),
                vec!["/permanent", "/mailbox_id"],
            ),
            (json!({"action": "delete", "ids": [id], "flags": []}), vec!["/flags"]),
            (json!({"action": "delete", "ids": [id], "cursor": "x"}), vec!["/cursor"]),
            (
                json!({"action": "delete", "filter": {"unseen": {}, "x": 1, "since": "soon"}}),
                vec!["/filter/unseen", "/filter/since", "/filter/x"],
            ),
        ];
        for (body, pointers) in cases {
            assert_eq!(told(body.clone()), pointers, "{body}");
        }
    }
}
