//! From a request to a message of the core: every fault at once, each with its pointer.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use posthouse_core::{
    FieldError, Id, id,
    messages::{Content, Dsn, NewMessage, Options, Protocol, Purpose, ReversePath, Unsubscribe},
    templates::{TemplateUse, Which},
    uploads::{Attached, Place},
};
use posthouse_mail::{
    address::{Address, NamedAddress},
    compose::{Disposition as MailDisposition, Draft, File},
};

use super::{
    address::{self, AddressInput, AddressesInput},
    input::{self, Disposition, NewFile, TemplateInput},
};
use crate::extract::Object;

/// Base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A message of the core, and what was wrong with the request so far.
pub(super) struct Converted {
    pub new: NewMessage,
    pub faults: Vec<FieldError>,
    pub single: Single,
}

/// Makes a message of the core; `files` are attached after those of the request.
pub(super) fn convert(input: input::NewMessage, files: Vec<File>) -> Converted {
    let mut faults = Faults::default();
    let mut recipients = Vec::new();
    let from = faults.address(&input.from, "/from");
    let single = Single::of(&input);
    let mut draft = Draft::new(from);
    draft.sender = input.sender.as_ref().map(|sender| faults.address(sender, "/sender"));
    draft.to = faults.addresses(input.to.as_ref(), "/to");
    draft.cc = faults.addresses(input.cc.as_ref(), "/cc");
    draft.reply_to = faults.addresses(input.reply_to.as_ref(), "/reply_to");
    let bcc = faults.addresses(input.bcc.as_ref(), "/bcc");
    for named in draft.to.iter().chain(&draft.cc).chain(&bcc) {
        recipients.push(named.address.clone());
    }
    let given = [
        ("/subject", input.subject.is_some()),
        ("/text", input.text.is_some()),
        ("/html", input.html.is_some()),
    ];
    draft.subject = input.subject.unwrap_or_default();
    draft.text = input.text;
    draft.html = input.html;
    let mut uploads = Vec::new();
    let mut read = |files, pointer, place: fn(usize) -> Place| {
        faults.files(files, pointer, (place, &mut uploads))
    };
    draft.alternatives = read(input.alternatives, "/alternatives", Place::Alternative);
    draft.attachments = read(input.attachments, "/attachments", Place::Attachment);
    draft.attachments.extend(files);
    draft.headers = input.headers.unwrap_or_default().0;
    draft.in_reply_to = input.in_reply_to;
    draft.references = input.references.unwrap_or_default();
    draft.message_id = input.message_id;
    let mail_from = faults.reverse_path(input.mail_from.as_deref(), "/mail_from");
    let options = Options {
        tags: input.tags.unwrap_or_default(),
        metadata: input.metadata.unwrap_or_default(),
        scheduled_at: input.scheduled_at.map(|time| time.0),
        expires_at: input.expires_at.map(|time| time.0),
        save_to_sent: input.save_to_sent.unwrap_or_default(),
        sandbox: input.sandbox.unwrap_or_default(),
        dry_run: input.dry_run.unwrap_or_default(),
        stream: input.stream,
        require_tls: input.require_tls,
        on_suppressed: input.on_suppressed.map(Into::into).unwrap_or_default(),
        unsubscribe: input.unsubscribe.map(|Object(wish)| Unsubscribe { topic: wish.topic }),
        protocol: Protocol::Http,
        dsn: Dsn::default(),
        purpose: Purpose::Mail,
    };
    let content = Content::Composed(Box::new(draft));
    let template = faults.template(input.template, &given);
    let new = NewMessage { mail_from, recipients, content, template, uploads, options };
    Converted { new, faults: faults.0, single }
}

/// Fields that were one address instead of a list: their pointers have no index.
#[derive(Default)]
pub(super) struct Single(Vec<&'static str>);

impl Single {
    fn of(input: &input::NewMessage) -> Self {
        let fields = [
            ("/to", &input.to),
            ("/cc", &input.cc),
            ("/bcc", &input.bcc),
            ("/reply_to", &input.reply_to),
        ];
        let single =
            |list: &&Option<AddressesInput>| list.as_ref().is_some_and(AddressesInput::is_single);
        Self(fields.iter().filter(|(_, list)| single(list)).map(|(pointer, _)| *pointer).collect())
    }

    /// A fault that the core found, with the pointer that fits the request.
    pub(super) fn fit(&self, fault: FieldError) -> FieldError {
        let mut fault = fault;
        self.fit_pointer(&mut fault.pointer);
        fault
    }

    /// The same for its pointer alone.
    pub(super) fn fit_pointer(&self, pointer: &mut String) {
        let field = pointer.strip_suffix("/0").filter(|field| self.0.contains(field));
        if let Some(field) = field {
            pointer.truncate(field.len());
        }
    }
}

/// Collects faults; whatever is wrong is replaced by something harmless, so that the places of
/// the rest stay what they are.
#[derive(Default)]
pub(super) struct Faults(Vec<FieldError>);

impl Faults {
    pub(super) fn add(&mut self, pointer: impl Into<String>, code: &'static str, detail: &str) {
        self.0.push(FieldError::new(pointer, code, detail));
    }

    /// A message whose pointers need no change.
    pub(super) fn with(self, new: NewMessage) -> Converted {
        Converted { new, faults: self.0, single: Single(Vec::new()) }
    }

    fn address(&mut self, input: &AddressInput, pointer: &str) -> NamedAddress {
        input.read(pointer).unwrap_or_else(|fault| {
            self.0.push(fault);
            nobody()
        })
    }

    fn addresses(&mut self, input: Option<&AddressesInput>, pointer: &str) -> Vec<NamedAddress> {
        let Some(input) = input else {
            return Vec::new();
        };
        let list = input.with_pointers(pointer);
        list.iter().map(|(pointer, address)| self.address(address, pointer)).collect()
    }

    /// The sender of the envelope; empty is the null sender.
    pub(super) fn reverse_path(
        &mut self,
        text: Option<&str>,
        pointer: &str,
    ) -> Option<ReversePath> {
        match text? {
            "" => Some(ReversePath::Null),
            text => Some(ReversePath::Address(self.plain_address(text, pointer)?)),
        }
    }

    /// An address without name.
    pub(super) fn plain_address(&mut self, text: &str, pointer: &str) -> Option<Address> {
        let address = Address::parse(text);
        address.map_err(|error| self.0.push(address::fault(pointer.to_owned(), error))).ok()
    }

    /// A template; `given` are the fields that it gives, and whether the request has them, too.
    fn template(
        &mut self,
        input: Option<Object<TemplateInput>>,
        given: &[(&str, bool)],
    ) -> Option<TemplateUse> {
        let Object(input) = input?;
        for (pointer, _) in given.iter().filter(|(_, has)| *has) {
            let detail = "the template gives this: leave out one of the two";
            self.add(*pointer, "conflicting_field", detail);
        }
        let which = match (input.id, input.name) {
            (Some(id), None) => {
                let Ok(id) = id.parse() else {
                    let detail = "an id of a template begins with tpl_";
                    self.add("/template/id", "invalid_value", detail);
                    return None;
                };
                Which::Id(id)
            }
            (None, Some(name)) => Which::Name(name),
            (Some(_), Some(_)) => {
                let detail = "a template is named by id or by name, not by both";
                self.add("/template", "conflicting_field", detail);
                return None;
            }
            (None, None) => {
                let detail = "say which template, by id or by name";
                self.add("/template", "missing_field", detail);
                return None;
            }
        };
        let variables = input.variables.unwrap_or_default();
        Some(TemplateUse { which, version: input.version, variables })
    }

    /// Files of the kind that `place` names; those that are uploads are added to `uploads`.
    fn files(
        &mut self,
        files: Option<Vec<Object<NewFile>>>,
        pointer: &str,
        (place, uploads): (fn(usize) -> Place, &mut Vec<Attached>),
    ) -> Vec<File> {
        let mut read = Vec::new();
        for (index, Object(mut file)) in files.unwrap_or_default().into_iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            let upload = file.upload_id.take();
            if let Some(upload) = self.upload(&file, upload.as_deref(), &pointer) {
                let pointer = format!("{pointer}/upload_id");
                uploads.push(Attached { upload, place: place(index), pointer });
            }
            read.push(self.file(file, &pointer));
        }
        read
    }

    /// The upload that a file is. One of content and upload is needed.
    fn upload(
        &mut self,
        file: &NewFile,
        upload: Option<&str>,
        pointer: &str,
    ) -> Option<Id<id::Upload>> {
        let Some(upload) = upload else {
            if file.content.is_none() {
                let detail = "a file has content, or is an upload";
                self.add(format!("{pointer}/content"), "missing_field", detail);
            }
            return None;
        };
        let pointer = format!("{pointer}/upload_id");
        if file.content.is_some() {
            let detail = "the upload is the content: leave out one of the two";
            self.add(pointer.as_str(), "conflicting_field", detail);
        }
        let id = upload.parse().ok();
        if id.is_none() {
            let detail = "an id of an upload begins with upl_";
            self.add(pointer, "invalid_value", detail);
        }
        id
    }

    fn file(&mut self, file: NewFile, pointer: &str) -> File {
        let content = decode(file.content.as_deref().unwrap_or_default()).unwrap_or_else(|| {
            let detail = "the content is not base64 (RFC 4648 §4)";
            self.add(format!("{pointer}/content"), "invalid_base64", detail);
            Vec::new()
        });
        File {
            filename: file.filename,
            content_type: file.content_type,
            content,
            content_id: file.content_id,
            disposition: match file.disposition {
                None | Some(Disposition::Attachment) => MailDisposition::Attachment,
                Some(Disposition::Inline) => MailDisposition::Inline,
            },
        }
    }
}

/// Base64 as programs write it, also in lines.
fn decode(text: &str) -> Option<Vec<u8>> {
    let decoded = BASE64.decode(text);
    decoded
        .or_else(|_| {
            let bytes: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            BASE64.decode(bytes)
        })
        .ok()
}

/// Stands in for an address that was refused; never gets further than here.
#[expect(clippy::expect_used, reason = "a constant address of ours")]
pub(in crate::v1) fn nobody() -> NamedAddress {
    NamedAddress::parse("nobody@invalid.example").expect("a valid address")
}

#[cfg(test)]
mod tests;
