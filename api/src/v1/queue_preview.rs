//! `GET /v1/queue/preview`: what would become of a message.

use std::net::IpAddr;

use axum::{Json, extract::FromRequestParts, http::request::Parts};
use posthouse_core::{
    Cx, Error, Id, Scope, id,
    mta_sts::Sts,
    ports::transport::{Dane, Host, Tls, Tlsa},
    queue::{self, PreviewOf, Problem, Via},
    suppressions,
};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::suppression_shapes::{Suppression, address};
use crate::{
    extract::{Caller, FromParams, Params, Reader},
    problem::{ApiResult, Problem as ProblemAnswer},
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(preview_delivery))
}

/// What would become of a message now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryPreview {
    /// Address of the envelope.
    #[schema(example = "bob@example.net")]
    recipient: String,
    /// Reverse-path; null: the null sender.
    sender: Option<String>,
    /// `direct`: to the recipient's exchangers; `relay`: to the smart host or the host of a
    /// transport; `local`: into a mailbox here; `sandbox`; `nowhere`: see `problem`.
    #[schema(value_type = String, example = "direct")]
    via: &'static str,
    /// The route that says so; null: none matches.
    #[schema(value_type = Option<String>)]
    route_id: Option<Id<id::Route>>,
    /// The transport that it takes; null: none.
    transport: Option<PreviewTransport>,
    /// Servers in the order in which they would be tried; equal preferences in random order.
    hosts: Vec<PreviewHost>,
    /// Their TCP port.
    #[schema(example = 25)]
    port: Option<u16>,
    /// How the connection is protected: `opportunistic`, `required`, `implicit` or `never`.
    #[schema(value_type = Option<String>, example = "opportunistic")]
    tls: Option<&'static str>,
    /// The MTA-STS policy of the recipient's domain; null: it has none, or the message does not go
    /// there directly.
    mta_sts: Option<PreviewPolicy>,
    /// The rule of `GET /v1/queue/lane-rules` that says how fast the hosts are used; null: none does.
    #[schema(example = "google")]
    lane_rule: Option<String>,
    /// Why it would not get anywhere; null: nothing is known against it.
    problem: Option<PreviewProblem>,
    /// Entries of the suppression list that apply: it would not be sent.
    suppressions: Vec<Suppression>,
    /// Rules that would hold it.
    holds: Vec<PreviewHold>,
    /// Deliveries of the account are not attempted at the moment.
    paused: bool,
    /// Nobody's deliveries are attempted at the moment.
    all_paused: bool,
    /// Limits of the account on recipients.
    limits: PreviewLimits,
}

/// A transport in a preview.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewTransport {
    /// Identifier.
    #[schema(value_type = String)]
    id: Id<id::Transport>,
    /// For people.
    name: String,
    /// `direct`, `smtp`, `submission`, `submissions` or `fail`.
    #[schema(value_type = String)]
    r#type: &'static str,
}

/// A server in a preview.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewHost {
    /// Its name.
    #[schema(example = "mx.example.net")]
    name: String,
    /// Of its MX record; null: there is none.
    preference: Option<u16>,
    /// Its addresses. The version of IP alternates from attempt to attempt.
    #[schema(value_type = Vec<String>)]
    addresses: Vec<IpAddr>,
    /// What its TLSA records ask for (DANE, RFC 7672); null: DNSSEC proves none.
    dane: Option<PreviewDane>,
    /// Why it would not be used at all; null: nothing is known against it.
    barred: Option<String>,
    /// The MTA-STS policy names it: where that is enforced, others are not used. Null: there is none.
    mta_sts_match: Option<bool>,
}

/// What the TLSA records of a server ask for. With them it is never spoken to in plain text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewDane {
    /// The records that count, as in a zone file. Empty: none can be used; the certificate may be
    /// any.
    #[schema(example = json!(["3 1 1 8bb6b5d0e0ac2a9a5c5ff27fcd4ccdc4fed4b5a4ec71a5ec1b9a3a9e6d6ec4a1"]))]
    records: Vec<String>,
    /// A certificate of DANE-TA has to be for one of these names.
    #[schema(example = json!(["mx.example.net", "example.net"]))]
    names: Vec<String>,
}

impl From<&Dane> for PreviewDane {
    fn from(dane: &Dane) -> Self {
        let record = |tlsa: &Tlsa| {
            let Tlsa { usage, selector, matching, data } = tlsa;
            format!("{usage} {selector} {matching} {}", hex::encode(data))
        };
        Self {
            records: dane.records.iter().map(record).collect(),
            names: dane.names.iter().map(ToString::to_string).collect(),
        }
    }
}

/// An MTA-STS policy in a preview.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewPolicy {
    /// `enforce`: only hosts that it names, with a certificate that verifies; `testing` and `none`:
    /// as without. Null: see `error`.
    #[schema(value_type = Option<String>, example = "enforce")]
    mode: Option<&'static str>,
    /// Names of mail exchangers; `*.` stands for one label.
    mx: Vec<String>,
    /// From then on it does not hold any more, unless it is fetched again.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
    /// Why it could not be fetched, when none is known from before.
    error: Option<String>,
}

impl PreviewPolicy {
    fn of(sts: &Sts) -> Option<Self> {
        match sts {
            Sts::Absent => None,
            Sts::Unavailable(_, error) => {
                let error = Some(error.to_string());
                Some(Self { mode: None, mx: Vec::new(), expires_at: None, error })
            }
            Sts::Found(policy) => Some(Self {
                mode: Some(policy.mode.as_str()),
                mx: policy.mx.clone(),
                expires_at: Some(policy.expires_at),
                error: None,
            }),
        }
    }
}

/// Why an attempt would not get anywhere.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewProblem {
    /// The delivery would fail; else it would wait for the next attempt.
    permanent: bool,
    /// Enhanced status code (RFC 3463).
    #[schema(example = "5.1.10")]
    enhanced_code: String,
    /// What is wrong.
    detail: String,
}

/// A rule that would hold the delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewHold {
    /// Identifier.
    #[schema(value_type = String)]
    id: Id<id::Hold>,
    /// Why, for people.
    reason: String,
    /// From then on it holds nothing new; null: until it is deleted.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
}

/// Limits on recipients in 24 hours, and what was used of them while there were any.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewLimits {
    /// Recipients; null: no limit.
    recipients_per_day: Option<i64>,
    /// Recipients in the last 24 hours.
    recipients: i64,
    /// Recipients that the account has not written to before; null: no limit.
    new_recipients_per_day: Option<i64>,
    /// Such recipients in the last 24 hours.
    new_recipients: i64,
}

impl PreviewHost {
    fn new(host: Host, sts: &Sts) -> Self {
        let mta_sts_match = match sts {
            Sts::Found(policy) => Some(policy.covers(&host.name)),
            Sts::Absent | Sts::Unavailable(..) => None,
        };
        Self {
            name: host.name.to_string(),
            preference: host.preference,
            addresses: host.addresses,
            dane: host.security.dane.as_deref().map(Into::into),
            barred: host.security.barred.as_deref().map(|reply| reply.text.clone()),
            mta_sts_match,
        }
    }
}

impl From<Problem> for PreviewProblem {
    fn from(problem: Problem) -> Self {
        Self { permanent: problem.permanent, enhanced_code: problem.enhanced, detail: problem.text }
    }
}

impl DeliveryPreview {
    fn new(of: &PreviewOf, found: queue::Preview) -> Self {
        let hold = |hold: queue::Hold| PreviewHold {
            id: hold.id,
            reason: hold.reason,
            expires_at: hold.expires_at,
        };
        let transport = |(id, name, kind): (_, _, posthouse_core::routing::Kind)| {
            PreviewTransport { id, name, r#type: kind.as_str() }
        };
        Self {
            recipient: of.recipient.to_string(),
            sender: of.sender.as_ref().map(ToString::to_string),
            via: via(found.via),
            route_id: found.route,
            transport: found.transport.map(transport),
            hosts: found.hosts.into_iter().map(|host| PreviewHost::new(host, &found.sts)).collect(),
            port: found.port,
            tls: found.tls.map(tls),
            mta_sts: PreviewPolicy::of(&found.sts),
            lane_rule: found.lane_rule,
            problem: found.problem.map(Into::into),
            suppressions: found.suppressions.into_iter().map(Into::into).collect(),
            holds: found.holds.into_iter().map(hold).collect(),
            paused: found.state.paused,
            all_paused: found.state.all_paused,
            limits: PreviewLimits {
                recipients_per_day: found.usage.limits.recipients_per_day,
                recipients: found.usage.recipients,
                new_recipients_per_day: found.usage.limits.new_recipients_per_day,
                new_recipients: found.usage.new_recipients,
            },
        }
    }
}

const fn via(via: Via) -> &'static str {
    match via {
        Via::Local => "local",
        Via::Sandbox => "sandbox",
        Via::Direct => "direct",
        Via::Relay => "relay",
        Via::Nowhere => "nowhere",
    }
}

const fn tls(tls: Tls) -> &'static str {
    match tls {
        Tls::Opportunistic => "opportunistic",
        Tls::Required => "required",
        Tls::Implicit => "implicit",
        Tls::Never => "never",
    }
}

/// Of what message.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what PreviewRequest reads")]
struct PreviewParams {
    /// Address of the envelope.
    #[param(example = "bob@example.net")]
    recipient: String,
    /// Reverse-path; the null sender by default.
    sender: Option<String>,
    /// Topic or stream that suppressions are asked about besides those of all mail.
    topic: Option<String>,
    /// Attempts already made, for routes that ask; 0 by default.
    #[param(minimum = 0, maximum = 1000)]
    attempts: Option<u16>,
}

struct PreviewRequest(Option<PreviewOf>);

impl FromParams for PreviewRequest {
    fn from_params(reader: &mut Reader) -> Self {
        let read = |reader: &mut Reader, name: &str| {
            let text = reader.text(name)?;
            let read = address(&text, name);
            read.map_err(|fault| reader.fault(name, fault.code, &fault.detail)).ok()
        };
        let recipient = read(reader, "recipient");
        if recipient.is_none() && !reader.has_fault("recipient") {
            reader.fault("recipient", "required", "say who is to get the message");
        }
        let sender = read(reader, "sender");
        let topic = reader.text("topic");
        if topic.as_deref().is_some_and(|topic| !suppressions::is_topic(topic)) {
            let detail = "a topic has 1 to 64 ASCII letters, digits, dots, underscores and hyphens";
            reader.fault("topic", "invalid_topic", detail);
        }
        let attempts = reader.parsed("attempts", "a number from 0 to 1000").unwrap_or(0);
        if attempts > 1000 {
            reader.fault("attempts", "out_of_range", "expected 0 to 1000");
        }
        Self(recipient.map(|recipient| PreviewOf { recipient, sender, topic, attempts }))
    }
}

/// Who asks, and of what message; strangers to the queue do not learn what is missing.
struct PreviewCall {
    cx: Cx,
    of: PreviewOf,
}

impl FromRequestParts<ApiState> for PreviewCall {
    type Rejection = ProblemAnswer;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        let Caller(cx) = Caller::from_request_parts(parts, state).await?;
        cx.require(Scope::QueueRead)?;
        let Params(PreviewRequest(of)) = Params::from_request_parts(parts, state).await?;
        // Without a recipient there was a fault.
        let of = of.ok_or_else(|| Error::internal("no fault of a parameter was noted"))?;
        Ok(Self { cx, of })
    }
}

/// Preview a delivery
///
/// Where a message of the account would go if it were attempted now, and what stands in its way:
/// exchangers and addresses as the attempt would look them up, route and transport, TLS and MTA-STS,
/// suppressions, hold rules, pauses and limits. Nothing is sent; only DNS, and the web server of an
/// MTA-STS policy that is not known yet, are asked.
#[utoipa::path(get, path = "/queue/preview", tag = "queue", params(PreviewParams),
    security(("api_key" = ["queue:read"])),
    responses((status = 200, description = "What would become of it", body = DeliveryPreview)))]
async fn preview_delivery(PreviewCall { cx, of }: PreviewCall) -> ApiResult<Json<DeliveryPreview>> {
    let found = queue::preview(&cx, &of).await?;
    Ok(Json(DeliveryPreview::new(&of, found)))
}
