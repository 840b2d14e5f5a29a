//! Blobs in a local directory, made durable by hand: the object store crate's local backend does
//! not sync the directory entry that a rename makes.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;

use crate::error::{Error, Result};

pub(super) struct Directory {
    root: PathBuf,
}

impl Directory {
    pub(super) fn new(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).map_err(|error| storage(&error))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Writes, syncs, renames, syncs the directory: after this the file survives a power cut.
    pub(super) async fn put(&self, object: &str, bytes: Bytes) -> Result<()> {
        let path = self.path(object);
        let root = self.root.clone();
        blocking(move || write_durably(&root, &path, &bytes)).await
    }

    /// The file of an object.
    pub(super) fn path(&self, object: &str) -> PathBuf {
        self.root.join(object)
    }

    pub(super) async fn remove(&self, object: &str) -> Result<()> {
        let path = self.path(object);
        blocking(move || match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        })
        .await
    }
}

fn write_durably(root: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(root);
    fs::create_dir_all(parent)?;
    let temporary = path.with_extension(format!("tmp-{:016x}", rand::random::<u64>()));
    let written = (|| {
        let mut file = File::create_new(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The write has failed already; a leftover is found by its name.
        drop(fs::remove_file(&temporary));
        return written;
    }
    let mut directory = Some(parent);
    while let Some(path) = directory.filter(|path| path.starts_with(root)) {
        File::open(path)?.sync_all()?;
        directory = path.parent();
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await.map_err(Error::internal)?;
    done.map_err(|error| storage(&error))
}

/// A fault of the directory.
pub(super) fn storage(error: &io::Error) -> Error {
    let cause = format!("blob store: {error}");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::StorageFull(cause.into())
        }
        io::ErrorKind::NotFound => Error::internal(cause),
        _ => Error::unavailable(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_and_removes_objects() {
        let root = std::env::temp_dir().join(format!("posthouse-blobs-{}", rand::random::<u64>()));
        let directory = Directory::new(&root).unwrap();
        directory.put("acc/ab/x", Bytes::from_static(b"hello")).await.unwrap();
        assert_eq!(fs::read(directory.path("acc/ab/x")).unwrap(), b"hello");
        directory.remove("acc/ab/x").await.unwrap();
        directory.remove("acc/ab/x").await.unwrap();
        assert!(fs::read(directory.path("acc/ab/x")).is_err());
        fs::remove_dir_all(root).unwrap();
    }
}
