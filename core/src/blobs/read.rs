//! Reading blobs: what came with its row is there at once; an object of the blob store is unpacked
//! into a file of the spool when somebody opens it, once for all who read it at the time.

use std::{
    collections::HashMap,
    fs::File,
    io::Write as _,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use object_store::{ObjectStoreExt as _, path::Path};
use tokio::{
    sync::{OnceCell, Semaphore},
    task::spawn_blocking,
};

use super::{
    Backend, Blobs, INLINE_LIMIT,
    body::{Body, Spooled},
    damaged,
    store::BlobRow,
    unpack::{Unpacker, unpack_file},
};
use crate::{
    error::{Error, Result},
    room::Share,
    spool::fault,
};

/// Objects that are unpacked at a time. Each takes about 1 MiB of memory while that lasts, so that
/// reading needs no share of the memory budget, and does not wait for those who work on contents.
const TURNS: usize = 8;

/// Octets of an object that are gathered before they are unpacked.
const GATHER: usize = 256 * 1024;

/// A blob that somebody refers to.
#[derive(Debug, Clone)]
pub(crate) enum Stored {
    /// Small, or not written yet.
    Here(Body),
    /// In the blob store.
    Away(Arc<Object>),
}

/// An object of the blob store that is in use.
#[derive(Debug)]
pub(crate) struct Object {
    pub(super) name: String,
    pub(super) hash: Vec<u8>,
    /// Octets of the content.
    pub(super) size: u64,
    pub(super) compressed: bool,
    file: OnceCell<Arc<Spooled>>,
}

/// What all who read share.
pub(super) struct Readers {
    /// Objects in use, by name.
    objects: Mutex<HashMap<String, Weak<Object>>>,
    turns: Arc<Semaphore>,
}

impl Default for Readers {
    fn default() -> Self {
        Self { objects: Mutex::default(), turns: Arc::new(Semaphore::new(TURNS)) }
    }
}

impl From<Bytes> for Stored {
    fn from(bytes: Bytes) -> Self {
        Self::Here(bytes.into())
    }
}

impl Stored {
    /// Octets.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Here(body) => body.len(),
            Self::Away(object) => object.size,
        }
    }

    /// The octets, if they are here or somebody has opened them.
    pub(crate) fn opened(&self) -> Option<Body> {
        match self {
            Self::Here(body) => Some(body.clone()),
            Self::Away(object) => object.body(),
        }
    }
}

impl Object {
    fn body(self: &Arc<Self>) -> Option<Body> {
        let file = self.file.get()?;
        Some(Body::in_file(Arc::clone(file), Some(Arc::clone(self))))
    }
}

impl Blobs {
    /// What a row holds or refers to. The content of a row is checked here, that of an object when
    /// it is opened.
    ///
    /// # Errors
    /// `Internal` when it is missing or damaged.
    pub(crate) fn stored(&self, hash: &[u8], row: BlobRow) -> Result<Stored> {
        let compressed = row.compression == "zstd";
        match (row.data, row.object) {
            (Some(data), _) => {
                let size = usize::try_from(row.size_bytes).unwrap_or(usize::MAX);
                let bytes = unpack_row(hash, data, size, compressed)?;
                Ok(Stored::Here(bytes.into()))
            }
            (None, Some(name)) => {
                let size = u64::try_from(row.size_bytes).unwrap_or(u64::MAX);
                let file = OnceCell::new();
                let object = Object { name, hash: hash.to_vec(), size, compressed, file };
                Ok(Stored::Away(self.readers.share(object)))
            }
            (None, None) => Err(damaged(hash, "row without data")),
        }
    }

    /// The octets, with length and checksum verified before the first of them can be read.
    ///
    /// # Errors
    /// `StorageFull` when the spool is full, `Unavailable`, `Internal` when they are missing or
    /// damaged: never an empty or wrong body.
    pub(crate) async fn open(&self, stored: &Stored) -> Result<Body> {
        let object = match stored {
            Stored::Here(body) => return Ok(body.clone()),
            Stored::Away(object) => object,
        };
        let file = object.file.get_or_try_init(|| self.unpack(object)).await?;
        Ok(Body::in_file(Arc::clone(file), Some(Arc::clone(object))))
    }

    async fn unpack(&self, object: &Arc<Object>) -> Result<Arc<Spooled>> {
        let turn = Arc::clone(&self.readers.turns).acquire_owned().await;
        let turn = turn.map_err(Error::internal)?;
        let mut disk = Share::none();
        self.disk.grow(&mut disk, object.size)?;
        let (spool, about) = (self.spool.clone(), Arc::clone(object));
        let begin = move || Unpacker::new(&about, &spool, disk, turn);
        let spooled = match &self.backend {
            Backend::Directory(directory) => {
                let path = directory.path(&object.name);
                blocking(move || unpack_file(&path, begin()?)).await?
            }
            Backend::Store(store) => {
                let found = store.get(&Path::from(object.name.as_str())).await;
                let mut chunks = found.map_err(away)?.into_stream();
                let (mut unpacker, mut gathered) = (blocking(begin).await?, BytesMut::new());
                while let Some(chunk) = chunks.try_next().await.map_err(away)? {
                    gathered.extend_from_slice(&chunk);
                    if gathered.len() >= GATHER {
                        (unpacker, gathered) = push(unpacker, gathered).await?;
                    }
                }
                let (unpacker, _) = push(unpacker, gathered).await?;
                blocking(move || unpacker.finish()).await?
            }
        };
        Ok(Arc::new(spooled))
    }

    /// Octets that somebody will read slowly: large ones go into the spool.
    ///
    /// # Errors
    /// `StorageFull`, `Unavailable`.
    pub(crate) async fn spooled(&self, bytes: Bytes) -> Result<Body> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length <= INLINE_LIMIT {
            return Ok(bytes.into());
        }
        let mut disk = Share::none();
        self.disk.grow(&mut disk, length)?;
        let directory = self.spool.clone();
        let spooled = blocking(move || {
            let file = tempfile::tempfile_in(directory);
            let write = |mut file: File| file.write_all(&bytes).map(|()| file);
            let file = file.and_then(write).map_err(|error| fault(&error))?;
            Ok(Spooled { file, length, _disk: disk })
        });
        Ok(Body::in_file(Arc::new(spooled.await?), None))
    }
}

impl Readers {
    /// The same object as others have, if there are others.
    fn share(&self, object: Object) -> Arc<Object> {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = objects.get(&object.name).and_then(Weak::upgrade) {
            return known;
        }
        objects.retain(|_, object| object.strong_count() > 0);
        let object = Arc::new(object);
        objects.insert(object.name.clone(), Arc::downgrade(&object));
        object
    }
}

fn unpack_row(hash: &[u8], data: Vec<u8>, size: usize, compressed: bool) -> Result<Bytes> {
    let bytes = if compressed {
        let plain = zstd::bulk::decompress(&data, size);
        plain.map_err(|_| damaged(hash, "does not decompress"))?
    } else {
        data
    };
    if bytes.len() != size || digest::digest(&digest::SHA256, &bytes).as_ref() != hash {
        return Err(damaged(hash, "length or checksum differs"));
    }
    Ok(bytes.into())
}

async fn push(mut unpacker: Unpacker, mut gathered: BytesMut) -> Result<(Unpacker, BytesMut)> {
    blocking(move || {
        unpacker.push(&gathered)?;
        gathered.clear();
        Ok((unpacker, gathered))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work).await.map_err(Error::internal)?
}

fn away(error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::internal(error),
        error => Error::unavailable(error),
    }
}

#[cfg(test)]
mod tests;
