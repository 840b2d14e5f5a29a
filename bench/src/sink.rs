//! An SMTP server that takes everything and keeps nothing, with as little work as possible.
//!
//! RFC 5321 with PIPELINING, 8BITMIME, SMTPUTF8 and SIZE, and STARTTLS (RFC 3207) when it has a
//! certificate. No CHUNKING, no checks: it counts messages, recipients and DKIM signatures.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::{Buf as _, BytesMut};
use memchr::memmem::Finder;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const EHLO: &[u8] =
    b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 104857600\r\n";
const EHLO_TLS: &[u8] = b"250-sink\r\n250-STARTTLS\r\n250-PIPELINING\r\n250-8BITMIME\r\n\
    250-SMTPUTF8\r\n250 SIZE 104857600\r\n";
/// Signatures are the first thing in a message.
const HEADER_LOOK: usize = 4096;

/// What the sink has taken so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    messages: AtomicU64,
    recipients: AtomicU64,
    signatures: AtomicU64,
}

/// A running sink.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    /// Where it listens.
    pub address: SocketAddr,
    counts: Arc<Counts>,
}

impl Sink {
    /// Listens on a free port of 127.0.0.1 only: other loopback addresses must refuse.
    pub(crate) async fn start() -> Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), None).await
    }

    /// Another one with the same port.
    pub(crate) async fn beside(&self, address: IpAddr, tls: Tls) -> Result<Self> {
        Self::start_at(SocketAddr::new(address, self.address.port()), tls).await
    }

    async fn start_at(address: SocketAddr, tls: Tls) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let sink = Self { address: listener.local_addr()?, counts: Arc::default() };
        let counts = Arc::clone(&sink.counts);
        tokio::spawn(async move {
            loop {
                // Too many files are open for a moment.
                let Ok((stream, _)) = listener.accept().await else { continue };
                tokio::spawn(serve(stream, Arc::clone(&counts), tls.clone()));
            }
        });
        Ok(sink)
    }

    /// Takes connections at that address, and never says a word.
    pub(crate) async fn stay_silent_at(&self, address: IpAddr) -> Result<()> {
        let listener = TcpListener::bind((address, self.address.port())).await?;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move { stream.read_u8().await });
            }
        });
        Ok(())
    }

    /// How many messages it has taken.
    pub(crate) fn messages(&self) -> u64 {
        self.counts.messages.load(Ordering::Relaxed)
    }

    /// How many recipients these had.
    pub(crate) fn recipients(&self) -> u64 {
        self.counts.recipients.load(Ordering::Relaxed)
    }

    /// How many DKIM signatures they bore.
    pub(crate) fn signatures(&self) -> u64 {
        self.counts.signatures.load(Ordering::Relaxed)
    }

    /// Waits until so many recipients are served, as long as there is progress; returns when the
    /// last one came.
    pub(crate) async fn wait_for(&self, recipients: u64, patience: Duration) -> Instant {
        let mut last = (self.recipients(), Instant::now());
        while last.0 < recipients && last.1.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let now = self.recipients();
            if now != last.0 {
                last = (now, Instant::now());
            }
        }
        last.1
    }
}

/// The state of one connection between two reads.
#[derive(Debug, Default)]
struct Session {
    recipients: u64,
    in_data: bool,
    /// How much of the input is known to hold no end of data.
    scanned: usize,
    quit: bool,
    /// The reply to EHLO.
    ehlo: &'static [u8],
    starttls: bool,
}

/// The certificate to be shown, if there is one.
pub(crate) type Tls = Option<Arc<ServerConfig>>;

/// A certificate that nobody vouches for.
pub(crate) fn certificate() -> Result<Tls> {
    let made = rcgen::generate_simple_self_signed(["mx.tls.sink.test".to_owned()])?;
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    Ok(Some(Arc::new(config)))
}

async fn serve(mut stream: TcpStream, counts: Arc<Counts>, tls: Tls) {
    stream.set_nodelay(true).ok();
    let greeting = b"220 sink ESMTP\r\n".to_vec();
    let Some(tls) = tls else {
        converse(&mut stream, greeting, EHLO, &counts).await;
        return;
    };
    if converse(&mut stream, greeting, EHLO_TLS, &counts).await
        && let Ok(mut stream) = TlsAcceptor::from(tls).accept(stream).await
    {
        converse(&mut stream, Vec::new(), EHLO, &counts).await;
    }
}

/// Serves until the end, or until STARTTLS: says whether that has come.
async fn converse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    mut output: Vec<u8>,
    ehlo: &'static [u8],
    counts: &Counts,
) -> bool {
    let end_of_data = Finder::new(b"\r\n.\r\n");
    let mut session = Session { ehlo, ..Session::default() };
    let mut input = BytesMut::with_capacity(64 * 1024);
    while !session.quit {
        if !output.is_empty()
            && (stream.write_all(&output).await.is_err() || stream.flush().await.is_err())
        {
            return false;
        }
        if session.starttls {
            return true;
        }
        output.clear();
        input.reserve(16 * 1024);
        match stream.read_buf(&mut input).await {
            Ok(0) | Err(_) => return false,
            Ok(_) => session.input(&mut input, &mut output, &end_of_data, counts),
        }
    }
    stream.write_all(&output).await.ok();
    stream.flush().await.ok();
    false
}

impl Session {
    /// Takes all complete commands and messages from the input.
    fn input(
        &mut self,
        input: &mut BytesMut,
        output: &mut Vec<u8>,
        end: &Finder<'_>,
        counts: &Counts,
    ) {
        loop {
            let progress = if self.in_data {
                self.data(input, output, end, counts)
            } else {
                self.command(input, output)
            };
            if !progress || self.quit || self.starttls {
                return;
            }
        }
    }

    fn command(&mut self, input: &mut BytesMut, output: &mut Vec<u8>) -> bool {
        let Some(end) = memchr::memchr(b'\n', input) else {
            return false;
        };
        let line = input.split_to(end + 1);
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let reply: &[u8] = match verb.as_slice() {
            b"EHLO" => self.ehlo,
            b"MAIL" | b"RSET" => {
                self.recipients = 0;
                b"250 2.0.0 Ok\r\n"
            }
            b"RCPT" => {
                self.recipients += 1;
                b"250 2.1.5 Ok\r\n"
            }
            b"DATA" => {
                self.in_data = true;
                self.scanned = 0;
                b"354 Go ahead\r\n"
            }
            b"STAR" => {
                self.starttls = true;
                b"220 2.0.0 Go ahead\r\n"
            }
            b"HELO" | b"NOOP" => b"250 2.0.0 Ok\r\n",
            b"QUIT" => {
                self.quit = true;
                b"221 2.0.0 Bye\r\n"
            }
            _ => b"502 5.5.1 Not implemented\r\n",
        };
        output.extend_from_slice(reply);
        true
    }

    fn data(
        &mut self,
        input: &mut BytesMut,
        output: &mut Vec<u8>,
        end: &Finder<'_>,
        counts: &Counts,
    ) -> bool {
        let from = self.scanned.min(input.len());
        let found = input.get(from..).and_then(|rest| end.find(rest));
        let Some(at) = found else {
            // The end may be cut in two by the next read.
            self.scanned = input.len().saturating_sub(4);
            return false;
        };
        let header = input.get(..HEADER_LOOK.min(input.len())).unwrap_or_default();
        let signatures = memchr::memmem::find_iter(header, b"DKIM-Signature:").count();
        counts.signatures.fetch_add(u64::try_from(signatures).unwrap_or(0), Ordering::Relaxed);
        counts.messages.fetch_add(1, Ordering::Relaxed);
        counts.recipients.fetch_add(self.recipients, Ordering::Relaxed);
        input.advance(from + at + 5);
        *self = Self { ehlo: self.ehlo, ..Self::default() };
        output.extend_from_slice(b"250 2.0.0 Taken\r\n");
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pipelined_transactions_in_pieces_of_any_size_are_counted() {
        let script = "EHLO me\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n\
                      DKIM-Signature: a\r\nDKIM-Signature: b\r\n\r\n..dots\r\n.\r\n\
                      MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n\r\n\r\n.\r\nQUIT\r\n";
        for size in [1, 3, 7, 4096] {
            let sink = Sink::start().await.unwrap();
            let mut stream = TcpStream::connect(sink.address).await.unwrap();
            for piece in script.as_bytes().chunks(size) {
                stream.write_all(piece).await.unwrap();
                stream.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
            let mut transcript = String::new();
            stream.read_to_string(&mut transcript).await.unwrap();
            assert_eq!((sink.messages(), sink.recipients(), sink.signatures()), (2, 3, 2));
            assert_eq!(transcript.matches("250 2.0.0 Taken").count(), 2, "{transcript}");
            assert!(transcript.ends_with("221 2.0.0 Bye\r\n"));
        }
    }
}
