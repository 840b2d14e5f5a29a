//! One connection to a sink.

mod auth;
mod bdat;

use std::{io, sync::Arc};

use bytes::{Buf as _, BytesMut};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Message, Shared,
    script::{Action, Stage, StartTls},
    wire::{find_end, path, unstuff},
};

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// `Err` ends the session, for whatever reason.
type Step = io::Result<()>;

struct Session {
    shared: Arc<Shared>,
    stream: Box<dyn Io>,
    input: BytesMut,
    output: Vec<u8>,
    /// The message being put together.
    message: Message,
    in_transaction: bool,
    taken: usize,
    /// What both ends of the TLS connection know (RFC 9266).
    exported: Option<[u8; 32]>,
    client_certificate: bool,
}

/// Serves one connection to its end.
pub(super) async fn run(shared: Arc<Shared>, tcp: TcpStream, connection: usize) {
    // Without it the sink, not the client, would be what a test measures.
    drop(tcp.set_nodelay(true));
    let message = Message {
        mail_from: String::new(),
        mail_parameters: String::new(),
        rcpt_to: Vec::new(),
        data: Vec::new(),
        tls: false,
        helo: String::new(),
        login: None,
        connection,
    };
    let mut session = Session {
        shared,
        stream: Box::new(tcp),
        input: BytesMut::with_capacity(16 * 1024),
        output: Vec::new(),
        message,
        in_transaction: false,
        taken: 0,
        exported: None,
        client_certificate: false,
    };
    let end = Box::pin(session.serve()).await;
    let why = end.err().map_or_else(|| "end".to_owned(), |error| error.to_string());
    session.shared.note("-", &why);
    // Best effort: the other side may be gone.
    drop(session.stream.shutdown().await);
}

fn end(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}

impl Session {
    async fn serve(&mut self) -> Step {
        if let Some(config) = self.shared.script.implicit_tls.clone() {
            self.upgrade(config).await?;
        }
        self.answer(Stage::Greeting, "", "220 sink.example ESMTP").await?;
        loop {
            let line = self.line().await?;
            self.shared.note("C", &line);
            self.command(&line).await?;
        }
    }

    async fn command(&mut self, line: &str) -> Step {
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                argument.clone_into(&mut self.message.helo);
                let reply = self.capabilities();
                self.answer(Stage::Ehlo, argument, &reply).await
            }
            "HELO" => {
                argument.clone_into(&mut self.message.helo);
                self.answer(Stage::Helo, argument, "250 sink.example").await
            }
            "STARTTLS" => self.start_tls().await,
            "AUTH" => self.auth(argument).await,
            "MAIL" => self.mail(argument).await,
            "RCPT" => self.rcpt(argument).await,
            "DATA" => self.data().await,
            "BDAT" if self.shared.script.chunking() => self.bdat(argument).await,
            "RSET" => {
                self.reset();
                self.answer(Stage::Rset, "", "250 2.0.0 Reset").await
            }
            "NOOP" => self.answer(Stage::Noop, "", "250 2.0.0 Nothing").await,
            "QUIT" => {
                self.answer(Stage::Quit, "", "221 2.0.0 Bye").await?;
                self.flush().await?;
                Err(end("quit"))
            }
            _ => {
                self.say("500 5.5.1 Unknown command");
                Ok(())
            }
        }
    }

    fn capabilities(&self) -> String {
        let script = &self.shared.script;
        let mut lines = vec!["sink.example".to_owned()];
        lines.extend(script.capabilities.iter().cloned());
        lines.extend((script.starttls.is_some() && !self.message.tls).then(|| "STARTTLS".into()));
        let listed = lines.iter().any(|line| line.starts_with("AUTH "));
        let usual = script.login.is_some() && !listed;
        lines.extend(usual.then(|| "AUTH PLAIN LOGIN".into()));
        let last = lines.len() - 1;
        let number = |(at, line): (usize, &String)| {
            format!("250{}{line}", if at == last { ' ' } else { '-' })
        };
        let numbered: Vec<_> = lines.iter().enumerate().map(number).collect();
        numbered.join("\r\n")
    }

    async fn mail(&mut self, argument: &str) -> Step {
        let script = &self.shared.script;
        if script.login.is_some() && self.message.login.is_none() {
            self.say("530 5.7.0 Authentication required");
            return Ok(());
        }
        if self.in_transaction {
            self.say("503 5.5.1 Nested MAIL");
            return Ok(());
        }
        let (path, parameters) = path(argument);
        self.in_transaction = self.answer_positive(Stage::Mail, &path, "250 2.1.0 OK").await?;
        self.message.mail_from = path;
        self.message.mail_parameters = parameters;
        Ok(())
    }

    async fn rcpt(&mut self, argument: &str) -> Step {
        let (path, _) = path(argument);
        if !self.in_transaction {
            self.say("503 5.5.1 MAIL first");
        } else if self.message.rcpt_to.len() >= self.shared.script.max_recipients {
            self.say("452 4.5.3 Too many recipients");
        } else if self.answer_positive(Stage::Rcpt, &path, "250 2.1.5 OK").await? {
            self.message.rcpt_to.push(path);
        }
        Ok(())
    }

    async fn data(&mut self) -> Step {
        let usual = if self.message.rcpt_to.is_empty() {
            "503 5.5.1 RCPT first"
        } else {
            "354 End with a period"
        };
        let reply = self.answer_code(Stage::Data, "", usual).await?;
        if reply != b'3' {
            return Ok(());
        }
        self.answer_code(Stage::Message, "", "").await?;
        let (octets, length) = self.message_octets().await?;
        self.shared.note("C", &format!("({length} octets)"));
        let usual = if self.message.rcpt_to.is_empty() {
            "554 5.5.1 No valid recipients"
        } else {
            "250 2.0.0 Taken"
        };
        self.conclude(octets, length, usual).await
    }

    /// The end of a message, which came as `length` octets.
    async fn conclude(&mut self, octets: Vec<u8>, length: usize, usual: &str) -> Step {
        self.message.data = octets;
        if self.answer_positive(Stage::EndOfData, "", usual).await? {
            let shared = self.shared.clone();
            let message = if shared.script.keeps { self.message.clone() } else { self.empty() };
            shared.take(message, length);
            self.taken += 1;
        }
        self.reset();
        if self.taken >= self.shared.script.messages_per_connection {
            self.flush().await?;
            return Err(end("enough messages"));
        }
        Ok(())
    }

    /// What counting mode hands over: nothing is cloned.
    const fn empty(&self) -> Message {
        Message {
            mail_from: String::new(),
            mail_parameters: String::new(),
            rcpt_to: Vec::new(),
            data: Vec::new(),
            tls: self.message.tls,
            helo: String::new(),
            login: None,
            connection: self.message.connection,
        }
    }

    fn reset(&mut self) {
        self.in_transaction = false;
        self.message.rcpt_to.clear();
        self.message.data.clear();
    }

    async fn start_tls(&mut self) -> Step {
        let Some(starttls) = self.shared.script.starttls.clone() else {
            self.say("502 5.5.1 No TLS here");
            return Ok(());
        };
        if !self.answer_positive(Stage::StartTls, "", "220 2.0.0 Go ahead").await? {
            return Ok(());
        }
        self.in_transaction = false;
        match starttls {
            StartTls::Tls(config) => {
                self.flush().await?;
                self.upgrade(config).await
            }
            StartTls::Injected(config, text) => {
                self.output.extend_from_slice(text.as_bytes());
                self.flush().await?;
                self.upgrade(config).await
            }
            StartTls::Broken => {
                self.flush().await?;
                self.stream.read_buf(&mut self.input).await?;
                self.stream.write_all(b"this is not TLS\r\n").await?;
                Err(end("broken TLS"))
            }
        }
    }

    async fn upgrade(&mut self, config: Arc<ServerConfig>) -> Step {
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let tls = TlsAcceptor::from(config).accept(plain).await?;
        let session = tls.get_ref().1;
        let label = b"EXPORTER-Channel-Binding";
        self.exported = session.export_keying_material([0; 32], label, Some(b"")).ok();
        self.client_certificate = session.peer_certificates().is_some();
        self.stream = Box::new(tls);
        self.input.clear();
        self.message.tls = true;
        Ok(())
    }

    /// Reads up to CRLF "." CRLF; the octets without dot-stuffing when they are kept, and how many
    /// came.
    async fn message_octets(&mut self) -> io::Result<(Vec<u8>, usize)> {
        let mut from = 0;
        loop {
            if self.input.starts_with(b".\r\n") {
                self.input.advance(3);
                return Ok((Vec::new(), 0));
            }
            if let Some(at) = find_end(&self.input, from) {
                let wire = self.input.split_to(at + 2);
                self.input.advance(3);
                let kept = if self.shared.script.keeps { unstuff(&wire) } else { Vec::new() };
                return Ok((kept, wire.len()));
            }
            from = self.input.len().saturating_sub(4);
            self.fill().await?;
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.input.iter().position(|octet| *octet == b'\n') {
                let line = self.input.split_to(at + 1);
                let line = line.strip_suffix(b"\r\n").ok_or_else(|| end("bare LF in a command"))?;
                return Ok(String::from_utf8_lossy(line).into_owned());
            }
            self.fill().await?;
        }
    }

    /// Reads more; what there is to say goes out before.
    async fn fill(&mut self) -> Step {
        self.flush().await?;
        self.input.reserve(16 * 1024);
        if self.stream.read_buf(&mut self.input).await? == 0 {
            return Err(end("closed by the client"));
        }
        Ok(())
    }

    async fn flush(&mut self) -> Step {
        if self.output.is_empty() {
            return Ok(());
        }
        if !self.shared.script.pause.is_zero() {
            tokio::time::sleep(self.shared.script.pause).await;
        }
        self.stream.write_all(&self.output).await?;
        self.output.clear();
        self.stream.flush().await
    }

    fn say(&mut self, reply: &str) {
        if reply.is_empty() {
            return;
        }
        self.shared.note("S", reply);
        self.output.extend_from_slice(reply.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    async fn answer(&mut self, stage: Stage, argument: &str, usual: &str) -> Step {
        self.answer_code(stage, argument, usual).await.map(|_| ())
    }

    async fn answer_positive(
        &mut self,
        stage: Stage,
        argument: &str,
        usual: &str,
    ) -> io::Result<bool> {
        Ok(self.answer_code(stage, argument, usual).await? == b'2')
    }

    /// Replies as the script says, else as usual; the first digit of the reply.
    async fn answer_code(&mut self, stage: Stage, argument: &str, usual: &str) -> io::Result<u8> {
        let shared = self.shared.clone();
        let reply = match shared.script.action(stage, argument, &shared.fired) {
            None => usual,
            Some(Action::Reply(reply)) => reply,
            Some(Action::Close) => {
                self.flush().await?;
                return Err(end("closed by the script"));
            }
            Some(Action::Hang) => {
                self.flush().await?;
                return std::future::pending().await;
            }
            Some(Action::Endless) => loop {
                self.stream.write_all(&b"250-and so on\r\n".repeat(100)).await?;
            },
        };
        self.say(reply);
        let code = reply.bytes().next().unwrap_or(b'2');
        if reply.starts_with("421") {
            self.flush().await?;
            return Err(end("421"));
        }
        Ok(code)
    }
}
