//! Version 1 of the API: one file per noun.

mod account;
mod accounts;
mod api_keys;
mod app_passwords;
mod audit_log;
mod auth;
mod deliveries;
mod dkim_keys;
mod domain_checks;
mod domains;
mod events;
mod fields;
mod inbound_route_shapes;
mod inbound_routes;
mod lane_rules;
mod limits;
mod mail;
mod mail_bulk;
mod mail_changes;
mod mail_feed;
mod mail_redeliver;
mod mail_routes;
mod mail_shapes;
mod mail_show;
mod mailboxes;
mod messages;
mod mta_sts_policies;
mod queue;
mod queue_bulk;
mod queue_holds;
mod queue_preview;
mod sandbox;
mod sessions;
mod stream;
mod suppression_files;
mod suppression_shapes;
mod suppressions;
mod template_shapes;
mod templates;
mod threads;
mod tls_reports;
mod transports;
mod uploads;
mod webhook_calls;
mod webhook_docs;
mod webhook_examples;
mod webhook_replays;
mod webhook_secrets;
mod webhook_shapes;
mod webhook_statistics;
mod webhooks;

use utoipa_axum::router::OpenApiRouter;

pub(crate) use auth::well_known_router;
pub(crate) use webhook_docs::describe_webhooks;

use crate::state::ApiState;

/// Everything under `/v1` that answers soon.
pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(messages::router())
        .merge(uploads::router())
        .merge(deliveries::router())
        .merge(events::router())
        .merge(webhooks::router())
        .merge(webhook_secrets::router())
        .merge(webhook_calls::router())
        .merge(webhook_replays::router())
        .merge(webhook_statistics::router())
        .merge(queue::router())
        .merge(queue_holds::router())
        .merge(queue_bulk::router())
        .merge(queue_preview::router())
        .merge(lane_rules::router())
        .merge(transports::router())
        .merge(mail_routes::router())
        .merge(mta_sts_policies::router())
        .merge(tls_reports::router())
        .merge(suppressions::router())
        .merge(templates::router())
        .merge(mailboxes::router())
        .merge(inbound_routes::router())
        .merge(mail::router())
        .merge(mail_show::router())
        .merge(threads::router())
        .merge(mail_changes::router())
        .merge(mail_bulk::router())
        .merge(mail_feed::router())
        .merge(mail_redeliver::router())
        .merge(sandbox::router())
        .merge(domains::router())
        .merge(dkim_keys::router())
        .merge(domain_checks::router())
        .merge(accounts::router())
        .merge(account::router())
        .merge(limits::router())
        .merge(app_passwords::router())
        .merge(sessions::router())
        .merge(auth::router())
        .merge(audit_log::router())
        .merge(api_keys::router())
}

/// What waits on purpose, with its whole path.
pub(crate) fn patient_router() -> OpenApiRouter<ApiState> {
    sandbox::patient_router().merge(mail_feed::patient_router())
}

#[cfg(test)]
mod tests;
