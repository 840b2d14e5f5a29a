//! How inbound routes look on the wire.

use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id,
    inbound_routes::{self, Action, HeaderMatch, Match, NewRoute, Route, RoutePatch},
};
use posthouse_mail::address::Address;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::{fields::present, suppression_shapes::address};
use crate::extract::{Input, Object};

/// Which mail a route is for: what fits everything that is given; without anything, all mail. In a
/// pattern `*` stands for any characters, also none. Case does not matter.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InboundRouteMatch, example = json!({"recipient": "support*@example.test"}))]
pub(crate) struct MatchBody {
    /// Pattern of the recipient in the envelope, with its sub-address: `alice@example.test`,
    /// `*@example.test`, `support+*@example.test`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "support*@example.test")]
    recipient: Option<String>,
    /// Pattern of the reverse-path; `<>` is the empty one.
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<String>,
    /// Pattern of an address in From.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// Header fields that it must all have; at most 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<HeaderMatchBody>>)]
    headers: Option<Vec<Object<HeaderMatchBody>>>,
    /// Came through a mailing list, or did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<bool>,
    /// Made by a program, or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    automated: Option<bool>,
    /// A delivery report, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    dsn: Option<bool>,
}

impl From<MatchBody> for Match {
    fn from(body: MatchBody) -> Self {
        let headers = body.headers.unwrap_or_default();
        Self {
            recipient: body.recipient,
            sender: body.sender,
            from: body.from,
            headers: headers.into_iter().map(|Object(header)| header.into()).collect(),
            list: body.list,
            automated: body.automated,
            dsn: body.dsn,
        }
    }
}

impl From<Match> for MatchBody {
    fn from(matches: Match) -> Self {
        let headers = matches.headers.into_iter().map(|header| Object(header.into()));
        let headers: Vec<Object<HeaderMatchBody>> = headers.collect();
        Self {
            recipient: matches.recipient,
            sender: matches.sender,
            from: matches.from,
            headers: Some(headers).filter(|headers| !headers.is_empty()),
            list: matches.list,
            automated: matches.automated,
            dsn: matches.dsn,
        }
    }
}

/// A header field that a mail must have; of several with this name one is enough.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InboundRouteHeader, example = json!({"name": "X-Spam-Flag", "contains": "yes"}))]
pub(crate) struct HeaderMatchBody {
    /// Its name.
    name: String,
    /// Stands in its value, unfolded and decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    contains: Option<String>,
    /// Pattern of its whole value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
}

impl From<HeaderMatchBody> for HeaderMatch {
    fn from(body: HeaderMatchBody) -> Self {
        Self { name: body.name, contains: body.contains, pattern: body.pattern }
    }
}

impl From<HeaderMatch> for HeaderMatchBody {
    fn from(header: HeaderMatch) -> Self {
        Self { name: header.name, contains: header.contains, pattern: header.pattern }
    }
}

/// What becomes of mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = InboundRouteActionType)]
pub(crate) enum ActionType {
    /// It goes into the mailbox `mailbox_id`.
    Mailbox,
    /// Of all webhook endpoints, only `webhook_id` is told of it.
    Webhook,
    /// The mail itself is posted to `webhook_id`, an endpoint with payload `message`. It also goes
    /// where other actions say, or to the Inbox.
    HttpPost,
    /// It is sent on to `addresses`, as a message of the account, and kept only if another action
    /// says where. Needs the scope `send`, too.
    Forward,
    /// The sending server is told `text`, and nothing is stored.
    Reject,
    /// It is in no mailbox; event `mail.dropped` tells all that it said.
    Drop,
}

/// What becomes of mail that a route is for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InboundRouteAction, example = json!({
    "type": "mailbox", "mailbox_id": "mbx_01k6h3v9x8e7ktq2w5m4n1r0sa",
}))]
pub(crate) struct ActionBody {
    /// What is done.
    #[serde(rename = "type")]
    kind: ActionType,
    /// With `mailbox`: where it goes. When that mailbox is gone, to the Inbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    mailbox_id: Option<Id<id::Mailbox>>,
    /// With `webhook`: the endpoint, which must want `mail.received`; when it is gone, all others are
    /// told again. With `http_post`: one with payload `message`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    webhook_id: Option<Id<id::Webhook>>,
    /// With `forward`: 1 to 20 addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    addresses: Option<Vec<String>>,
    /// With `reject`: what the sending server is told, 1 to 200 printable ASCII characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

impl ActionBody {
    const fn new(kind: ActionType) -> Self {
        Self { kind, mailbox_id: None, webhook_id: None, addresses: None, text: None }
    }

    fn read(self, pointer: &str, faults: &mut Vec<FieldError>) -> Option<Action> {
        let fields = [
            ("mailbox_id", self.mailbox_id.is_some(), self.kind == ActionType::Mailbox),
            (
                "webhook_id",
                self.webhook_id.is_some(),
                matches!(self.kind, ActionType::Webhook | ActionType::HttpPost),
            ),
            ("addresses", self.addresses.is_some(), self.kind == ActionType::Forward),
            ("text", self.text.is_some(), self.kind == ActionType::Reject),
        ];
        for (name, is_there, is_needed) in fields {
            let (code, detail) = match (is_there, is_needed) {
                (true, false) => ("unfitting_field", "this action has no such field"),
                (false, true) => ("missing_field", "this action needs it"),
                _ => continue,
            };
            faults.push(FieldError::new(format!("{pointer}/{name}"), code, detail));
        }
        match self.kind {
            ActionType::Mailbox => Some(Action::Mailbox { mailbox_id: self.mailbox_id? }),
            ActionType::Webhook => Some(Action::Webhook { webhook_id: self.webhook_id? }),
            ActionType::HttpPost => Some(Action::HttpPost { webhook_id: self.webhook_id? }),
            ActionType::Forward => {
                let addresses = read_all(&self.addresses?, pointer, faults)?;
                Some(Action::Forward { addresses })
            }
            ActionType::Reject => Some(Action::Reject { text: self.text? }),
            ActionType::Drop => Some(Action::Drop),
        }
    }
}

impl From<Action> for ActionBody {
    fn from(action: Action) -> Self {
        match action {
            Action::Mailbox { mailbox_id } => {
                Self { mailbox_id: Some(mailbox_id), ..Self::new(ActionType::Mailbox) }
            }
            Action::Webhook { webhook_id } => {
                Self { webhook_id: Some(webhook_id), ..Self::new(ActionType::Webhook) }
            }
            Action::HttpPost { webhook_id } => {
                Self { webhook_id: Some(webhook_id), ..Self::new(ActionType::HttpPost) }
            }
            Action::Forward { addresses } => {
                let addresses = addresses.iter().map(ToString::to_string).collect();
                Self { addresses: Some(addresses), ..Self::new(ActionType::Forward) }
            }
            Action::Reject { text } => Self { text: Some(text), ..Self::new(ActionType::Reject) },
            Action::Drop => Self::new(ActionType::Drop),
        }
    }
}

/// All addresses, or none when one is wrong.
fn read_all(texts: &[String], pointer: &str, faults: &mut Vec<FieldError>) -> Option<Vec<Address>> {
    let read = |(index, text): (usize, &String)| {
        let read = address(text, &format!("{pointer}/addresses/{index}"));
        read.map_err(|fault| faults.push(fault)).ok()
    };
    let read: Vec<Option<Address>> = texts.iter().enumerate().map(read).collect();
    read.into_iter().collect()
}

fn actions(bodies: Vec<Object<ActionBody>>, faults: &mut Vec<FieldError>) -> Vec<Action> {
    let read = |(index, Object(body)): (usize, Object<ActionBody>)| {
        body.read(&format!("/actions/{index}"), faults)
    };
    bodies.into_iter().enumerate().filter_map(read).collect()
}

/// An inbound route.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InboundRoute {
    /// Identifier.
    #[schema(value_type = String, example = "irt_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::InboundRoute>,
    /// For people.
    #[schema(example = "Support")]
    name: String,
    /// It is asked.
    enabled: bool,
    /// Lower ones are asked first; of equal ones the older.
    #[schema(example = 100)]
    priority: i32,
    /// Those after it are asked too when it matches.
    r#continue: bool,
    /// Which mail it is for.
    r#match: MatchBody,
    /// What becomes of that.
    actions: Vec<ActionBody>,
    /// When it was made.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    updated_at: OffsetDateTime,
}

impl From<Route> for InboundRoute {
    fn from(route: Route) -> Self {
        Self {
            id: route.id,
            name: route.name,
            enabled: route.enabled,
            priority: route.priority,
            r#continue: route.go_on,
            r#match: route.matches.into(),
            actions: route.actions.into_iter().map(Into::into).collect(),
            created_at: route.created_at,
            updated_at: route.updated_at,
        }
    }
}

/// A route to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewInboundRoute, example = json!({
    "name": "No newsletters", "match": {"recipient": "orders@example.test", "list": true},
    "actions": [{"type": "reject", "text": "This address takes no newsletters"}],
}))]
pub(crate) struct NewRouteBody {
    /// For people, 1 to 100 characters.
    name: String,
    /// It is asked; true by default.
    enabled: Option<bool>,
    /// Lower ones are asked first; of equal ones the older. 0 to 10,000; 100 by default.
    #[schema(minimum = 0, maximum = 10_000)]
    priority: Option<i32>,
    /// Those after it are asked too when it matches; false by default. Their actions are added. Of
    /// several places the first counts; a refusal counts alone.
    r#continue: Option<bool>,
    /// Which mail it is for; all by default.
    #[schema(value_type = Option<MatchBody>)]
    r#match: Option<Object<MatchBody>>,
    /// What becomes of that, 1 to 10. `reject` stands alone; of `mailbox` and `drop` there is at
    /// most one. Without any of these, and without `forward`, mail goes to the Inbox.
    #[schema(value_type = Vec<ActionBody>)]
    actions: Vec<Object<ActionBody>>,
}

impl NewRouteBody {
    pub(super) fn read(self) -> (NewRoute, Vec<FieldError>) {
        let mut faults = Vec::new();
        let none_given = self.actions.is_empty();
        let actions = actions(self.actions, &mut faults);
        let new = NewRoute {
            name: self.name,
            enabled: self.enabled.unwrap_or(true),
            priority: self.priority.unwrap_or(inbound_routes::DEFAULT_PRIORITY),
            go_on: self.r#continue.unwrap_or_default(),
            matches: self.r#match.map(|Object(matches)| matches.into()).unwrap_or_default(),
            actions,
        };
        let mut found = inbound_routes::create_faults(&new);
        // Those that could not be read have their own fault.
        found.retain(|fault| none_given || !new.actions.is_empty() || fault.pointer != "/actions");
        faults.extend(found);
        (new, faults)
    }
}

impl Input for NewRouteBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::MailWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        self.read().1
    }
}

/// Changes of a route (RFC 7396): absent fields stay. `match` and `actions` are replaced as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InboundRoutePatch, example = json!({"enabled": false}))]
pub(crate) struct RoutePatchBody {
    /// For people, 1 to 100 characters.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// It is asked.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    enabled: Option<bool>,
    /// Lower ones are asked first; of equal ones the older.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, minimum = 0, maximum = 10_000)]
    priority: Option<i32>,
    /// Those after it are asked too when it matches.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    r#continue: Option<bool>,
    /// Which mail it is for.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<MatchBody>, nullable = false)]
    r#match: Option<Object<MatchBody>>,
    /// What becomes of that.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<ActionBody>>, nullable = false)]
    actions: Option<Vec<Object<ActionBody>>>,
}

impl RoutePatchBody {
    pub(super) fn read(self) -> (RoutePatch, Vec<FieldError>) {
        let mut faults = Vec::new();
        let none_given = self.actions.as_ref().is_some_and(Vec::is_empty);
        let patch = RoutePatch {
            name: self.name,
            enabled: self.enabled,
            priority: self.priority,
            go_on: self.r#continue,
            matches: self.r#match.map(|Object(matches)| matches.into()),
            actions: self.actions.map(|bodies| actions(bodies, &mut faults)),
        };
        let is_empty = patch.actions.as_ref().is_some_and(Vec::is_empty);
        let mut found = inbound_routes::update_faults(&patch);
        found.retain(|fault| none_given || !is_empty || fault.pointer != "/actions");
        faults.extend(found);
        (patch, faults)
    }
}

impl Input for RoutePatchBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::MailWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        self.read().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_body_is_read_whatever_is_wrong() {
        crate::extract::survives_wrong_types::<NewRouteBody>();
        crate::extract::survives_wrong_types::<RoutePatchBody>();
    }
}
