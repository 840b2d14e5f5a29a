//! Contents while they arrive: small ones in memory, large ones in a file without a name, so that
//! slow clients hold disk and not memory. Nothing is synced: what is here is not accepted yet.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
};

use bytes::{Bytes, BytesMut};

use crate::{
    error::{Error, Result},
    platform::Platform,
    room::{Room, Share},
};

/// Contents up to this size stay in memory, outside of all budgets.
pub const IN_MEMORY: usize = 64 * 1024;

/// Disk is taken from the budget in steps of this size.
const STEP: u64 = 1024 * 1024;

/// A content that is arriving.
pub struct Spool {
    platform: Platform,
    /// What is not in the file.
    head: BytesMut,
    file: Option<File>,
    in_file: u64,
    disk: Share,
}

/// A content that has arrived, with the memory that work on it takes.
#[derive(Debug)]
pub struct Arrived {
    /// The whole content.
    pub bytes: Bytes,
    /// To be kept until the work is done.
    pub memory: Share,
}

impl Spool {
    /// An empty one.
    pub fn new(platform: &Platform) -> Self {
        let (head, disk) = (BytesMut::new(), Share::none());
        Self { platform: platform.clone(), head, file: None, in_file: 0, disk }
    }

    /// Octets so far.
    pub fn len(&self) -> u64 {
        self.in_file.saturating_add(u64::try_from(self.head.len()).unwrap_or(u64::MAX))
    }

    /// Whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds what has come.
    ///
    /// # Errors
    /// `StorageFull`, `Unavailable`.
    pub async fn push(&mut self, piece: &[u8]) -> Result<()> {
        self.head.extend_from_slice(piece);
        if self.head.len() <= IN_MEMORY {
            return Ok(());
        }
        let head = std::mem::take(&mut self.head);
        let length = self.in_file.saturating_add(u64::try_from(head.len()).unwrap_or(u64::MAX));
        self.platform.disk().grow(&mut self.disk, length.next_multiple_of(STEP))?;
        let directory = self.platform.config().spool.directory.clone();
        let file = self.file.take();
        let work = move || write(file, &directory, head);
        let (file, head) = tokio::task::spawn_blocking(work).await.map_err(Error::internal)??;
        (self.file, self.head, self.in_file) = (Some(file), head, length);
        Ok(())
    }

    /// The whole content, as soon as there is memory for `copies` of it.
    ///
    /// # Errors
    /// `StorageFull` when there is no memory for long, `Unavailable`.
    pub async fn load(self, copies: u64) -> Result<Arrived> {
        let length = self.len();
        let Self { platform, head, file, disk, .. } = self;
        let Some(file) = file else {
            return Ok(Arrived { bytes: head.freeze(), memory: Share::none() });
        };
        let memory = platform.memory().wait(length.saturating_mul(copies)).await?;
        let work = move || {
            let _until_read = disk;
            read(file, length, &head)
        };
        let bytes = tokio::task::spawn_blocking(work).await.map_err(Error::internal)??;
        Ok(Arrived { bytes, memory })
    }
}

/// Appends to the file; gives the empty buffer back.
fn write(file: Option<File>, directory: &Path, mut head: BytesMut) -> Result<(File, BytesMut)> {
    let file = file.map_or_else(|| tempfile::tempfile_in(directory), Ok);
    let mut file = file.map_err(|error| fault(&error))?;
    file.write_all(&head).map_err(|error| fault(&error))?;
    head.clear();
    Ok((file, head))
}

fn read(mut file: File, length: u64, head: &[u8]) -> Result<Bytes> {
    // Exactly: a vector that grows takes twice as much for a moment.
    let mut bytes = Vec::with_capacity(usize::try_from(length).map_err(Error::internal)?);
    file.rewind().map_err(|error| fault(&error))?;
    file.take(length).read_to_end(&mut bytes).map_err(|error| fault(&error))?;
    bytes.extend_from_slice(head);
    if u64::try_from(bytes.len()).ok() != Some(length) {
        return Err(Error::internal("a file of the spool has changed its length"));
    }
    Ok(Bytes::from(bytes))
}

/// A fault of the directory.
pub(crate) fn fault(error: &io::Error) -> Error {
    let cause = format!("spool: {error}");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::StorageFull(cause.into())
        }
        _ => Error::unavailable(cause),
    }
}

/// Budgets of a platform.
pub(crate) struct Budgets {
    pub memory: Room,
    pub disk: Room,
}

impl Budgets {
    /// Makes sure that there is a directory to spool in.
    pub(crate) fn new(config: &crate::Config) -> Result<Self> {
        std::fs::create_dir_all(&config.spool.directory).map_err(|error| fault(&error))?;
        Ok(Self { memory: Room::new(config.memory_bytes), disk: Room::new(config.spool.bytes) })
    }
}
