//! Message bytes: stored once per account and content, checked on every read.
//!
//! Up to [`INLINE_LIMIT`] they are in Postgres, in the transaction that refers to them. Larger ones
//! go to the blob store, durably, before that transaction.

mod body;
mod directory;
pub(crate) mod garbage;
mod read;
pub(crate) mod store;
mod unpack;

use std::{cell::RefCell, path::PathBuf, sync::Arc};

use aws_lc_rs::digest;
use bytes::Bytes;
use object_store::{
    ObjectStore, ObjectStoreExt as _, PutPayload, aws::AmazonS3Builder, path::Path,
};

use zstd::bulk::Compressor;

pub use body::{Body, PIECE, Pieces};
pub(crate) use read::Stored;

use crate::{
    config::{BlobStore, Config},
    error::{Error, Result},
    id::{Account, Id},
    room::Room,
};

/// Blobs up to this size are rows.
const INLINE_LIMIT: u64 = 128 * 1024;

/// Below this size compression is not tried.
const COMPRESS_FROM: usize = 1024;
/// Above this size packing gets a thread of its own.
const PACK_INLINE: usize = 128 * 1024;

/// A blob ready to be referred to.
#[derive(Debug, Clone)]
pub(crate) struct NewBlob {
    pub account: Id<Account>,
    pub hash: [u8; 32],
    pub size: u64,
    pub compressed: bool,
    pub place: Place,
}

/// Where the stored octets are.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Inline(Bytes),
    Object(String),
}

/// Octets in the form in which they are stored; the same for every account.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    hash: [u8; 32],
    size: u64,
    compressed: bool,
    stored: Bytes,
}

impl Packed {
    /// Hashes `bytes`, and compresses them where that helps.
    ///
    /// # Errors
    /// `Internal`.
    pub(crate) async fn new(bytes: Bytes) -> Result<Self> {
        if bytes.len() <= PACK_INLINE {
            return Ok(Self::pack(bytes));
        }
        let job = tokio::task::spawn_blocking(move || Self::pack(bytes));
        job.await.map_err(Error::internal)
    }

    fn pack(bytes: Bytes) -> Self {
        let mut hash = [0_u8; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, &bytes).as_ref());
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let smaller = compressed(&bytes);
        let compressed = smaller.is_some();
        Self { hash, size, compressed, stored: smaller.map_or(bytes, Bytes::from) }
    }
}

enum Backend {
    Directory(directory::Directory),
    Store(Arc<dyn ObjectStore>),
}

/// The blob store of this installation.
pub struct Blobs {
    backend: Backend,
    /// Directory for what is being read.
    spool: PathBuf,
    /// Room there.
    disk: Room,
    readers: read::Readers,
}

impl Blobs {
    pub(crate) fn new(config: &Config, disk: Room) -> Result<Self> {
        let backend = match &config.blob_store {
            BlobStore::Directory(path) => Backend::Directory(directory::Directory::new(path)?),
            BlobStore::S3 { bucket, endpoint, region } => {
                let mut builder =
                    AmazonS3Builder::from_env().with_bucket_name(bucket).with_region(region);
                if let Some(endpoint) = endpoint {
                    builder = builder.with_endpoint(endpoint).with_allow_http(true);
                }
                Backend::Store(Arc::new(builder.build().map_err(Error::internal)?))
            }
        };
        Ok(Self::on(backend, config.spool.directory.clone(), disk))
    }

    fn on(backend: Backend, spool: PathBuf, disk: Room) -> Self {
        Self { backend, spool, disk, readers: read::Readers::default() }
    }

    /// Packs `bytes` and puts them where `account` will have them.
    ///
    /// # Errors
    /// `StorageFull`, `Unavailable`.
    pub(crate) async fn prepare(&self, account: Id<Account>, bytes: Bytes) -> Result<NewBlob> {
        let packed = Packed::new(bytes).await?;
        self.place(account, &packed).await
    }

    /// Makes what is too large for a row durable in the blob store.
    ///
    /// # Errors
    /// `StorageFull`, `Unavailable`.
    pub(crate) async fn place(&self, account: Id<Account>, packed: &Packed) -> Result<NewBlob> {
        let Packed { hash, size, compressed, stored } = packed.clone();
        let place = if size <= INLINE_LIMIT {
            Place::Inline(stored)
        } else {
            let object = object_name(account, &hash, compressed);
            self.put(&object, stored).await?;
            Place::Object(object)
        };
        Ok(NewBlob { account, hash, size, compressed, place })
    }

    async fn put(&self, object: &str, bytes: Bytes) -> Result<()> {
        match &self.backend {
            Backend::Directory(directory) => directory.put(object, bytes).await,
            Backend::Store(store) => {
                let done = store.put(&Path::from(object), PutPayload::from_bytes(bytes)).await;
                done.map(drop).map_err(Error::unavailable)
            }
        }
    }

    /// Removes an object that nothing refers to any more.
    pub(crate) async fn remove(&self, object: &str) -> Result<()> {
        match &self.backend {
            Backend::Directory(directory) => directory.remove(object).await,
            Backend::Store(store) => {
                store.delete(&Path::from(object)).await.map_err(Error::unavailable)
            }
        }
    }
}

fn damaged(hash: &[u8], how: &str) -> Error {
    metrics::counter!("posthouse_blobs_damaged_total").increment(1);
    tracing::error!(blob.hash = hex::encode(hash), how, "stored message content is damaged");
    Error::internal(format!("blob {}: {how}", hex::encode(hash)))
}

fn object_name(account: Id<Account>, hash: &[u8; 32], compressed: bool) -> String {
    let hash = hex::encode(hash);
    let fan_out = hash.get(..2).unwrap_or("00");
    let ending = if compressed { ".zst" } else { "" };
    // Never the name of an object that the garbage collection may be about to remove.
    let unique = rand::random::<u32>();
    format!("{account}/{fan_out}/{hash}-{unique:08x}{ending}")
}

thread_local! {
    /// Making one asks the processor what it can do, which costs more than packing a small message
    /// where a hypervisor answers.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = RefCell::new(Compressor::new(1).ok());
}

/// The compressed form of `bytes` when that is at least a tenth smaller.
fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() < COMPRESS_FROM {
        return None;
    }
    let compressed =
        COMPRESSOR.with_borrow_mut(|compressor| compressor.as_mut()?.compress(bytes).ok());
    compressed.filter(|compressed| compressed.len() < bytes.len() / 10 * 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_only_what_gets_smaller() {
        let text = Bytes::from(b"to be or not to be, ".repeat(100));
        let packed = Packed::pack(text.clone());
        assert_eq!(packed.hash.as_slice(), digest::digest(&digest::SHA256, &text).as_ref());
        assert!(packed.compressed && packed.stored.len() < text.len() / 2);
        let mut noise = vec![0_u8; 4096];
        rand::RngCore::fill_bytes(&mut rand::rng(), &mut noise);
        let noise = Bytes::from(noise);
        let packed = Packed::pack(noise.clone());
        assert!(!packed.compressed && packed.stored == noise);
    }
}
