//! What the database says about messages to send, asked once for all of them.

use std::collections::HashSet;

use crate::{
    cx::Cx,
    error::{FieldError, Result},
    messages::{Content, MAX_RECIPIENTS, NewMessage, OnSuppressed},
    room::Share,
    suppressions,
    templates::Library,
    uploads::Uploads,
};

/// Answers about some messages.
pub(in crate::messages) struct Known {
    /// Recipients that are suppressed, each with the topic that its message has.
    suppressed: HashSet<(String, Option<String>)>,
    /// The templates that messages name.
    templates: Library,
    /// The uploads that messages attach.
    uploads: Uploads,
}

impl Known {
    /// Asks about those messages for which it matters.
    pub(in crate::messages) async fn load<'a>(
        cx: &Cx,
        messages: impl IntoIterator<Item = &'a NewMessage> + Clone,
    ) -> Result<Self> {
        let mut asked = HashSet::new();
        for new in messages.clone() {
            let matters = new.options.on_suppressed == OnSuppressed::Refuse || new.options.dry_run;
            // More recipients are refused before anybody looks at the answer.
            if matters && new.recipients.len() <= MAX_RECIPIENTS {
                let topic = new.options.topic().map(str::to_owned);
                let recipients = new.recipients.iter();
                asked.extend(recipients.map(|one| (one.to_string(), topic.clone())));
            }
        }
        let uses = messages.clone().into_iter().filter_map(|new| new.template.as_ref());
        let templates = Library::load(cx, uses).await?;
        let suppressed = suppressions::suppressed(cx, asked).await?;
        let uploads = Uploads::load(cx, messages).await?;
        Ok(Self { suppressed, templates, uploads })
    }

    /// What is taken of the memory for all messages: to be kept until they are written.
    pub(in crate::messages) const fn take_memory(&mut self) -> Share {
        std::mem::replace(&mut self.uploads.memory, Share::none())
    }

    /// Puts the octets of uploads into the message.
    ///
    /// # Errors
    /// `InvalidInput` when there is no such upload.
    pub(super) fn attach(&self, new: &mut NewMessage) -> Result<()> {
        self.uploads.attach(new)
    }

    /// Puts into the message what its template says.
    ///
    /// # Errors
    /// `InvalidInput` when there is no such template, or a variable lacks.
    pub(super) async fn fill_in(&self, new: &mut NewMessage) -> Result<()> {
        let Some(template) = new.template.take() else { return Ok(()) };
        let rendered = self.templates.render(template).await?;
        if let Content::Composed(draft) = &mut new.content {
            draft.subject = rendered.subject;
            draft.text = rendered.text;
            draft.html = rendered.html;
        }
        Ok(())
    }

    /// The recipients of `new` that are suppressed, with their places among all.
    pub(in crate::messages) fn suppressed(&self, new: &NewMessage) -> Vec<(usize, String)> {
        if self.suppressed.is_empty() {
            return Vec::new();
        }
        let topic = new.options.topic().map(str::to_owned);
        let recipients = new.recipients.iter().map(ToString::to_string).enumerate();
        let is_suppressed =
            |(_, text): &(usize, String)| self.suppressed.contains(&(text.clone(), topic.clone()));
        recipients.filter(is_suppressed).collect()
    }
}

/// A fault for each of the recipients `found`, at the field where it stands.
pub(super) fn faults(new: &NewMessage, found: &[(usize, String)]) -> Vec<FieldError> {
    let (to, cc) = match &new.content {
        Content::Composed(draft) => (draft.to.len(), draft.cc.len()),
        Content::Raw(_) => (usize::MAX, 0),
    };
    let fault = |(at, recipient): &(usize, String)| {
        let pointer = if *at < to {
            format!("/to/{at}")
        } else if *at < to + cc {
            format!("/cc/{}", at - to)
        } else {
            format!("/bcc/{}", at - to - cc)
        };
        let detail = format!("{recipient} is on the suppression list");
        FieldError::new(pointer, "suppressed", detail)
    };
    found.iter().map(fault).collect()
}
