//! `POST /v1/queue/bulk`: changing many deliveries that wait.

use axum::Json;
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id,
    queue::{self, Action, Bulk, BulkAction, BulkDone, BulkFilter},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    fields::{Time, removable},
    queue_holds::{domain, lower, read_scope},
};
use crate::{
    answer::Replayed,
    extract::{Create, Input, Object},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(change_queue))
}

/// Which deliveries are meant: those that wait and match everything that is given.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueueSelection {
    /// `account` for deliveries of the caller's account, or `all` for those of all accounts, which
    /// needs `admin:write`; `account` by default.
    scope: Option<String>,
    /// With this reverse-path.
    sender: Option<String>,
    /// To this address.
    recipient: Option<String>,
    /// With a reverse-path in this domain.
    sender_domain: Option<String>,
    /// To an address in this domain.
    recipient_domain: Option<String>,
    /// `scheduled`, `queued`, `deferred` or `on_hold`.
    status: Option<String>,
    /// Of messages with this tag.
    tag: Option<String>,
    /// Taken at or after this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Time>,
    /// Taken before this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Time>,
}

impl QueueSelection {
    fn read(self, faults: &mut Vec<FieldError>) -> BulkFilter {
        let waits =
            |status: &String| ["scheduled", "queued", "deferred", "on_hold"].contains(&&**status);
        if self.status.as_ref().is_some_and(|status| !waits(status)) {
            let detail = "expected one of scheduled, queued, deferred and on_hold";
            faults.push(FieldError::new("/filter/status", "invalid_value", detail));
        }
        if self.tag.as_deref().is_some_and(|tag| tag.contains('\0')) {
            let detail = "NUL is not allowed";
            faults.push(FieldError::new("/filter/tag", "control_character", detail));
        }
        let at = |name| format!("/filter/{name}");
        BulkFilter {
            sender: lower(self.sender.as_deref(), &at("sender"), faults),
            recipient: lower(self.recipient.as_deref(), &at("recipient"), faults),
            sender_domain: domain(self.sender_domain.as_deref(), &at("sender_domain"), faults),
            recipient_domain: domain(
                self.recipient_domain.as_deref(),
                &at("recipient_domain"),
                faults,
            ),
            status: self.status,
            tag: self.tag,
            since: self.since.map(|time| time.0),
            until: self.until.map(|time| time.0),
        }
    }
}

/// A change of many deliveries.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = QueueBulk, example = json!({
    "filter": {"recipient_domain": "example.net"}, "action": "retry_now", "dry_run": true,
}))]
pub(crate) struct QueueBulkBody {
    /// Which deliveries; an empty object for all of the account.
    #[schema(value_type = QueueSelection)]
    filter: Object<QueueSelection>,
    /// `cancel`, `fail`, `hold`, `release`, `retry_now`, `schedule`, `set_require_tls` or
    /// `set_transport`, which needs `admin:write`.
    action: String,
    /// For `schedule`: when the next attempt is due, 60 days ahead at most.
    #[schema(value_type = Option<String>, format = DateTime)]
    scheduled_at: Option<Time>,
    /// For `set_transport`: the transport that they take whatever the routes say, or null for what
    /// the routes say.
    #[serde(default, deserialize_with = "removable")]
    #[schema(value_type = Option<String>)]
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    transport_id: Option<Option<Id<id::Transport>>>,
    /// For `set_require_tls`: whether they need TLS, as in `POST /v1/messages`.
    #[serde(default, deserialize_with = "removable")]
    #[schema(value_type = Option<bool>)]
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    require_tls: Option<Option<bool>>,
    /// Only count what would be changed; false by default.
    dry_run: Option<bool>,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueueBulkResult {
    /// Deliveries that the action makes sense for. They are changed now or soon; those that are
    /// being attempted after that, unless they end with it.
    #[schema(example = 1200)]
    matched: i64,
    /// Nothing was changed.
    #[schema(example = true)]
    dry_run: bool,
}

impl From<BulkDone> for QueueBulkResult {
    fn from(done: BulkDone) -> Self {
        Self { matched: done.matched, dry_run: done.dry_run }
    }
}

impl QueueBulkBody {
    fn read(self) -> (Bulk, Vec<FieldError>) {
        let mut faults = Vec::new();
        let Object(selection) = self.filter;
        let scope = read_scope(selection.scope.as_deref(), "/filter/scope", &mut faults);
        let filter = selection.read(&mut faults);
        let at = self.scheduled_at.map(|time| time.0);
        let given = Given { at, transport: self.transport_id, require_tls: self.require_tls };
        let action = read_action(&self.action, given, &mut faults);
        (Bulk { scope, filter, action, dry_run: self.dry_run.unwrap_or(false) }, faults)
    }
}

/// What comes with an action.
#[derive(Clone, Copy)]
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
struct Given {
    at: Option<OffsetDateTime>,
    transport: Option<Option<Id<id::Transport>>>,
    require_tls: Option<Option<bool>>,
}

fn read_action(name: &str, given: Given, faults: &mut Vec<FieldError>) -> BulkAction {
    let Given { at, transport, require_tls: tls } = given;
    let mut fault = |pointer, code, detail| faults.push(FieldError::new(pointer, code, detail));
    if at.is_some() && name != "schedule" {
        fault("/scheduled_at", "not_allowed", "only the action schedule takes a time");
    }
    if transport.is_some() && name != "set_transport" {
        fault("/transport_id", "not_allowed", "only the action set_transport takes a transport");
    }
    if tls.is_some() && name != "set_require_tls" {
        fault("/require_tls", "not_allowed", "only the action set_require_tls takes this");
    }
    match (name, at, transport) {
        ("set_require_tls", ..) => match tls {
            Some(tls) => return BulkAction::SetRequireTls(tls),
            None => fault("/require_tls", "required", "say true, false or null"),
        },
        ("schedule", Some(at), _) => return BulkAction::Schedule(at),
        ("schedule", None, _) => {
            fault("/scheduled_at", "required", "say when the next attempt is to be");
        }
        ("set_transport", _, Some(transport)) => return BulkAction::SetTransport(transport),
        ("set_transport", _, None) => {
            fault("/transport_id", "required", "say which transport, or null for none");
        }
        ("retry_now", ..) => return BulkAction::Change(Action::Retry),
        ("cancel", ..) => return BulkAction::Change(Action::Cancel),
        ("fail", ..) => return BulkAction::Change(Action::Fail),
        ("hold", ..) => return BulkAction::Change(Action::Hold),
        ("release", ..) => return BulkAction::Change(Action::Release),
        _ => {
            let detail = "expected one of cancel, fail, hold, release, retry_now, schedule, \
                          set_require_tls and set_transport";
            fault("/action", "invalid_value", detail);
        }
    }
    BulkAction::Change(Action::Hold)
}

impl Input for QueueBulkBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::QueueWrite)
    }

    fn faults(self, cx: &Cx) -> Vec<FieldError> {
        let (bulk, mut faults) = self.read();
        faults.extend(queue::bulk_faults(cx, &bulk));
        faults
    }
}

/// Change many deliveries
///
/// Cancels, fails, holds, releases or retries all deliveries that wait and match the filter, however
/// many; each as if it had been asked for alone, with its event. `schedule` sets the time of the next
/// attempt, also of those that were attempted. Deliveries that the action makes no sense for, or that
/// would have expired by then, are not counted.
#[utoipa::path(post, path = "/queue/bulk", tag = "queue", request_body = QueueBulkBody,
    security(("api_key" = ["queue:write"])),
    params(("Idempotency-Key" = Option<String>, Header,
        description = "Makes the request safe to repeat: 1 to 255 printable ASCII characters.")),
    responses((status = 200, description = "How many", body = QueueBulkResult)))]
async fn change_queue(
    Create { cx, body }: Create<QueueBulkBody>,
) -> ApiResult<(Replayed, Json<QueueBulkResult>)> {
    let (bulk, mut faults) = body.read();
    if !faults.is_empty() {
        faults.extend(queue::bulk_faults(&cx, &bulk));
        return Err(Error::InvalidInput(faults).into());
    }
    let done = queue::change_many(&cx, bulk).await?;
    Ok((Replayed(done.replayed), Json(done.value.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_body_is_read_whatever_is_wrong() {
        crate::extract::survives_wrong_types::<QueueBulkBody>();
    }
}
