//! The octets of one connection: read with deadlines, replies gathered and written together, TLS.

use std::{io, time::Duration};

use bytes::BytesMut;
use posthouse_core::inbound::TlsFacts;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, Empty},
    net::TcpStream,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use crate::{config::Slow, proto::Reply};

/// How much is read at a time.
const BLOCK: usize = 16 * 1024;
/// What a client still sends when we hang up is read so long, or else it would lose our last reply.
const LINGER: Duration = Duration::from_secs(1);
/// And at most so many blocks.
const LINGER_BLOCKS: usize = 64;

/// A connection's octets.
pub(crate) struct Wire {
    stream: Stream,
    /// Read, but not looked at.
    pub(crate) input: BytesMut,
    output: String,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Lost in a handshake.
    Gone(Empty),
}

impl Wire {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self { stream: Stream::Plain(tcp), input: BytesMut::new(), output: String::new() }
    }

    /// One without a socket.
    pub(crate) fn gone() -> Self {
        let stream = Stream::Gone(tokio::io::empty());
        Self { stream, input: BytesMut::new(), output: String::new() }
    }

    fn stream(&mut self) -> &mut (dyn Duplex + '_) {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls,
            Stream::Gone(empty) => empty,
        }
    }

    /// Reads more into `input`.
    ///
    /// # Errors
    /// `TimedOut`; `UnexpectedEof` when the client has hung up.
    pub(crate) async fn fill(&mut self, deadline: Instant) -> io::Result<()> {
        let mut input = std::mem::take(&mut self.input);
        input.reserve(BLOCK);
        let read = timeout_at(deadline, self.stream().read_buf(&mut input)).await;
        self.input = input;
        match read {
            Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read.map(drop),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Keeps a reply until [`Wire::flush`].
    pub(crate) fn say(&mut self, reply: &Reply) {
        self.output.push_str(&reply.serialise());
    }

    /// Writes what was said.
    pub(crate) async fn flush(&mut self, time: Duration) -> io::Result<()> {
        let output = std::mem::take(&mut self.output);
        self.write(output.as_bytes(), time).await
    }

    /// The same, octet by octet, until that would take too long or `hurry` comes.
    pub(crate) async fn drip(
        &mut self,
        slow: &Slow,
        time: Duration,
        hurry: &CancellationToken,
    ) -> io::Result<()> {
        let output = std::mem::take(&mut self.output);
        let end = Instant::now() + slow.longest;
        let mut rest = output.as_bytes();
        while let Some((octet, after)) = rest.split_first() {
            if Instant::now() >= end {
                break;
            }
            self.write(&[*octet], time).await?;
            rest = after;
            if hurry.run_until_cancelled(sleep(slow.delay)).await.is_none() {
                break;
            }
        }
        self.write(rest, time).await
    }

    async fn write(&mut self, octets: &[u8], time: Duration) -> io::Result<()> {
        if octets.is_empty() {
            return Ok(());
        }
        let stream = self.stream();
        let written = timeout(time, async {
            stream.write_all(octets).await?;
            stream.flush().await
        });
        written.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Makes the handshake. Octets in plain text that were read but not looked at are gone.
    pub(crate) async fn start_tls(self, tls: &TlsAcceptor, time: Duration) -> io::Result<Self> {
        let Stream::Plain(tcp) = self.stream else {
            return Err(io::Error::other("TLS is active already"));
        };
        let stream = timeout(time, tls.accept(tcp)).await;
        let stream = stream.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let stream = Stream::Tls(Box::new(stream));
        Ok(Self { stream, input: BytesMut::new(), output: String::new() })
    }

    /// How the connection is encrypted.
    pub(crate) fn tls(&self) -> Option<TlsFacts> {
        let Stream::Tls(stream) = &self.stream else {
            return None;
        };
        let (_, connection) = stream.get_ref();
        let version = connection.protocol_version().and_then(|version| version.as_str());
        let suite = connection.negotiated_cipher_suite()?.suite();
        let suite = suite.as_str().unwrap_or_default();
        Some(TlsFacts {
            version: version.unwrap_or_default().replace("v1_", "v1."),
            // The names of TLS 1.3 suites are longer in rustls than at IANA.
            cipher: suite.replace("TLS13_", "TLS_"),
        })
    }

    /// Hangs up so that the client can still read our last reply.
    pub(crate) async fn close(mut self) {
        let _ended: Result<io::Result<()>, _> = timeout(LINGER, async {
            let stream = self.stream();
            stream.shutdown().await?;
            let mut block = vec![0; BLOCK];
            for _ in 0..LINGER_BLOCKS {
                if stream.read(&mut block).await? == 0 {
                    break;
                }
            }
            Ok(())
        })
        .await;
    }
}

/// A stream in both directions.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}
