//! An SMTP client for tests that sends exactly the octets it is told and reads whole replies.
//!
//! It checks no certificate and enforces no order of commands: tests do wrong things on purpose.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::aws_lc_rs::default_provider,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// One reply of the server, all its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The code of the last line.
    pub code: u16,
    /// The lines as they came, without line ends.
    pub lines: Vec<String>,
}

impl Reply {
    /// Whether the server agreed: 2xx or 3xx.
    pub const fn is_positive(&self) -> bool {
        self.code / 100 == 2 || self.code / 100 == 3
    }

    /// Whether the first line begins so: `550 5.1.1`.
    pub fn begins(&self, prefix: &str) -> bool {
        let line = &self.lines[0];
        line.starts_with(prefix) || line.replacen('-', " ", 1).starts_with(prefix)
    }

    /// Whether an EHLO reply has this line, for example `STARTTLS` or `AUTH PLAIN LOGIN`.
    pub fn offers(&self, keyword: &str) -> bool {
        self.lines.iter().skip(1).any(|line| {
            let rest = line.get(4..).unwrap_or_default();
            rest == keyword || rest.starts_with(&format!("{keyword} "))
        })
    }

    /// The text after the code in the last line.
    pub fn text(&self) -> &str {
        self.lines.last().and_then(|line| line.get(4..)).unwrap_or_default()
    }

    /// Fails the test unless the reply begins so.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "the check is what it is for")]
    pub fn expect(self, prefix: &str) -> Self {
        assert!(self.begins(prefix), "expected {prefix}, got: {self}");
        self
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to an SMTP server.
pub struct SmtpClient {
    stream: Box<dyn Stream>,
    /// Octets that came after the last line that was asked for.
    buffer: Vec<u8>,
}

impl SmtpClient {
    /// Connects; the greeting is still to be read.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).await.unwrap()
    }

    /// Connects, unless nobody listens; the greeting is still to be read.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn try_connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: Box::new(stream), buffer: Vec::new() })
    }

    /// Connects with TLS from the first octet; the greeting is still to be read.
    pub async fn connect_tls(address: SocketAddr) -> Self {
        let mut client = Self::connect(address).await;
        client.handshake().await;
        client
    }

    /// Connects, reads the greeting and says EHLO.
    pub async fn open(address: SocketAddr) -> Self {
        Self::connect(address).await.welcomed().await
    }

    /// The same over TLS from the first octet.
    pub async fn open_tls(address: SocketAddr) -> Self {
        Self::connect_tls(address).await.welcomed().await
    }

    /// Like [`Self::open`], from another address of this machine.
    pub async fn open_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(source, 0)).unwrap();
        let stream = socket.connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: Box::new(stream), buffer: Vec::new() }.welcomed().await
    }

    /// Reads the greeting and says EHLO.
    async fn welcomed(mut self) -> Self {
        self.reply().await.expect("220");
        self.command("EHLO client.test").await.expect("250");
        self
    }

    /// Sends octets as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap();
    }

    /// Sends octets as they are, unless the server is gone.
    ///
    /// # Errors
    /// What the operating system says.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// Sends octets in two pieces, cut at `at`, far enough apart to be read apart.
    pub async fn send_split(&mut self, bytes: &[u8], at: usize) {
        let (first, second) = bytes.split_at(at);
        self.send(first).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.send(second).await;
    }

    /// Sends a line and reads the reply.
    pub async fn command(&mut self, line: &str) -> Reply {
        self.send(format!("{line}\r\n")).await;
        self.reply().await
    }

    /// Reads a reply.
    pub async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("the server closed the connection")
    }

    /// Reads a reply; nothing if the server has closed the connection.
    pub async fn try_reply(&mut self) -> Option<Reply> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            let last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line);
            if last {
                let code = lines.last()?.get(..3)?.parse().ok()?;
                return Some(Reply { code, lines });
            }
        }
    }

    /// Whether the server closes the connection without another octet.
    pub async fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && self.fill().await == 0
    }

    /// Whether nothing comes for so long.
    pub async fn is_quiet_for(&mut self, time: Duration) -> bool {
        self.buffer.is_empty() && timeout(time, self.fill()).await.is_err()
    }

    /// Says STARTTLS and makes the connection safe. EHLO is to be said again.
    pub async fn starttls(&mut self) {
        self.command("STARTTLS").await.expect("220");
        self.handshake().await;
        self.command("EHLO client.test").await.expect("250");
    }

    /// Does the TLS handshake now.
    pub async fn handshake(&mut self) {
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let name = ServerName::try_from("localhost").unwrap();
        let stream = tls_connector().connect(name, plain).await.unwrap();
        self.stream = Box::new(stream);
    }

    /// Logs in with AUTH PLAIN and returns the last reply.
    pub async fn auth_plain(&mut self, user: &str, password: &str) -> Reply {
        let response = BASE64.encode(format!("\0{user}\0{password}"));
        self.command(&format!("AUTH PLAIN {response}")).await
    }

    /// Logs in with AUTH LOGIN and returns the last reply.
    pub async fn auth_login(&mut self, user: &str, password: &str) -> Reply {
        self.command("AUTH LOGIN").await.expect("334");
        self.command(&BASE64.encode(user)).await.expect("334");
        self.command(&BASE64.encode(password)).await
    }

    /// Logs in with AUTH SCRAM-SHA-256 (RFC 7677), checks the server's signature, and returns the
    /// last reply.
    pub async fn auth_scram(&mut self, user: &str, password: &str) -> Reply {
        let first = format!("n={user},r=rOprNGfwEbeRWgbNEkqO");
        let initial = BASE64.encode(format!("n,,{first}"));
        let challenge = self.command(&format!("AUTH SCRAM-SHA-256 {initial}")).await;
        if challenge.code != 334 {
            return challenge;
        }
        let challenge = String::from_utf8(BASE64.decode(challenge.text()).unwrap()).unwrap();
        let (response, signature) = scram(&first, &challenge, password);
        let reply = self.command(&BASE64.encode(response)).await;
        if reply.code != 334 {
            return reply;
        }
        let verifier = BASE64.decode(reply.text()).unwrap();
        assert_eq!(String::from_utf8(verifier).unwrap(), format!("v={signature}"));
        self.command("").await
    }

    /// Sends MAIL and RCPT; fails the test when one is refused.
    pub async fn envelope(&mut self, mail_from: &str, recipients: &[&str]) {
        self.command(&format!("MAIL FROM:<{mail_from}>")).await.expect("250");
        for recipient in recipients {
            self.command(&format!("RCPT TO:<{recipient}>")).await.expect("250");
        }
    }

    /// Sends DATA and the message, dot-stuffed and ended, and returns the last reply. Line ends of
    /// the message must be CRLF already.
    pub async fn data(&mut self, message: &str) -> Reply {
        self.command("DATA").await.expect("354");
        let mut stuffed = message.replace("\r\n.", "\r\n..");
        if stuffed.starts_with('.') {
            stuffed.insert(0, '.');
        }
        if !stuffed.ends_with("\r\n") {
            stuffed.push_str("\r\n");
        }
        self.send(format!("{stuffed}.\r\n")).await;
        self.reply().await
    }

    /// Sends a whole message and returns the reply to its end.
    pub async fn send_mail(&mut self, mail_from: &str, to: &str, message: &str) -> Reply {
        self.envelope(mail_from, &[to]).await;
        self.data(message).await
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).into_owned();
                assert!(line.ends_with("\r\n"), "a reply line ends in a bare LF: {line:?}");
                return Some(line.trim_end().to_owned());
            }
            if self.fill().await == 0 {
                return None;
            }
        }
    }

    /// Reads more; nothing comes after an error.
    async fn fill(&mut self) -> usize {
        let mut chunk = [0; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut chunk)).await;
        let length = read.expect("no reply in time").unwrap_or(0);
        self.buffer.extend_from_slice(&chunk[..length]);
        length
    }
}

/// Computes the client's last message and the server's signature (RFC 5802 §3).
fn scram(first: &str, challenge: &str, password: &str) -> (String, String) {
    let field = |name: &str| {
        let part = challenge.split(',').find_map(|part| part.strip_prefix(name));
        part.unwrap_or_else(|| panic!("no {name} in {challenge}")).to_owned()
    };
    let (nonce, salt, count) = (field("r="), field("s="), field("i="));
    let mut salted = [0; 32];
    let iterations = count.parse().unwrap();
    let salt = BASE64.decode(salt).unwrap();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password.as_bytes(), &mut salted);
    let sign = |key: &[u8], text: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
    };
    let client_key = sign(&salted, "Client Key");
    let stored_key = digest::digest(&digest::SHA256, &client_key);
    let without_proof = format!("c=biws,r={nonce}");
    let auth_message = format!("{first},{challenge},{without_proof}");
    let client_signature = sign(stored_key.as_ref(), &auth_message);
    let proof: Vec<u8> = client_key.iter().zip(client_signature).map(|(a, b)| a ^ b).collect();
    let server_signature = sign(&sign(&salted, "Server Key"), &auth_message);
    (format!("{without_proof},p={}", BASE64.encode(proof)), BASE64.encode(server_signature))
}

fn tls_connector() -> TlsConnector {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Takes any certificate.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scram_computes_the_example_of_rfc_7677() {
        let first = "n=user,r=rOprNGfwEbeRWgbNEkqO";
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (response, signature) = scram(first, challenge, "pencil");
        assert!(response.ends_with(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
        assert_eq!(signature, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }
}
