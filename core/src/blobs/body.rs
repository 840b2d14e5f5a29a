//! The octets of a stored message, for those who read them: small ones in memory, large ones in a
//! file of the spool, which all who read the same content share and read piece by piece.

use std::{
    fs::File,
    future::poll_fn,
    ops::Range,
    os::unix::fs::FileExt as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use super::read::Object;
use crate::{
    error::{Error, Result},
    room::{Room, Share},
    spool::{Arrived, IN_MEMORY, fault},
};

/// Most octets of a piece that is read from a file.
pub const PIECE: u64 = 64 * 1024;

/// Octets that do not change. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// What is in memory; it comes first.
    head: Bytes,
    /// What is in a file.
    tail: Option<Tail>,
}

/// A range of a file.
#[derive(Debug, Clone)]
struct Tail {
    file: Arc<Spooled>,
    range: Range<u64>,
    /// As long as this lives, others who want the same content find the file.
    _object: Option<Arc<Object>>,
}

/// A file of the spool that is complete. It has no name: it ends with its last reader.
#[derive(Debug)]
pub(super) struct Spooled {
    pub file: File,
    pub length: u64,
    /// The room that it takes.
    pub _disk: Share,
}

impl From<Bytes> for Body {
    fn from(head: Bytes) -> Self {
        Self { head, tail: None }
    }
}

impl Body {
    /// All of `file`, the content of `object` if that is somebody's.
    pub(super) fn in_file(file: Arc<Spooled>, object: Option<Arc<Object>>) -> Self {
        let range = 0..file.length;
        Self { head: Bytes::new(), tail: Some(Tail { file, range, _object: object }) }
    }

    /// Octets.
    pub fn len(&self) -> u64 {
        let tail = self.tail.as_ref().map_or(0, |tail| tail.range.end - tail.range.start);
        length(&self.head).saturating_add(tail)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The octets, if all of them are in memory.
    pub const fn in_memory(&self) -> Option<&Bytes> {
        if self.tail.is_none() { Some(&self.head) } else { None }
    }

    /// The same with `prefix` before it.
    #[must_use]
    pub fn behind(mut self, prefix: &[u8]) -> Self {
        self.head = [prefix, &self.head].concat().into();
        self
    }

    /// A part of it; what would be beyond its end is left out.
    #[must_use]
    pub fn slice(&self, range: Range<u64>) -> Self {
        let in_head = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(self.head.len());
        let end = in_head(range.end);
        let head = self.head.slice(in_head(range.start).min(end)..end);
        let before = length(&self.head);
        let tail = self.tail.as_ref().and_then(|tail| {
            let in_file = |at: u64| {
                let at = tail.range.start.saturating_add(at.saturating_sub(before));
                at.min(tail.range.end)
            };
            let range = in_file(range.start)..in_file(range.end);
            (!range.is_empty()).then(|| Tail { range, ..tail.clone() })
        });
        Self { head, tail }
    }

    /// All octets together. For what is small, or has its share of the memory.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    pub async fn bytes(&self) -> Result<Bytes> {
        let Some(tail) = self.tail.clone() else { return Ok(self.head.clone()) };
        let head = self.head.clone();
        let read = move || tail.read(&head);
        spawn_blocking(read).await.map_err(Error::internal)?
    }

    /// All octets together, as soon as there is memory for work that has them `copies` times.
    ///
    /// # Errors
    /// `StorageFull` when there is no memory for long, `Unavailable`, `Internal`.
    pub async fn load(&self, memory: &Room, copies: u64) -> Result<Arrived> {
        let length = self.len();
        let memory = if length <= length_in_memory() {
            Share::none()
        } else {
            memory.wait(length.saturating_mul(copies)).await?
        };
        Ok(Arrived { bytes: self.bytes().await?, memory })
    }

    /// The octets one after the other.
    pub fn pieces(&self) -> Pieces {
        let Self { head, tail } = self.clone();
        Pieces { head: Some(head).filter(|head| !head.is_empty()), tail, ahead: None }
    }
}

impl Tail {
    fn read(&self, head: &[u8]) -> Result<Bytes> {
        let length = usize::try_from(self.range.end - self.range.start).map_err(Error::internal)?;
        let mut all = vec![0; head.len().saturating_add(length)];
        if let Some((first, rest)) = all.split_at_mut_checked(head.len()) {
            first.copy_from_slice(head);
            self.file.file.read_exact_at(rest, self.range.start).map_err(|error| fault(&error))?;
        }
        Ok(all.into())
    }

    /// Takes the next piece off.
    fn take_piece(&mut self) -> Option<Self> {
        let end = self.range.end.min(self.range.start.saturating_add(PIECE));
        let piece = Self { range: self.range.start..end, ..self.clone() };
        self.range.start = end;
        (!piece.range.is_empty()).then_some(piece)
    }
}

/// The octets of a body one after the other: what is in memory at once, what is in a file in pieces
/// of [`PIECE`]. While one piece is used, the next one is read.
#[derive(Debug)]
pub struct Pieces {
    head: Option<Bytes>,
    tail: Option<Tail>,
    ahead: Option<JoinHandle<Result<Bytes>>>,
}

impl Pieces {
    /// The next piece; none after the last one, and after an error.
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`Self::next`].
    ///
    /// # Errors
    /// `Unavailable`, `Internal`.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        self.look_ahead();
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(head)));
        }
        let Some(ahead) = &mut self.ahead else { return Poll::Ready(None) };
        let piece = ready!(Pin::new(ahead).poll(cx)).map_err(Error::internal).flatten();
        self.ahead = None;
        if piece.is_err() {
            self.tail = None;
        }
        self.look_ahead();
        Poll::Ready(Some(piece))
    }

    /// Begins to read the next piece.
    fn look_ahead(&mut self) {
        if self.ahead.is_none()
            && let Some(piece) = self.tail.as_mut().and_then(Tail::take_piece)
        {
            self.ahead = Some(spawn_blocking(move || piece.read(&[])));
        }
    }
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn length_in_memory() -> u64 {
    u64::try_from(IN_MEMORY).unwrap_or(u64::MAX)
}
