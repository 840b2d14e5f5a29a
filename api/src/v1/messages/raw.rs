//! `POST /v1/messages/raw`: a complete message, with its envelope in the query.

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use bytes::Bytes;
use posthouse_core::{
    Cx, FieldError, Scope,
    messages::{Content, MAX_RECIPIENTS, NewMessage, OnSuppressed, Options, Protocol, Purpose},
};
use posthouse_mail::{
    address::{Address, parse_address_list},
    message::{header_fields, normalise_line_ends, split_header},
};
use time::OffsetDateTime;
use utoipa::IntoParams;

use super::{
    draft::{Converted, Faults, nobody},
    output::Submission,
    send::submit,
};
use crate::{
    answer::New,
    extract::{Caller, FromParams, Reader, idempotency_key, media_type, read_body},
    problem::{ApiResult, HttpCode, Problem, with_content},
    state::ApiState,
};

/// The envelope, and how to send.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what RawParams reads")]
struct RawQuery {
    /// Reverse-path, where reports go; empty: no reports. The address in From by default.
    from: Option<String>,
    /// A recipient; may stand more than once. By default the addresses in To, Cc and Bcc.
    #[param(style = Form, explode = true)]
    to: Option<Vec<String>>,
    /// A label of the caller; may stand more than once.
    #[param(style = Form, explode = true)]
    tags: Option<Vec<String>>,
    /// Not before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    scheduled_at: Option<String>,
    /// Not after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    expires_at: Option<String>,
    /// Store a copy in the mailbox Sent.
    save_to_sent: Option<bool>,
    /// Goes to the sandbox, never out.
    sandbox: Option<bool>,
    /// Everything is checked, but nothing is stored and nothing goes out.
    dry_run: Option<bool>,
    /// The caller's kind of mail, such as `transactional` or `bulk`.
    stream: Option<String>,
    /// Whether it needs TLS, as in `POST /v1/messages`; by default as its header field TLS-Required
    /// says.
    require_tls: Option<bool>,
    /// What a recipient on the suppression list means: `skip` (default) or `refuse`.
    on_suppressed: Option<String>,
}

struct RawParams {
    from: Option<String>,
    to: Vec<String>,
    tags: Vec<String>,
    scheduled_at: Option<OffsetDateTime>,
    expires_at: Option<OffsetDateTime>,
    save_to_sent: bool,
    sandbox: bool,
    dry_run: bool,
    stream: Option<String>,
    require_tls: Option<bool>,
    on_suppressed: OnSuppressed,
}

impl FromParams for RawParams {
    fn from_params(reader: &mut Reader) -> Self {
        let on_suppressed = match reader.text("on_suppressed").as_deref() {
            None | Some("skip") => OnSuppressed::Skip,
            Some("refuse") => OnSuppressed::Refuse,
            Some(_) => {
                reader.fault("on_suppressed", "invalid_value", "expected skip or refuse");
                OnSuppressed::Skip
            }
        };
        Self {
            from: reader.text("from"),
            to: reader.all("to"),
            tags: reader.all("tags"),
            scheduled_at: reader.time("scheduled_at"),
            expires_at: reader.time("expires_at"),
            save_to_sent: reader.parsed("save_to_sent", "true or false").unwrap_or_default(),
            sandbox: reader.parsed("sandbox", "true or false").unwrap_or_default(),
            dry_run: reader.parsed("dry_run", "true or false").unwrap_or_default(),
            stream: reader.text("stream"),
            require_tls: reader.parsed("require_tls", "true or false"),
            on_suppressed,
        }
    }
}

/// The whole request.
pub(crate) struct RawRequest {
    cx: Cx,
    params: RawParams,
    content: Bytes,
    /// Of the query and the header fields.
    faults: Vec<FieldError>,
}

impl FromRequest<ApiState> for RawRequest {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> ApiResult<Self> {
        let (mut parts, body) = request.into_parts();
        let Caller(cx) = Caller::from_request_parts(&mut parts, state).await?;
        // Before the upload; the operation asks again.
        cx.require(Scope::Send)?;
        let mut reader = Reader::new(parts.uri.query().unwrap_or_default());
        let params = RawParams::from_params(&mut reader);
        let mut faults = reader.into_faults();
        if media_type(&parts.headers).as_deref() != Some("message/rfc822") {
            let detail = "this operation takes Content-Type: message/rfc822";
            return Err(Problem::http(HttpCode::UnsupportedMediaType, detail));
        }
        let content = read_body(&parts, body, state).await?;
        let key = idempotency_key(&parts, &content, &mut faults);
        Ok(Self { cx: cx.with_idempotency(key), params, content, faults })
    }
}

/// Send a raw message
///
/// Sends a complete RFC 5322 message. Line ends become CR LF, Bcc is removed, Date and Message-ID
/// are added where they lack, and it is signed; nothing else is touched.
#[utoipa::path(post, path = "/messages/raw", tag = "messages", params(RawQuery),
    request_body(content = String, content_type = "message/rfc822",
        example = "From: alice@example.test\r\nTo: bob@example.net\r\nSubject: Hi\r\n\r\nHello\r\n"),
    security(("api_key" = ["send"])),
    responses(
        (status = 200, description = "It could be sent; nothing was stored (`dry_run`)",
            body = Submission),
        (status = 202, description = "It was taken for delivery", body = Submission,
            headers(("Location" = String, description = "Where it is")))))]
pub(crate) async fn send_raw_message(request: RawRequest) -> ApiResult<New<Submission>> {
    let RawRequest { cx, params, content, faults } = request;
    let mut converted = convert(params, content);
    converted.faults = with_content(faults, converted.faults);
    submit(&cx, converted).await
}

/// Stands in for a message that was refused; never gets further than here.
const STAND_IN: &[u8] = b"From: nobody@invalid.example\r\nTo: nobody@invalid.example\r\n\r\n";

fn convert(params: RawParams, content: Bytes) -> Converted {
    let mut faults = Faults::default();
    let mail_from = faults.reverse_path(params.from.as_deref(), "/from");
    let content = normalise_line_ends(content.into()).unwrap_or_else(|error| {
        faults.add("", "bare_line_end", &error.to_string());
        STAND_IN.to_vec()
    });
    let recipients = if params.to.is_empty() {
        header_recipients(&content, &mut faults)
    } else {
        let given = params.to.iter().enumerate();
        let read = |(index, text): (usize, &String)| {
            let address = faults.plain_address(text, &format!("/to/{index}"));
            address.unwrap_or_else(|| nobody().address)
        };
        given.map(read).collect()
    };
    let options = Options {
        tags: params.tags,
        scheduled_at: params.scheduled_at,
        expires_at: params.expires_at,
        save_to_sent: params.save_to_sent,
        sandbox: params.sandbox,
        dry_run: params.dry_run,
        stream: params.stream,
        require_tls: params.require_tls,
        on_suppressed: params.on_suppressed,
        protocol: Protocol::Http,
        purpose: Purpose::Mail,
        ..Options::default()
    };
    let content = Content::Raw(content.into());
    let (template, uploads) = (None, Vec::new());
    faults.with(NewMessage { mail_from, recipients, content, template, uploads, options })
}

/// The addresses of To, Cc and Bcc; each has to be a real one.
fn header_recipients(content: &[u8], faults: &mut Faults) -> Vec<Address> {
    // A message without a header end is refused by the core, with the right words.
    let Some((header, _)) = split_header(content) else {
        return Vec::new();
    };
    let names = ["to", "cc", "bcc"];
    let mut recipients = Vec::new();
    for (name, value) in header_fields(header) {
        let name = name.to_ascii_lowercase();
        if !names.contains(&name.as_str()) || recipients.len() > MAX_RECIPIENTS {
            continue;
        }
        for found in parse_address_list(value).addresses {
            let address = faults.plain_address(&found.email, &format!("/header/{name}"));
            recipients.push(address.unwrap_or_else(|| nobody().address));
        }
    }
    recipients
}

#[cfg(test)]
mod tests {
    use posthouse_core::FieldError;

    use super::*;

    fn send(query: &str, content: &'static str) -> Result<NewMessage, Vec<FieldError>> {
        let params = RawParams::from_params(&mut Reader::new(query));
        let converted = convert(params, Bytes::from_static(content.as_bytes()));
        if converted.faults.is_empty() { Ok(converted.new) } else { Err(converted.faults) }
    }

    fn recipients(new: &NewMessage) -> Vec<String> {
        new.recipients.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_header_gives_the_recipients_when_the_query_does_not() {
        let message = "To: A <a@x.test>,\n b@x.test\nBcc: c@x.test\n\nHello\n";
        let new = send("", message).unwrap();
        assert_eq!(recipients(&new), ["a@x.test", "b@x.test", "c@x.test"]);
        let Content::Raw(raw) = &new.content else { panic!("not raw") };
        assert!(raw.ends_with(b"\r\n\r\nHello\r\n"));
        let new = send("to=z@x.test&to=y@x.test", message).unwrap();
        assert_eq!(recipients(&new), ["z@x.test", "y@x.test"]);
    }

    #[test]
    fn all_faults_come_at_once() {
        let faults =
            send("from=a&to=b@x.test&to=c%0d%0aDATA@x.test", "To: a\n\rx\n\n").unwrap_err();
        let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["/from", "", "/to/1"]);
    }
}
