//! From the stored form of a large content to a file of the spool, piece by piece, and checked:
//! nobody sees the file before length and SHA-256 are known to be right.

use std::{
    fs::File,
    io::{ErrorKind, Read as _, Write as _},
    path::Path,
};

use aws_lc_rs::digest::{self, SHA256};
use tokio::sync::OwnedSemaphorePermit;
use zstd::stream::raw::{DParameter, Decoder, Operation as _};

use super::{body::Spooled, damaged, directory::storage, read::Object};
use crate::{
    error::{Error, Result},
    room::Share,
    spool::fault,
};

/// Octets that are read and written at a time.
const STEP: usize = 128 * 1024;

/// A frame that wants a larger window than ours ever do (512 KiB) is damaged, or not of ours.
const MAX_WINDOW_LOG: u32 = 20;

/// An unpacking under way. Blocks: not for the reactor. What it takes goes back when it ends, also
/// when nobody waits for it any more.
pub(super) struct Unpacker {
    hash: Vec<u8>,
    /// Octets that are still to come.
    missing: u64,
    length: u64,
    decoder: Option<Decoder<'static>>,
    plain: Vec<u8>,
    digest: digest::Context,
    file: File,
    disk: Share,
    _turn: OwnedSemaphorePermit,
}

impl Unpacker {
    /// Begins a file in `spool`.
    ///
    /// # Errors
    /// `StorageFull`, `Unavailable`, `Internal`.
    pub(super) fn new(
        object: &Object,
        spool: &Path,
        disk: Share,
        turn: OwnedSemaphorePermit,
    ) -> Result<Self> {
        let mut unpacker = Self {
            hash: object.hash.clone(),
            missing: object.size,
            length: object.size,
            decoder: None,
            plain: Vec::new(),
            digest: digest::Context::new(&SHA256),
            file: tempfile::tempfile_in(spool).map_err(|error| fault(&error))?,
            disk,
            _turn: turn,
        };
        if object.compressed {
            let mut decoder = Decoder::new().map_err(Error::internal)?;
            let limit = DParameter::WindowLogMax(MAX_WINDOW_LOG);
            decoder.set_parameter(limit).map_err(Error::internal)?;
            unpacker.decoder = Some(decoder);
            unpacker.plain = vec![0; STEP];
        }
        Ok(unpacker)
    }

    /// Takes a piece of the stored form.
    ///
    /// # Errors
    /// `StorageFull`, `Unavailable`, `Internal` when it is damaged.
    pub(super) fn push(&mut self, mut stored: &[u8]) -> Result<()> {
        let Some(mut decoder) = self.decoder.take() else { return self.keep(stored) };
        loop {
            let mut plain = std::mem::take(&mut self.plain);
            let status = decoder.run_on_buffers(stored, &mut plain);
            let status = status.map_err(|_| damaged(&self.hash, "does not decompress"))?;
            self.keep(plain.get(..status.bytes_written).unwrap_or_default())?;
            stored = stored.get(status.bytes_read..).unwrap_or_default();
            // A full buffer: there may be more behind it.
            let more = !stored.is_empty() || status.bytes_written == plain.len();
            self.plain = plain;
            if !more {
                break;
            }
        }
        self.decoder = Some(decoder);
        Ok(())
    }

    fn keep(&mut self, plain: &[u8]) -> Result<()> {
        let length = u64::try_from(plain.len()).unwrap_or(u64::MAX);
        let missing = self.missing.checked_sub(length);
        self.missing = missing.ok_or_else(|| damaged(&self.hash, "is longer than it was"))?;
        self.digest.update(plain);
        self.file.write_all(plain).map_err(|error| fault(&error))
    }

    /// The file, if it is what was stored once.
    ///
    /// # Errors
    /// `Internal` when it is not.
    pub(super) fn finish(self) -> Result<Spooled> {
        if self.missing != 0 || self.digest.finish().as_ref() != self.hash {
            return Err(damaged(&self.hash, "length or checksum differs"));
        }
        Ok(Spooled { file: self.file, length: self.length, _disk: self.disk })
    }
}

/// Unpacks a file.
pub(super) fn unpack_file(path: &Path, mut unpacker: Unpacker) -> Result<Spooled> {
    let mut stored = File::open(path).map_err(|error| storage(&error))?;
    let mut piece = vec![0; STEP];
    loop {
        let read = match stored.read(&mut piece) {
            Ok(0) => return unpacker.finish(),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(storage(&error)),
        };
        unpacker.push(piece.get(..read).unwrap_or_default())?;
    }
}
