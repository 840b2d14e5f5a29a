//! `POST /v1/mail/{id}/reply` and `/forward`: messages made from a mail.

use std::collections::BTreeMap;

use posthouse_core::{
    Cx, Error, FieldError, Scope, id,
    mails::{self, AnswerKind, NewAnswer},
    messages::Content,
};
use posthouse_mail::{address::NamedAddress, answer::To};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    address::{AddressInput, AddressesInput},
    draft::Converted,
    input::{self, NewFile},
    output::Submission,
    send,
};
use crate::{
    answer::New,
    extract::{CreateAt, Input, Object},
    problem::{ApiResult, Problem},
    v1::fields::Time,
};

/// An answer to a mail.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"text": "Thank you, that suits me well.", "reply_all": true}))]
pub(crate) struct NewReply {
    /// Also to the other recipients of the mail, or to whom its Mail-Followup-To names.
    reply_all: Option<bool>,
    /// The mail stands below, quoted; so by default.
    quote: Option<bool>,
    /// The author: by default the address that the mail came to.
    from: Option<AddressInput>,
    /// Recipients, instead of Reply-To or From of the mail.
    to: Option<AddressesInput>,
    /// Recipients of a copy, instead of those that follow from the mail.
    cc: Option<AddressesInput>,
    /// Recipients that the others do not see.
    bcc: Option<AddressesInput>,
    /// Subject, instead of that of the mail with `Re:`.
    subject: Option<String>,
    /// Body as plain text; this or `html` is needed.
    text: Option<String>,
    /// Body as HTML.
    html: Option<String>,
    /// Files.
    #[schema(value_type = Option<Vec<NewFile>>)]
    attachments: Option<Vec<Object<NewFile>>>,
    /// Labels of the caller, in every event of the message; at most 20.
    tags: Option<Vec<String>>,
    /// The caller's own data, in every event of the message; at most 50 entries.
    metadata: Option<BTreeMap<String, String>>,
    /// Not before this time, at most 60 days ahead.
    #[schema(value_type = Option<String>, format = DateTime)]
    scheduled_at: Option<Time>,
    /// Not after this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Time>,
    /// Store a copy in the mailbox Sent; so by default.
    save_to_sent: Option<bool>,
    /// Goes to the sandbox, never out.
    sandbox: Option<bool>,
}

/// A mail to send on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"to": ["carol@example.net"], "text": "For your information."}))]
pub(crate) struct NewForward {
    /// The whole mail is attached as a file (`message/rfc822`); by default its text stands below and
    /// its files are attached.
    as_attachment: Option<bool>,
    /// The author: by default the address that the mail came to.
    from: Option<AddressInput>,
    /// Recipients.
    to: Option<AddressesInput>,
    /// Recipients of a copy.
    cc: Option<AddressesInput>,
    /// Recipients that the others do not see.
    bcc: Option<AddressesInput>,
    /// Subject, instead of that of the mail with `Fwd:`.
    subject: Option<String>,
    /// Plain text above the mail.
    text: Option<String>,
    /// HTML above the mail.
    html: Option<String>,
    /// Further files.
    #[schema(value_type = Option<Vec<NewFile>>)]
    attachments: Option<Vec<Object<NewFile>>>,
    /// Labels of the caller, in every event of the message; at most 20.
    tags: Option<Vec<String>>,
    /// The caller's own data, in every event of the message; at most 50 entries.
    metadata: Option<BTreeMap<String, String>>,
    /// Not before this time, at most 60 days ahead.
    #[schema(value_type = Option<String>, format = DateTime)]
    scheduled_at: Option<Time>,
    /// Not after this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Time>,
    /// Store a copy in the mailbox Sent; so by default.
    save_to_sent: Option<bool>,
    /// Goes to the sandbox, never out.
    sandbox: Option<bool>,
}

/// What both have in common, as a message, and what is known besides.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not states")]
struct Answer {
    kind: AnswerKind,
    quote: bool,
    has_from: bool,
    has_to: bool,
    has_cc: bool,
    subject: Option<String>,
    message: input::NewMessage,
}

/// The fields that both have, as those of a message.
macro_rules! answer {
    ($body:expr, $kind:expr, $quote:expr) => {{
        let body = $body;
        let (has_from, has_to) = (body.from.is_some(), body.to.is_some());
        let mut message = nothing();
        message.from = body.from.unwrap_or(message.from);
        let has_cc = body.cc.is_some();
        (message.to, message.cc, message.bcc) = (body.to, body.cc, body.bcc);
        (message.text, message.html) = (body.text, body.html);
        message.attachments = body.attachments;
        (message.tags, message.metadata) = (body.tags, body.metadata);
        (message.scheduled_at, message.expires_at) = (body.scheduled_at, body.expires_at);
        message.save_to_sent = Some(body.save_to_sent.unwrap_or(true));
        message.sandbox = body.sandbox;
        let (kind, quote, subject) = ($kind, $quote, body.subject);
        Answer { kind, quote, has_from, has_to, has_cc, subject, message }
    }};
}

/// A message without anything; its author stands in for one who is found out later.
#[expect(clippy::expect_used, reason = "a constant of ours")]
fn nothing() -> input::NewMessage {
    let message = serde_json::json!({"from": "nobody@invalid.example"});
    serde_json::from_value(message).expect("an author is all that a message needs")
}

impl From<NewReply> for Answer {
    fn from(body: NewReply) -> Self {
        let to = if body.reply_all.unwrap_or_default() { To::All } else { To::Author };
        let quote = body.quote.unwrap_or(true);
        answer!(body, AnswerKind::Reply(to), quote)
    }
}

impl From<NewForward> for Answer {
    fn from(body: NewForward) -> Self {
        let as_file = body.as_attachment.unwrap_or_default();
        let kind = if as_file { AnswerKind::ForwardAsFile } else { AnswerKind::Forward };
        answer!(body, kind, true)
    }
}

impl Input for NewReply {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::Send)?;
        cx.require(Scope::MailRead)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        super::draft::convert(Answer::from(self).message, Vec::new()).faults
    }
}

impl Input for NewForward {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::Send)?;
        cx.require(Scope::MailRead)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        super::draft::convert(Answer::from(self).message, Vec::new()).faults
    }
}

/// Answer a mail
///
/// Makes a message as a mail program does and sends it: to Reply-To or From of the mail (of a mail
/// of one's own: to its recipients), with `Re:` before the subject, In-Reply-To and References, and
/// the mail quoted below. The mail gets the flag `\Answered` when the message is taken, in the same
/// transaction. The mail itself and what else is wrong with the request can be named only one after
/// the other.
#[utoipa::path(post, path = "/mail/{id}/reply", tag = "mail", request_body = NewReply,
    security(("api_key" = ["send", "mail:read"])),
    params(("id" = String, Path, description = "Mail", example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 202, description = "It was taken for delivery", body = Submission,
        headers(("Location" = String, description = "Where it is")))))]
pub(crate) async fn reply_to_mail(
    CreateAt { cx, id, body }: CreateAt<id::Mail, NewReply>,
) -> ApiResult<New<Submission>> {
    submit(&cx, id, body.into()).await
}

/// Forward a mail
///
/// Makes a message as a mail program does and sends it: with `Fwd:` before the subject, the text of
/// the mail below and its files attached, or the whole mail as a file. The mail gets the flag
/// `$Forwarded` when the message is taken, in the same transaction.
#[utoipa::path(post, path = "/mail/{id}/forward", tag = "mail", request_body = NewForward,
    security(("api_key" = ["send", "mail:read"])),
    params(("id" = String, Path, description = "Mail", example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 202, description = "It was taken for delivery", body = Submission,
        headers(("Location" = String, description = "Where it is")))))]
pub(crate) async fn forward_mail(
    CreateAt { cx, id, body }: CreateAt<id::Mail, NewForward>,
) -> ApiResult<New<Submission>> {
    submit(&cx, id, body.into()).await
}

async fn submit(
    cx: &Cx,
    mail: posthouse_core::Id<id::Mail>,
    answer: Answer,
) -> ApiResult<New<Submission>> {
    let Answer { kind, quote, has_from, has_to, has_cc, subject, message } = answer;
    let Converted { new, faults, single } = send::converted(message, Vec::new()).await?;
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let Content::Composed(draft) = new.content else {
        return Err(Error::internal("a draft was expected").into());
    };
    let shown = draft.to.len() + draft.cc.len();
    let hidden = new.recipients.into_iter().skip(shown);
    let answer = NewAnswer {
        mail,
        kind,
        from: has_from.then_some(draft.from),
        to: has_to.then_some(draft.to),
        cc: has_cc.then_some(draft.cc),
        bcc: hidden.map(|address| NamedAddress { name: None, address }).collect(),
        subject,
        text: draft.text,
        html: draft.html,
        quote,
        attachments: draft.attachments,
        uploads: new.uploads,
        options: new.options,
    };
    let created = mails::answer(cx, answer).await.map_err(|error| send::fitting(error, &single))?;
    let answer = New::created(created, "/v1/messages", |submission| {
        (submission.id.to_string(), submission.into())
    });
    Ok(answer.accepted())
}
