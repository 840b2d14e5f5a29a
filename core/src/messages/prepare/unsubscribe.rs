//! List-Unsubscribe (RFC 2369 §3.2) and List-Unsubscribe-Post (RFC 8058), which the signatures cover.
//!
//! The link is for one recipient and stands in the header, which all recipients of a message share:
//! so such a message has only one.

use std::collections::HashSet;

use posthouse_mail::address::Address;

use crate::{
    cx::Cx,
    error::{FieldError, Result},
    id::{Id, Message},
    messages::{Content, NewMessage, Options},
    suppressions::{topic_fault, unsubscribe},
};

const LINK: &str = "List-Unsubscribe";
const POST: &str = "List-Unsubscribe-Post";

/// What is wrong with the wish for a link.
pub(super) fn faults(new: &NewMessage, faults: &mut Vec<FieldError>) {
    let Some(wish) = &new.options.unsubscribe else { return };
    faults.extend(topic_fault(wish.topic.as_deref(), "/unsubscribe/topic".to_owned()));
    let recipients: HashSet<&Address> = new.recipients.iter().collect();
    if recipients.len() > 1 {
        let detail = "a message with an unsubscribe link has one recipient in to, cc and bcc: \
                      the link is the recipient's own. Send one message to each";
        faults.push(FieldError::new("/unsubscribe", "several_recipients", detail));
    }
    let Content::Composed(draft) = &new.content else { return };
    for (name, _) in &draft.headers {
        if [LINK, POST].iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
            let detail = "this header field comes from unsubscribe: leave out one of the two";
            let pointer = format!("/headers/{name}");
            faults.push(FieldError::new(pointer, "conflicting_header", detail));
        }
    }
}

/// Puts the fields into the header, if they are wanted.
pub(super) fn add_fields(
    cx: &Cx,
    message: Id<Message>,
    recipients: &[Address],
    options: &Options,
    content: &mut Content,
) -> Result<()> {
    let (Some(_), Some(recipient)) = (&options.unsubscribe, recipients.first()) else {
        return Ok(());
    };
    let Content::Composed(draft) = content else { return Ok(()) };
    let (vault, topic) = (cx.platform().vault(), options.topic());
    let delivery = message.delivery(1);
    let token = unsubscribe::token(vault, cx.account(), delivery, recipient, topic)?;
    let link = format!("<{}/u/{token}>", cx.platform().config().public_url());
    draft.headers.push((LINK.to_owned(), link));
    draft.headers.push((POST.to_owned(), "List-Unsubscribe=One-Click".to_owned()));
    Ok(())
}
