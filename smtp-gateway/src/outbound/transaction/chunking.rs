//! The message by BDAT instead of DATA (RFC 3030), for servers that offer CHUNKING.
//!
//! It is sent only when a recipient was accepted: unlike DATA, which the server can still refuse
//! before the message, a chunk comes with its command. With PIPELINING some chunks may be under way
//! before the first is acknowledged. Line ends are put right as for DATA, periods stay.

use posthouse_core::ports::transport::Content;

use super::{Interrupted, Transaction};
use crate::outbound::{
    capabilities::Extension,
    connection::CHUNK,
    data::Stuffer,
    fault::{Error, Stage},
    reply::Response,
};

/// Chunks under way at most: their replies must find room while we write.
const WINDOW: usize = 16;

/// A message under way.
struct Chunker {
    stuffer: Stuffer,
    /// The next chunk.
    text: Vec<u8>,
    /// Chunks that were sent and not acknowledged.
    waiting: usize,
    /// How many that may be.
    window: usize,
}

impl Transaction<'_> {
    /// Sends the message and settles for those who were accepted.
    pub(super) async fn chunks(&mut self, accepted: &[usize]) -> Result<(), Interrupted> {
        let pipelining = self.connection.capabilities.offers(Extension::Pipelining);
        let mut chunker = Chunker {
            stuffer: Stuffer::for_chunks(),
            text: Vec::with_capacity(CHUNK),
            waiting: 0,
            window: if pipelining { WINDOW } else { 1 },
        };
        let end = match self.write_chunks(&mut chunker).await {
            Ok(response) => response,
            Err(error) => self.last_words(error, chunker.waiting).await?,
        };
        if matches!(end.code, 500 | 502 | 503) {
            // Offered, but not there: once more with DATA, from the beginning.
            self.connection.broken = true;
            return Err(Interrupted::WithoutChunking);
        }
        // RFC 3030 §2: after a refusal the state is indeterminate, and RSET comes first.
        self.connection.dirty = !end.is_positive();
        self.settle(Stage::EndOfData, accepted, end)
    }

    /// The verdict: the reply to the last chunk, or the first refusal.
    async fn write_chunks(&mut self, chunker: &mut Chunker) -> Result<Response, Error> {
        let Content { prefix, body, .. } = &self.job.message;
        if let Some(refusal) = self.add(chunker, prefix).await? {
            return Ok(refusal);
        }
        let mut pieces = body.pieces();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(Error::Content)?;
            if let Some(refusal) = self.add(chunker, &piece).await? {
                return Ok(refusal);
            }
        }
        chunker.stuffer.end_line(&mut chunker.text);
        self.send_chunk(chunker, " LAST").await?;
        if let Some(refusal) = self.acknowledged(chunker, 1).await? {
            return Ok(refusal);
        }
        chunker.waiting = 0;
        self.connection.reply(Stage::EndOfData).await
    }

    /// Sends what fills chunks, and looks at replies; the first that refuses.
    async fn add(
        &mut self,
        chunker: &mut Chunker,
        mut rest: &[u8],
    ) -> Result<Option<Response>, Error> {
        while !rest.is_empty() {
            rest = chunker.stuffer.push(rest, &mut chunker.text, CHUNK);
            if chunker.text.len() >= CHUNK {
                self.send_chunk(chunker, "").await?;
                if let Some(refusal) = self.acknowledged(chunker, chunker.window - 1).await? {
                    return Ok(Some(refusal));
                }
            }
        }
        Ok(None)
    }

    /// `"BDAT" SP chunk-size [SP "LAST"] CRLF` and the octets, in one write.
    async fn send_chunk(&mut self, chunker: &mut Chunker, last: &str) -> Result<(), Error> {
        let size = chunker.text.len().to_string();
        self.connection.queue(&["BDAT ", &size, last]);
        self.connection.out.append(&mut chunker.text);
        chunker.waiting += 1;
        self.connection.flush(Stage::Message).await
    }

    /// Waits until at most `left` chunks are not acknowledged. After a refusal nothing more is sent,
    /// and the replies to what is under way mean nothing.
    async fn acknowledged(
        &mut self,
        chunker: &mut Chunker,
        left: usize,
    ) -> Result<Option<Response>, Error> {
        while chunker.waiting > left {
            let response = self.connection.reply(Stage::Message).await?;
            chunker.waiting -= 1;
            if response.is_positive() {
                continue;
            }
            while chunker.waiting > 0 && !self.connection.broken {
                chunker.waiting -= 1;
                if let Err(error) = self.connection.reply(Stage::Message).await {
                    tracing::debug!(%error, "connection was lost after a chunk was refused");
                }
            }
            return Ok(Some(response));
        }
        Ok(None)
    }

    /// Writing failed: what the server may have said before it closed tells more.
    async fn last_words(&mut self, error: Error, waiting: usize) -> Result<Response, Interrupted> {
        self.connection.broken = true;
        if !matches!(error, Error::Content(_)) {
            for _ in 0..waiting {
                match self.connection.reply(Stage::Quit).await {
                    Ok(response) if response.is_positive() => {}
                    Ok(response) => return Ok(response),
                    Err(_) => break,
                }
            }
        }
        Err(self.fault(error))
    }
}
