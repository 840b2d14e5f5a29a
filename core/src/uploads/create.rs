//! Taking a file.

use posthouse_mail::compose::File;

use super::{KEPT, MAX_BYTES, MAX_PER_ACCOUNT, NewUpload, Upload, store};
use crate::{
    blobs::{self, NewBlob},
    cx::{Cx, Tx},
    error::{Error, FieldError, Result},
    id::Id,
    idempotency::{self, Begin, Created, Slot},
    scope::Scope,
};

/// Octets of a file that tell its type.
const OPENING: usize = 16;

/// Stores a file for messages to come.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `PolicyRejected` when the account has too many, `StorageFull`.
pub async fn create(cx: &Cx, new: NewUpload) -> Result<Created<Upload>> {
    cx.require(Scope::Send)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    Error::unless_empty(faults(&new))?;
    let file = opening(&new);
    let sniffed = file.sniffed_type();
    let now = cx.now();
    let blob = cx.platform().blobs().prepare(cx.account(), new.content).await?;
    let upload = Upload {
        id: Id::new(now),
        filename: file.filename,
        content_type: file.content_type.unwrap_or_else(|| sniffed.to_owned()),
        size_bytes: i64::try_from(blob.size).unwrap_or(i64::MAX),
        sha256: hex::encode(blob.hash),
        created_at: now,
        expires_at: now + KEPT,
    };
    let done = write(cx, &upload, &blob, &slot).await;
    if matches!(done, Ok(()) | Err(Error::PolicyRejected(_))) {
        remove_unused(cx, &blob).await;
    }
    done?;
    Ok(Created::fresh(upload))
}

/// Every fault that [`create`] will find.
pub fn faults(new: &NewUpload) -> Vec<FieldError> {
    let faults = opening(new).faults().into_iter();
    faults.map(|fault| FieldError::new(fault.pointer, fault.code, fault.detail)).collect()
}

/// The file as messages will have it, as far as that matters before.
fn opening(new: &NewUpload) -> File {
    File {
        content: new.content.get(..OPENING).unwrap_or(&new.content).to_vec(),
        filename: new.filename.clone(),
        content_type: new.content_type.clone(),
        ..File::default()
    }
}

/// What was put into the blob store goes again if it was there already, or is not wanted.
async fn remove_unused(cx: &Cx, blob: &NewBlob) {
    if let Err(error) = blobs::store::remove_unused(cx.platform(), blob).await {
        tracing::warn!(error = ?error, "an object that nothing refers to could not be removed");
    }
}

async fn write(cx: &Cx, upload: &Upload, blob: &NewBlob, slot: &Slot) -> Result<()> {
    let mut tx = cx.begin("uploads.create").await?;
    require_room(&mut tx, cx, upload).await?;
    blobs::store::insert(tx.conn(), &[blob], upload.created_at).await?;
    store::insert(tx.conn(), cx.account(), upload, &blob.hash).await?;
    slot.keep(&mut tx, cx, upload).await?;
    tx.commit().await
}

/// Counts exactly: nobody else uploads for this account until the end of the transaction.
async fn require_room(tx: &mut Tx, cx: &Cx, upload: &Upload) -> Result<()> {
    let used = store::lock_and_count(tx.conn(), cx.account(), cx.now()).await?;
    if used.files >= MAX_PER_ACCOUNT {
        let detail = format!("an account has at most {MAX_PER_ACCOUNT} uploads at a time");
        return Err(Error::PolicyRejected(detail));
    }
    if used.size_bytes.saturating_add(upload.size_bytes) > MAX_BYTES {
        let detail = format!("the uploads of an account have at most {MAX_BYTES} octets together");
        return Err(Error::PolicyRejected(detail));
    }
    Ok(())
}
