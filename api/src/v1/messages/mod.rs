//! `/v1/messages`: sending, and what became of it.

mod address;
mod answer;
mod batch;
mod content;
mod control;
mod draft;
mod input;
mod multipart;
mod output;
mod raw;
mod read;
mod resend;
mod send;
mod validate;

pub(super) use address::fault as address_fault;
pub(super) use draft::nobody;
pub(super) use output::Delivery;
pub(super) use read::status;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::state::ApiState;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(read::list_messages, send::send_message))
        .routes(routes!(multipart::send_multipart_message))
        .routes(routes!(raw::send_raw_message))
        .routes(routes!(batch::send_message_batch))
        .routes(routes!(validate::validate_message))
        .routes(routes!(answer::reply_to_mail))
        .routes(routes!(answer::forward_mail))
        .routes(routes!(read::get_message, control::update_message))
        .routes(routes!(control::cancel_message))
        .routes(routes!(control::hold_message))
        .routes(routes!(control::release_message))
        .routes(routes!(control::retry_message))
        .routes(routes!(content::get_message_content, control::redact_message))
        .routes(routes!(content::list_message_attachments))
        .routes(routes!(content::download_message_attachment))
        .routes(routes!(resend::resend_message))
        .routes(routes!(read::list_message_deliveries))
        .routes(routes!(read::list_message_events))
        .routes(routes!(read::download_message))
}
