//! Looking at uploads, and taking them back.

use super::{Upload, store};
use crate::{
    cx::Cx,
    error::{Error, Result},
    id::{self, Id},
    scope::Scope,
};

/// What is known of an upload, until it expires.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find(cx: &Cx, upload: Id<id::Upload>) -> Result<Upload> {
    cx.require(Scope::Send)?;
    let mut conn = cx.platform().acquire().await?;
    let found = store::find(&mut conn, cx.account(), upload, cx.now()).await?;
    found.ok_or(Error::NotFound("upload"))
}

/// Ends an upload before its time. Messages that attach it have it already.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn delete(cx: &Cx, upload: Id<id::Upload>) -> Result<()> {
    cx.require(Scope::Send)?;
    let mut tx = cx.begin("uploads.delete").await?;
    if !store::delete(tx.conn(), cx.account(), upload, cx.now()).await? {
        return Err(Error::NotFound("upload"));
    }
    tx.commit().await
}
