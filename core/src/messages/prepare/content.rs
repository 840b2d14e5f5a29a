//! Making the final octets: composing, completing the header, signing.

use std::sync::Arc;

use bytes::Bytes;
use posthouse_mail::{
    address::Address,
    compose,
    message::{self, Inspection},
};
use time::OffsetDateTime;

use super::{Finished, authentication_results, date_field, received, sign, split};
use crate::{
    accounts::DomainInfo,
    error::{Error, FieldError, Result},
    messages::{Content, Protocol},
};

const USER_AGENT: &str = concat!("posthouse/", env!("CARGO_PKG_VERSION"));

/// All that is needed beside the content.
pub(super) struct Job {
    /// The id of the message as the world may see it.
    pub trace: String,
    pub now: OffsetDateTime,
    pub hostname: String,
    /// The recipient, if there is only one.
    pub recipient: Option<Address>,
    /// What is wanted of TLS.
    pub require_tls: Option<bool>,
    pub signers: Arc<DomainInfo>,
    pub from: Address,
    pub inspected: Option<Inspection>,
}

/// Looks at the header of a raw message; adds what is wrong with it to `faults`.
pub(super) fn inspect(content: &Content, faults: &mut Vec<FieldError>) -> Option<Inspection> {
    let Content::Raw(raw) = content else {
        return None;
    };
    if message::has_bare_cr_or_lf(raw) {
        let detail = "lines of a message end in CR LF; this one has a CR or LF alone";
        faults.push(FieldError::new("", "bare_line_end", detail));
        return None;
    }
    let inspected = message::inspect(raw);
    let inspected = inspected
        .map_err(|error| faults.push(FieldError::new("", "invalid_message", error.to_string())))
        .ok()?;
    if inspected.has_return_path {
        let detail = "a submitted message has no Return-Path field";
        faults.push(FieldError::new("", "return_path", detail));
    }
    if inspected.received_count > crate::inbound::MAX_RECEIVED {
        let detail = "the message has too many Received fields: it is in a loop";
        faults.push(FieldError::new("", "mail_loop", detail));
    }
    Some(inspected)
}

/// Makes the octets that go out. Takes a while (RSA): not for the reactor.
pub(super) fn finish(job: &Job, content: Content, protocol: &Protocol) -> Result<Finished> {
    match content {
        Content::Composed(draft) => {
            let default_id = message_id(job);
            let body = compose::compose(&draft, job.now, &default_id, USER_AGENT);
            let (header, text) = split(&body)?;
            let prefix = prefix(job, protocol, "", header, text)?;
            let smtputf8 = !header.is_ascii();
            let eight_bit = !text.is_ascii();
            Ok(Finished {
                header_from: draft.from.to_string(),
                subject: draft.subject,
                internet_message_id: draft.message_id.unwrap_or(default_id),
                prefix,
                smtputf8,
                eight_bit,
                body: Bytes::from(body),
            })
        }
        Content::Raw(raw) => finish_raw(job, raw, protocol),
    }
}

fn finish_raw(job: &Job, raw: Bytes, protocol: &Protocol) -> Result<Finished> {
    let inspected =
        job.inspected.as_ref().ok_or_else(|| Error::internal("raw message was not inspected"))?;
    let body = if inspected.has_bcc {
        Bytes::from(message::strip_header_fields(&raw, &["Bcc"]))
    } else {
        raw
    };
    let mut added = String::new();
    let internet_message_id = match &inspected.message_id {
        Some(id) => id.clone(),
        None => message_id(job),
    };
    if !inspected.has_message_id {
        added.push_str("Message-ID: ");
        added.push_str(&internet_message_id);
        added.push_str("\r\n");
    }
    if !inspected.has_date {
        added.push_str(&date_field(job.now));
    }
    if job.require_tls == Some(false) && inspected.waives_tls != Some(true) {
        added.push_str("TLS-Required: No\r\n");
    }
    let (header, text) = split(&body)?;
    let prefix = prefix(job, protocol, &added, header, text)?;
    Ok(Finished {
        header_from: inspected.from.to_string(),
        subject: inspected.subject.clone().unwrap_or_default(),
        internet_message_id,
        prefix,
        smtputf8: inspected.needs_smtputf8,
        eight_bit: inspected.has_8bit,
        body,
    })
}

/// Trace fields, the signatures over everything below, then the fields that were missing.
fn prefix(
    job: &Job,
    protocol: &Protocol,
    added: &str,
    header: &[u8],
    text: &[u8],
) -> Result<Vec<u8>> {
    let signatures = if added.is_empty() {
        sign(job, header, text)?
    } else {
        sign(job, &[added.as_bytes(), header].concat(), text)?
    };
    let mut prefix = authentication_results(job, protocol).into_bytes();
    prefix.extend_from_slice(received(job, protocol).as_bytes());
    prefix.extend_from_slice(&signatures);
    prefix.extend_from_slice(added.as_bytes());
    Ok(prefix)
}

fn message_id(job: &Job) -> String {
    format!("<{}@{}>", job.trace, job.from.domain())
}
