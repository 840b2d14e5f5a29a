//! Answering and forwarding a mail: a message made as a mail program would, sent through
//! [`messages::submit`], and the mark on the mail it answers, all in one transaction.

use std::collections::{HashMap, HashSet};

use posthouse_mail::{
    address::{Address, NamedAddress},
    answer::{self, To},
    compose::{Disposition, Draft, File},
    html::Remote,
    message::MAX_HEADER,
    parse::{self, EmailAddress, Envelope, ParsedMail},
};

use super::{
    change::{ANY_STATE, Edit, Marks, edit},
    read, show,
};
use crate::{
    accounts,
    cx::{Cx, Tx},
    error::{Error, FieldError, Result},
    id::{self, Account, Id},
    idempotency::Created,
    messages::{self, Content, NewMessage, Options, Submission},
    scope::Scope,
    spool::Arrived,
    uploads::{Attached, Place},
};

/// A forwarded mail is in memory as it came, decoded, and composed.
const FORWARD_COPIES: u64 = 4;
/// `\Answered`.
const ANSWERED: i32 = 2;
/// `$Forwarded`.
const FORWARDED: i32 = 32;

/// What is done with a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// It is answered.
    Reply(To),
    /// Its text and files are sent on.
    Forward,
    /// It is sent on as a file.
    ForwardAsFile,
}

/// An answer to a mail, or a mail sent on.
#[derive(Debug, Clone)]
pub struct NewAnswer {
    /// The mail.
    pub mail: Id<id::Mail>,
    /// What is done with it.
    pub kind: AnswerKind,
    /// Author; by default the address that the mail came to.
    pub from: Option<NamedAddress>,
    /// Recipients instead of those that follow from the mail.
    pub to: Option<Vec<NamedAddress>>,
    /// Copied recipients instead of those that follow from the mail.
    pub cc: Option<Vec<NamedAddress>>,
    /// Recipients that the others do not see.
    pub bcc: Vec<NamedAddress>,
    /// Subject instead of the one that follows from the mail.
    pub subject: Option<String>,
    /// Text.
    pub text: Option<String>,
    /// HTML.
    pub html: Option<String>,
    /// What is answered stands below.
    pub quote: bool,
    /// Further files.
    pub attachments: Vec<File>,
    /// Uploads whose octets these files have.
    pub uploads: Vec<Attached>,
    /// How to send.
    pub options: Options,
}

/// A mark that a mail gets when a message is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub account: Id<Account>,
    mail: Id<id::Mail>,
    flag: i32,
}

/// Sends an answer. When this returns, it is committed, with `\Answered` or `$Forwarded` on the mail.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`, and those of [`messages::submit`].
pub async fn answer(cx: &Cx, new: NewAnswer) -> Result<Created<Submission>> {
    cx.require(Scope::Send)?;
    cx.require(Scope::MailRead)?;
    faults(&new)?;
    let (octets, content) = read::octets(cx, new.mail).await?;
    let header = u64::try_from(content.structure.0.header_length.min(MAX_HEADER));
    let header = octets.slice(0..header.unwrap_or(u64::MAX)).bytes().await?;
    let envelope = ParsedMail::parse(&header).envelope;
    let mine = Mine::load(cx).await?;
    let from = new.from.clone().or_else(|| mine.author(&envelope, &header));
    let from = from.ok_or_else(|| {
        let detail = "none of the mail's recipients is an address of this account: say from";
        Error::field("/from", "missing", detail)
    })?;
    let mut draft = Draft::new(from);
    // The share of the memory lasts until the message is written.
    let _memory = match new.kind {
        AnswerKind::Reply(to) => {
            let followup = answer::followup_to(&header);
            let is_mine = |address: &Address| mine.has(address);
            let recipients = answer::recipients(&envelope, &followup, to, is_mine);
            (draft.to, draft.cc) = (recipients.to, recipients.cc);
            draft.subject = answer::reply_subject(envelope.subject.as_deref().unwrap_or(""));
            (draft.in_reply_to, draft.references) = answer::references(&envelope);
            quote(cx, &new, &envelope, &mut draft).await?;
            None
        }
        AnswerKind::Forward | AnswerKind::ForwardAsFile => {
            draft.subject = answer::forward_subject(envelope.subject.as_deref().unwrap_or(""));
            draft.references = answer::references(&envelope).1;
            let Arrived { bytes, memory } =
                octets.load(cx.platform().memory(), FORWARD_COPIES).await?;
            if new.kind == AnswerKind::Forward {
                forward(cx, &new, &envelope, &mut draft).await?;
                draft.attachments = files(bytes, content.structure.0).await?;
            } else {
                (draft.text, draft.html) = (new.text.clone(), new.html.clone());
                draft.attachments.push(whole(&envelope, &bytes));
            }
            Some(memory)
        }
    };
    let flag = if matches!(new.kind, AnswerKind::Reply(_)) { ANSWERED } else { FORWARDED };
    let mark = Mark { account: cx.account(), mail: new.mail, flag };
    messages::submit_marking(cx, message(new, draft), mark).await
}

/// Every fault that needs no mail to be seen.
fn faults(new: &NewAnswer) -> Result<()> {
    let mut faults = Vec::new();
    if matches!(new.kind, AnswerKind::Reply(_)) && new.text.is_none() && new.html.is_none() {
        faults.push(FieldError::new("", "missing_body", "an answer needs text or html"));
    }
    let nobody = new.to.as_ref().is_none_or(Vec::is_empty)
        && new.cc.as_ref().is_none_or(Vec::is_empty)
        && new.bcc.is_empty();
    if nobody && !matches!(new.kind, AnswerKind::Reply(_)) {
        let detail = "say in to, cc or bcc to whom the mail goes";
        faults.push(FieldError::new("/to", "no_recipients", detail));
    }
    Error::unless_empty(faults)
}

/// What the caller says wins over what follows from the mail.
fn message(mut new: NewAnswer, mut draft: Draft) -> NewMessage {
    draft.to = new.to.unwrap_or(draft.to);
    draft.cc = new.cc.unwrap_or(draft.cc);
    draft.subject = new.subject.unwrap_or(draft.subject);
    // Behind the files of the mail.
    for upload in &mut new.uploads {
        if let Place::Attachment(at) = &mut upload.place {
            *at += draft.attachments.len();
        }
    }
    draft.attachments.extend(new.attachments);
    let everybody = draft.to.iter().chain(&draft.cc).chain(&new.bcc);
    let recipients = everybody.map(|named| named.address.clone()).collect();
    let content = Content::Composed(Box::new(draft));
    NewMessage {
        mail_from: None,
        recipients,
        content,
        template: None,
        uploads: new.uploads,
        options: new.options,
    }
}

/// Text and HTML of an answer.
async fn quote(cx: &Cx, new: &NewAnswer, mail: &Envelope, draft: &mut Draft) -> Result<()> {
    (draft.text, draft.html) = (new.text.clone(), new.html.clone());
    if !new.quote {
        return Ok(());
    }
    if let Some(text) = &new.text {
        let original = show::text(cx, new.mail).await?;
        draft.text = Some(answer::quote_text(text, mail, &original));
    }
    if let Some(html) = &new.html {
        // Pictures of the mail do not come along: they would point nowhere.
        let original = shown(cx, new.mail, |_| HashMap::new()).await?;
        draft.html = Some(answer::quote_html(html, mail, &original));
    }
    Ok(())
}

/// Text and HTML of a mail that is sent on; HTML if the mail or the caller has some.
async fn forward(cx: &Cx, new: &NewAnswer, mail: &Envelope, draft: &mut Draft) -> Result<()> {
    let found = show::texts(cx, new.mail).await?;
    let original = match (&found.text, &found.html) {
        (Some(text), _) => text.clone(),
        (None, html) => parse::html_to_text(html.as_deref().unwrap_or("")),
    };
    let above = new.text.as_deref().unwrap_or("");
    draft.text = Some(answer::forward_text(above, mail, &original));
    if found.html.is_some() || new.html.is_some() {
        let cid = |root: &parse::Part| show::inline_parts(root, |id, _| format!("cid:{id}"));
        let original = shown(cx, new.mail, cid).await?;
        let text = || posthouse_mail::html::from_text(above);
        let above = new
            .html
            .clone()
            .unwrap_or_else(|| if above.is_empty() { String::new() } else { text() });
        draft.html = Some(answer::forward_html(&above, mail, &original));
    }
    Ok(())
}

/// The HTML of a mail as it can stand in another.
async fn shown(
    cx: &Cx,
    mail: Id<id::Mail>,
    parts: impl Fn(&parse::Part) -> HashMap<String, String>,
) -> Result<String> {
    let found = show::texts(cx, mail).await?;
    let Some(html) = found.html else {
        return Ok(posthouse_mail::html::from_text(&found.text.unwrap_or_default()));
    };
    Ok(show::sanitise(html, Remote::Load, parts(&found.structure)).await?.html)
}

/// The files of a mail, decoded.
async fn files(octets: bytes::Bytes, structure: parse::Part) -> Result<Vec<File>> {
    let work = move || {
        let infos = parse::attachments(&structure);
        let file = |info: parse::AttachmentInfo| {
            let part = parse::find_part(&structure, &info.path)?;
            Some(File {
                filename: info.filename,
                content_type: Some(info.content_type),
                content: parse::decode_part(&octets, part),
                content_id: info.content_id,
                disposition: if info.inline {
                    Disposition::Inline
                } else {
                    Disposition::Attachment
                },
            })
        };
        infos.into_iter().filter_map(file).collect()
    };
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}

/// A mail as a file.
fn whole(envelope: &Envelope, octets: &[u8]) -> File {
    let subject = envelope.subject.as_deref().unwrap_or("").trim();
    let safe = |c: char| if matches!(c, '/' | '\\' | ':' | '\t') { '_' } else { c };
    let name: String = subject.chars().take(80).map(safe).collect();
    let name = if name.is_empty() { "mail".to_owned() } else { name };
    File {
        filename: Some(format!("{name}.eml")),
        content_type: Some("message/rfc822".to_owned()),
        content: octets.to_vec(),
        content_id: None,
        disposition: Disposition::Attachment,
    }
}

/// The addresses of the account, as the rules of their domains read them.
struct Mine {
    /// As written, without catch-alls.
    written: Vec<NamedAddress>,
    /// Canonical local part and domain; no local part: all of the domain.
    canonical: HashSet<(String, String)>,
    rules: HashMap<String, posthouse_mail::LocalPartRules>,
}

impl Mine {
    async fn load(cx: &Cx) -> Result<Self> {
        let platform = cx.platform();
        let mut conn = platform.acquire().await?;
        let account = accounts::store::find(&mut conn, cx.account()).await?;
        drop(conn);
        let account = account.ok_or(Error::NotFound("account"))?;
        let mut mine =
            Self { written: Vec::new(), canonical: HashSet::new(), rules: HashMap::new() };
        for text in account.addresses {
            let Some((local, domain)) = text.rsplit_once('@') else { continue };
            let parsed = Address::parse(&text).ok();
            let name = parsed.as_ref().map_or(domain, Address::domain).to_owned();
            if !mine.rules.contains_key(&name) {
                let Some(info) = platform.directory().domain(platform, &name).await? else {
                    continue;
                };
                mine.rules.insert(name.clone(), info.rules.clone());
            }
            let local =
                mine.rules.get(&name).map_or_else(String::new, |rules| rules.canonical(local));
            mine.canonical.insert((local, name));
            mine.written.extend(parsed.map(|address| NamedAddress { name: None, address }));
        }
        Ok(mine)
    }

    fn has(&self, address: &Address) -> bool {
        let Some(rules) = self.rules.get(address.domain()) else { return false };
        [rules.canonical(address.local()), String::new()]
            .into_iter()
            .any(|local| self.canonical.contains(&(local, address.domain().to_owned())))
    }

    /// Who answers: whom the mail was sent to; the author of one's own mail; else the first address.
    fn author(&self, mail: &Envelope, header: &[u8]) -> Option<NamedAddress> {
        let delivered = posthouse_mail::message::header_fields(header)
            .find(|(name, _)| name.eq_ignore_ascii_case("delivered-to"))
            .map(|(_, value)| String::from_utf8_lossy(value).trim().to_owned());
        let delivered = delivered.map(|email| EmailAddress { name: None, email });
        let lists = [mail.to.as_slice(), &mail.cc, delivered.as_slice(), &mail.from];
        let found =
            lists.into_iter().flat_map(answer::named).find(|named| self.has(&named.address));
        found.or_else(|| self.written.first().cloned())
    }
}

/// Marks mails that were answered, in the transaction that writes the answers. Locks the account. A
/// mail that is gone meanwhile is none to mark.
pub(crate) async fn mark_in(tx: &mut Tx, mark: Mark) -> Result<()> {
    let marks = Marks { add_flags: mark.flag, ..Marks::NONE };
    let change = Edit::Change { marks, to: None };
    edit(tx, mark.account, &[mark.mail.uuid()], ANY_STATE, &change).await?;
    Ok(())
}
