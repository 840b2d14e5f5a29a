//! The uploads that messages attach, read once for all messages of a request.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use posthouse_mail::compose::Draft;

use super::store;
use crate::{
    blobs,
    cx::Cx,
    error::{Error, FieldError, Result},
    id::{self, Id},
    messages::{Content, NewMessage},
    room::Share,
    spool::IN_MEMORY,
};

/// An upload is in memory as it is, as the file of a draft, in the composed message, and compressed.
const COPIES: u64 = 4;

/// An upload whose octets a file of a draft is to have.
#[derive(Debug, Clone)]
pub struct Attached {
    /// Which upload.
    pub upload: Id<id::Upload>,
    /// Which file.
    pub place: Place,
    /// Where the request names it.
    pub pointer: String,
}

/// A file of a draft, by its place among others of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A form of the body.
    Alternative(usize),
    /// A file.
    Attachment(usize),
}

/// The uploads of the messages of one request.
pub(crate) struct Uploads {
    known: HashMap<Id<id::Upload>, Known>,
    /// For the octets and what is made from them: to be kept until that is written.
    pub memory: Share,
}

struct Known {
    filename: Option<String>,
    content_type: String,
    content: Bytes,
}

impl Uploads {
    /// Reads those that are asked for, when there is memory for them.
    ///
    /// # Errors
    /// `MessageTooLarge`, `InvalidInput` when the messages attach too much together, `StorageFull`,
    /// `Unavailable`.
    pub(crate) async fn load<'a>(
        cx: &Cx,
        messages: impl IntoIterator<Item = &'a NewMessage>,
    ) -> Result<Self> {
        let mut uploads = Self { known: HashMap::new(), memory: Share::none() };
        let (mut asked, mut users) = (HashMap::new(), 0);
        for message in messages {
            users += usize::from(!message.uploads.is_empty());
            for one in &message.uploads {
                let times: &mut u64 = asked.entry(one.upload).or_default();
                *times += 1;
            }
        }
        if asked.is_empty() {
            return Ok(uploads);
        }
        let ids: Vec<_> = asked.keys().map(|id| id.uuid()).collect();
        let mut conn = cx.platform().acquire().await?;
        let found = store::find_many(&mut conn, cx.account(), &ids, cx.now()).await?;
        let times = |id| asked.get(&id).copied().unwrap_or_default();
        let total = found.iter().map(|one| one.size().saturating_mul(times(one.id)));
        let total = total.fold(0, u64::saturating_add);
        require_bounds(cx, total, users)?;
        let hashes: HashSet<&[u8]> = found.iter().map(|one| one.hash.as_slice()).collect();
        let hashes: Vec<&[u8]> = hashes.into_iter().collect();
        // Nobody waits for memory with a connection in hand.
        drop(conn);
        if total > u64::try_from(IN_MEMORY).unwrap_or(u64::MAX) {
            uploads.memory = cx.platform().memory().wait(total.saturating_mul(COPIES)).await?;
        }
        let contents = blobs::store::read_many(cx.platform(), cx.account(), &hashes).await?;
        for one in found {
            let content = contents.get(&one.hash).cloned().unwrap_or_default();
            let (filename, content_type) = (one.filename, one.content_type);
            uploads.known.insert(one.id, Known { filename, content_type, content });
        }
        Ok(uploads)
    }

    /// Puts octets into the files of `new` that wait for them, with what else is known of them.
    ///
    /// # Errors
    /// `InvalidInput` with a fault for each upload that there is not.
    pub(crate) fn attach(&self, new: &mut NewMessage) -> Result<()> {
        let Content::Composed(draft) = &mut new.content else { return Ok(()) };
        let mut faults = Vec::new();
        for one in std::mem::take(&mut new.uploads) {
            if let Some(known) = self.known.get(&one.upload) {
                known.put(draft, one.place);
            } else {
                let detail = "there is no such upload, or not any more";
                faults.push(FieldError::new(one.pointer, "unknown_upload", detail));
            }
        }
        Error::unless_empty(faults)
    }
}

/// The messages of a request attach as much together as one may have.
fn require_bounds(cx: &Cx, total: u64, users: usize) -> Result<()> {
    let limit = cx.platform().config().message_size_limit;
    if total <= limit {
        return Ok(());
    }
    if users == 1 {
        return Err(Error::MessageTooLarge { limit });
    }
    let detail = format!(
        "the uploads that these messages attach have {total} octets, each as often as it is \
         attached; the messages of a request attach at most {limit}: send them in several requests"
    );
    Err(Error::field("/messages", "too_large", detail))
}

impl Known {
    fn put(&self, draft: &mut Draft, place: Place) {
        let file = match place {
            Place::Alternative(at) => draft.alternatives.get_mut(at),
            Place::Attachment(at) => draft.attachments.get_mut(at),
        };
        if let Some(file) = file {
            file.content = self.content.to_vec();
            file.filename = file.filename.take().or_else(|| self.filename.clone());
            file.content_type.get_or_insert_with(|| self.content_type.clone());
        }
    }
}
