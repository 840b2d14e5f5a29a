//! Looking at a message as `mail.received` would tell of it.

use bytes::Bytes;

use crate::{
    cx::Cx,
    error::{Error, Result},
    mails::{self, Fields},
    scope::Scope,
};

/// What the event would say of a message with these octets, as JSON; nothing is stored. Never fails
/// because of what is in it.
///
/// # Errors
/// `Forbidden`, `MessageTooLarge`.
pub async fn parse(cx: &Cx, message: Bytes) -> Result<String> {
    cx.require(Scope::MailRead)?;
    let limit = cx.platform().config().message_size_limit;
    let size = u64::try_from(message.len()).unwrap_or(u64::MAX);
    if size > limit {
        return Err(Error::MessageTooLarge { limit });
    }
    let parsed = mails::parse(&message).await?;
    let fields = Fields::of(&parsed)?;
    serde_json::to_string(&fields.say(&parsed, size)).map_err(Error::internal)
}
