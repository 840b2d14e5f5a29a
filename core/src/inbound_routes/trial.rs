//! What the routes would do to a mail; nothing is changed.

use bytes::Bytes;
use posthouse_mail::{
    address::Address,
    message::{self, has_bare_cr_or_lf},
};

use super::{Facts, Keep, decide, store};
use crate::{
    cx::Cx,
    error::{Error, FieldError, Result},
    events::Routing,
    id::{Id, Mailbox},
    mails,
    scope::Scope,
};

/// Header fields of a mail that is made up.
const MAX_HEADERS: usize = 100;

/// A mail that might come in.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Recipient of the envelope.
    pub recipient: Address,
    /// Reverse-path; none: the empty one.
    pub sender: Option<Address>,
    /// The message as a whole (RFC 5322).
    pub raw: Option<String>,
    /// In its place: header fields by name and value.
    pub headers: Vec<(String, String)>,
}

/// What would become of it.
#[derive(Debug)]
pub struct TrialResult {
    /// `inbox`, `mailbox`, `dropped`, `forwarded` or `rejected`.
    pub outcome: &'static str,
    /// Where it would be.
    pub mailbox_id: Option<Id<Mailbox>>,
    /// What the sending server would be told.
    pub reject_text: Option<String>,
    /// To whom it would be sent on.
    pub forward_to: Vec<Address>,
    /// Which routes match, and what they would do.
    pub routing: Routing,
}

/// Asks the routes of the account.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn trial(cx: &Cx, trial: Trial) -> Result<TrialResult> {
    cx.require(Scope::MailRead)?;
    Error::unless_empty(trial_faults(&trial))?;
    let data = octets(&trial);
    let parsed = mails::parse(&data).await?;
    let mut conn = cx.platform().acquire().await?;
    let mut routes = store::list(&mut conn, cx.account()).await?;
    routes.retain(|route| route.enabled);
    let sender = trial.sender.as_ref().map(Address::to_string).unwrap_or_default();
    let recipient = trial.recipient.to_string();
    let facts = Facts::of((&sender, &recipient), &parsed, &data, &routes);
    let mut plan = decide(&routes, &facts);
    plan.settle(&mut conn, cx.account()).await?;
    let (outcome, mailbox_id) = match (&plan.reject, plan.keep()) {
        (Some(_), _) => ("rejected", None),
        (None, Keep::Inbox) => ("inbox", None),
        (None, Keep::Mailbox(mailbox)) => ("mailbox", Some(mailbox)),
        (None, Keep::Nowhere) if !plan.forward_to.is_empty() => ("forwarded", None),
        (None, Keep::Nowhere) => ("dropped", None),
    };
    let reject_text = plan.reject.take().map(|rejection| rejection.text);
    let forward_to = if reject_text.is_some() { Vec::new() } else { plan.forward_to };
    Ok(TrialResult { outcome, mailbox_id, reject_text, forward_to, routing: plan.routing })
}

/// Every fault that [`trial`] will find.
pub fn trial_faults(trial: &Trial) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if trial.raw.is_some() && !trial.headers.is_empty() {
        let detail = "give either the whole message or header fields";
        faults.push(FieldError::new("/headers", "unfitting_field", detail));
    }
    if trial.headers.len() > MAX_HEADERS {
        faults.push(FieldError::new("/headers", "too_many", format!("at most {MAX_HEADERS}")));
    }
    for (name, value) in trial.headers.iter().take(MAX_HEADERS) {
        let field = format!("{name}: {value}\r\n\r\n");
        let is_one = !has_bare_cr_or_lf(field.as_bytes())
            && message::header_fields(field.as_bytes()).count() == 1
            && message::split_header(field.as_bytes())
                .is_some_and(|(header, rest)| rest.is_empty() && header.len() + 2 == field.len());
        if !is_one {
            let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
            faults.push(FieldError::new(pointer, "invalid_header", "this is no header field"));
        }
    }
    faults
}

fn octets(trial: &Trial) -> Bytes {
    if let Some(raw) = &trial.raw {
        return Bytes::from(raw.clone());
    }
    let fields = trial.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    Bytes::from(fields.chain(["\r\n".to_owned()]).collect::<String>())
}
