//! One connection to a server: bytes out, replies in, each within its time.
//!
//! How a connection comes to be is in `session.rs`, what is done with it in `transaction.rs`.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use posthouse_core::ports::transport::Peer;
use rustls::ProtocolVersion;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::client::TlsStream;

use super::{
    Timeouts,
    capabilities::Capabilities,
    fault::{Error, Stage},
    reply::{Replies, Response, summary},
};

/// Octets gathered before they are written.
pub(super) const CHUNK: usize = 64 * 1024;
/// Octets of the write buffer that an idle connection keeps.
const IDLE_BUFFER: usize = 8 * 1024;

/// The transport below SMTP.
#[derive(Debug)]
pub(super) enum Stream {
    /// No protection.
    Plain(TcpStream),
    /// TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A session with a server, past its greeting.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) replies: Replies,
    /// Commands and message octets not yet written.
    pub(super) out: Vec<u8>,
    pub(super) capabilities: Capabilities,
    pub(super) peer: Peer,
    /// MAIL commands that were accepted or refused so far.
    pub(super) transactions: usize,
    /// A transaction was begun and not completed: RSET comes first.
    pub(super) dirty: bool,
    /// Nothing more can be done with it.
    pub(super) broken: bool,
    timeouts: Timeouts,
    deadline: Instant,
}

impl Connection {
    /// Wraps a stream that is connected.
    pub(super) fn new(stream: Stream, peer: Peer, timeouts: Timeouts, deadline: Instant) -> Self {
        Self {
            stream,
            replies: Replies::default(),
            out: Vec::with_capacity(1024),
            capabilities: Capabilities::default(),
            peer,
            transactions: 0,
            dirty: false,
            broken: false,
            timeouts,
            deadline,
        }
    }

    /// Starts another use, to be over at `deadline`.
    pub(super) fn begin(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Gives memory back before the connection waits in the pool.
    pub(super) fn rest(&mut self) {
        self.out.clear();
        self.out.shrink_to(IDLE_BUFFER);
    }

    /// What both ends of the TLS connection know and nobody else (RFC 9266 §2). Only with TLS 1.3:
    /// before, it may be the same for connections with different ends.
    pub(super) fn channel_binding(&self) -> Option<[u8; 32]> {
        let Stream::Tls(tls) = &self.stream else { return None };
        let session = tls.get_ref().1;
        if session.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return None;
        }
        session.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok()
    }

    /// Adds a command line to what is to be written.
    pub(super) fn queue(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.extend_from_slice(part.as_bytes());
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// Writes what was queued.
    pub(super) async fn flush(&mut self, stage: Stage) -> Result<(), Error> {
        let limit = self.limit(stage)?;
        let write = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        let result = match timeout(limit, write).await {
            Ok(written) => written.map_err(|error| Error::Io(stage, error)),
            Err(_) => Err(self.too_slow(stage, limit)),
        };
        self.out.clear();
        self.broken |= result.is_err();
        result
    }

    /// Waits for the next reply.
    pub(super) async fn reply(&mut self, stage: Stage) -> Result<Response, Error> {
        let result = self.read_reply(stage).await;
        // RFC 5321 §3.8: after 421 the server closes.
        self.broken |= result.as_ref().map_or(true, |response| response.code == 421);
        result
    }

    /// Sends one command and waits for its reply.
    pub(super) async fn command(
        &mut self,
        stage: Stage,
        parts: &[&str],
    ) -> Result<Response, Error> {
        self.queue(parts);
        self.flush(stage).await?;
        self.reply(stage).await
    }

    async fn read_reply(&mut self, stage: Stage) -> Result<Response, Error> {
        let malformed = |error| Error::Malformed(stage, error);
        if let Some(response) = self.replies.next().map_err(malformed)? {
            return Ok(response);
        }
        let limit = self.limit(stage)?;
        let read = async {
            loop {
                let read = self.stream.read_buf(self.replies.buffer()).await;
                if read.map_err(|error| Error::Io(stage, error))? == 0 {
                    return Err(Error::Closed(stage));
                }
                if let Some(response) = self.replies.next().map_err(malformed)? {
                    return Ok(response);
                }
            }
        };
        match timeout(limit, read).await {
            Ok(result) => result,
            Err(_) => Err(self.too_slow(stage, limit)),
        }
    }

    /// An error for a reply that does not fit, which ends the use of the connection.
    pub(super) fn unexpected(&mut self, stage: Stage, response: &Response) -> Error {
        self.broken = true;
        Error::Unexpected(stage, summary(response))
    }

    fn limit(&self, stage: Stage) -> Result<Duration, Error> {
        Ok(left(stage, self.deadline)?.min(self.timeouts.of(stage)))
    }

    fn too_slow(&self, stage: Stage, limit: Duration) -> Error {
        if Instant::now() >= self.deadline && limit < self.timeouts.of(stage) {
            return Error::SessionOver(stage);
        }
        Error::TimedOut(stage, limit)
    }

    /// Whether the server has closed an idle connection or said something unasked (421).
    pub(super) fn is_stale(&self) -> bool {
        if !self.replies.is_empty() {
            return true;
        }
        let (tcp, is_plain) = match &self.stream {
            Stream::Plain(tcp) => (tcp, true),
            Stream::Tls(tls) => (tls.get_ref().0, false),
        };
        let mut octet = [0];
        let mut peeked = ReadBuf::new(&mut octet);
        match tcp.poll_peek(&mut Context::from_waker(Waker::noop()), &mut peeked) {
            Poll::Pending => false,
            Poll::Ready(Err(_) | Ok(0)) => true,
            // Over TLS it may be a session ticket.
            Poll::Ready(Ok(_)) => is_plain,
        }
    }

    /// Says QUIT (RFC 5321 §4.1.1.10) and closes; errors do not matter any more.
    pub(super) async fn quit(mut self) {
        if !self.broken {
            self.deadline = Instant::now() + self.timeouts.quit;
            if let Err(error) = self.command(Stage::Quit, &["QUIT"]).await {
                tracing::trace!(%error, "no reply to QUIT");
            }
        }
        if !matches!(timeout(self.timeouts.quit, self.stream.shutdown()).await, Ok(Ok(()))) {
            tracing::trace!("connection was closed already");
        }
    }
}

/// What is left of the time until `deadline`.
pub(super) fn left(stage: Stage, deadline: Instant) -> Result<Duration, Error> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Error::SessionOver(stage)) } else { Ok(left) }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
