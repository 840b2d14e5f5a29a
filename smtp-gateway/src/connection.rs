//! One connection: octets to the session, its steps to the socket, its questions to the core.

use std::{convert::Infallible, io, mem, sync::Arc};

use posthouse_core::{
    inbound::ConnectionFacts,
    room::Share,
    spool::{Arrived, Spool},
};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    asks::Asks,
    config::ListenerKind,
    proto::{Data, DataReader, Fault, Reply, Role, Session, Settings, Step, next_line},
    server::{Facts, Shared},
    wire::Wire,
};

/// Failed transactions without a good one before a client is sent away (A4).
const MAX_FAILED: u32 = 10;
/// More of a message that is too large is not read.
const MAX_EXCESS: u64 = 16 * 1024 * 1024;
/// A message is in memory as it came, with our fields and without Bcc, and compressed.
const COPIES: u64 = 3;

/// One connection.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    kind: ListenerKind,
    session: Session,
    wire: Wire,
    asks: Asks,
    /// What work on the message takes, until it is answered.
    memory: Share,
    shutdown: CancellationToken,
}

/// Why a connection ended.
#[derive(Debug)]
enum End {
    /// As it should.
    Closed,
    /// The socket failed, or the client was too slow or hung up.
    Io(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Connection {
    pub(crate) fn new(
        shared: Arc<Shared>,
        tcp: TcpStream,
        facts: &Facts,
        shutdown: CancellationToken,
    ) -> Self {
        let client = facts.client.ip().to_canonical();
        let local = tcp.local_addr().map_or(client, |address| address.ip().to_canonical());
        let core = shared.platform.config();
        let settings = Settings {
            hostname: core.hostname.clone(),
            role: if facts.kind == ListenerKind::Mx { Role::Mx } else { Role::Submission },
            size_limit: core.message_size_limit,
            tls_available: shared.tls.is_some(),
            plain_login: shared.config.plain_login_on_loopback && client.is_loopback(),
            max_recipients: shared.config.max_recipients,
            max_failed: MAX_FAILED,
        };
        let implicit_tls = facts.kind == ListenerKind::Submissions;
        let connection = ConnectionFacts {
            id: facts.id,
            remote_address: client,
            local_address: local,
            helo: String::new(),
            esmtp: false,
            smtputf8: false,
            requiretls: false,
            tls: None,
        };
        let asks = Asks::new(shared.platform.clone(), facts.kind, connection, shared.fake.clone());
        Self {
            kind: facts.kind,
            session: Session::new(Arc::new(settings), implicit_tls),
            wire: Wire::new(tcp),
            asks,
            memory: Share::none(),
            shutdown,
            shared,
        }
    }

    /// Talks until the end.
    pub(crate) async fn run(mut self) {
        tracing::debug!("connected");
        let Err(end) = self.talk().await;
        match end {
            End::Closed => {
                tracing::debug!("closed");
                self.wire.close().await;
            }
            End::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
                tracing::debug!("timed out");
                self.wire.say(&Reply::timed_out());
                if self.flush().await.is_ok() {
                    self.wire.close().await;
                }
            }
            // A25: clients come and go.
            End::Io(error) => tracing::debug!(%error, "lost"),
        }
    }

    async fn talk(&mut self) -> Result<Infallible, End> {
        if self.kind == ListenerKind::Submissions {
            self.start_tls().await?;
        }
        self.wire.say(&self.session.greeting());
        loop {
            let step = self.next().await?;
            self.drive(step).await?;
        }
    }

    /// What the next line means.
    async fn next(&mut self) -> Result<Step, End> {
        let mut deadline = None;
        loop {
            if self.shutdown.is_cancelled() {
                return Ok(Step::Close(Reply::shutting_down()));
            }
            match next_line(&mut self.wire.input, self.session.line_limit()) {
                Some(Ok(line)) => {
                    self.delay().await;
                    let verb = self.session.verb(&line);
                    let step = self.session.line(&line, !self.wire.input.is_empty());
                    let listener = self.kind.as_str();
                    metrics::counter!(
                        "posthouse_smtp_in_commands_total", "listener" => listener, "verb" => verb
                    )
                    .increment(1);
                    return Ok(step);
                }
                Some(Err(fault)) => return Ok(self.session.bad_line(fault)),
                None => {}
            }
            self.flush().await?;
            // For the whole line: a client that sends octet by octet gains nothing.
            let time = self.shared.config.timeouts.command;
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + time);
            let shutdown = self.shutdown.clone();
            if let Some(filled) = shutdown.run_until_cancelled(self.wire.fill(deadline)).await {
                filled?;
            }
        }
    }

    /// Does what the session wants.
    async fn drive(&mut self, mut step: Step) -> Result<(), End> {
        loop {
            step = match step {
                Step::Reply(reply) => {
                    self.memory = Share::none();
                    self.wire.say(&reply);
                    return Ok(());
                }
                Step::Ask(ask) => {
                    let answer = self.asks.resolve(ask, self.session.hello()).await;
                    self.session.answer(answer)
                }
                Step::Data(reply) => {
                    self.wire.say(&reply);
                    self.flush().await?;
                    let data = self.receive().await?;
                    self.session.data(data)
                }
                Step::StartTls(reply) => {
                    self.wire.say(&reply);
                    self.flush().await?;
                    self.start_tls().await?;
                    self.session.tls_started();
                    self.asks.forget();
                    return Ok(());
                }
                Step::Close(reply) => {
                    self.wire.say(&reply);
                    self.flush().await?;
                    return Err(End::Closed);
                }
            };
        }
    }

    /// Reads a message to its end.
    async fn receive(&mut self) -> Result<Data, End> {
        let limit = self.shared.platform.config().message_size_limit;
        let timeouts = self.shared.config.timeouts;
        let end = Instant::now() + timeouts.data;
        let mut reader = DataReader::new(usize::try_from(limit).unwrap_or(usize::MAX));
        let mut spool = Spool::new(&self.shared.platform);
        loop {
            let used = reader.push(&self.wire.input);
            drop(self.wire.input.split_to(used));
            if let Err(error) = spool.push(&reader.take()).await {
                tracing::warn!(error = ?error, "a message cannot be kept");
                reader.refuse(Fault::NoRoom);
            }
            if reader.is_refused() {
                spool = Spool::new(&self.shared.platform);
            }
            if reader.ended() {
                return Ok(self.arrived(reader, spool).await);
            }
            if reader.received() > limit.saturating_add(MAX_EXCESS) {
                let reply = Reply::new(552, "5.3.4", "The message is much too large");
                self.wire.say(&reply);
                self.flush().await?;
                return Err(End::Closed);
            }
            let block = Instant::now() + timeouts.data_block;
            self.wire.fill(block.min(end)).await?;
        }
    }

    /// A message that was read to its end, in memory.
    async fn arrived(&mut self, reader: DataReader, spool: Spool) -> Data {
        reader.finish()?;
        match spool.load(COPIES).await {
            Ok(Arrived { bytes, memory }) => {
                self.memory = memory;
                Ok(bytes)
            }
            Err(error) => {
                tracing::warn!(error = ?error, "there is no memory for a message");
                Err(Fault::NoRoom)
            }
        }
    }

    async fn start_tls(&mut self) -> Result<(), End> {
        let Some(tls) = &self.shared.tls else {
            return Err(End::Io(io::Error::other("there is no certificate")));
        };
        let time = self.shared.config.timeouts.handshake;
        let wire = mem::replace(&mut self.wire, Wire::gone());
        let result = wire.start_tls(tls, time).await;
        let listener = self.kind.as_str();
        let outcome = if result.is_ok() { "ok" } else { "failed" };
        metrics::counter!(
            "posthouse_smtp_in_tls_handshakes_total", "listener" => listener, "result" => outcome
        )
        .increment(1);
        // A failed handshake cannot be answered: the client does not understand us.
        self.wire = result.map_err(|error| End::Io(io::Error::other(error)))?;
        self.asks.facts.tls = self.wire.tls();
        Ok(())
    }

    /// Slow mode before a command (A21).
    async fn delay(&self) {
        let slow = &self.shared.config.slow;
        let failures = self.session.login_failures();
        let suspicious = failures >= slow.login_failures
            || self.session.refused_recipients() >= slow.refused_recipients;
        if suspicious {
            let extra = failures.saturating_sub(slow.login_failures).saturating_add(1);
            let _stopped =
                self.shutdown.run_until_cancelled(sleep(slow.delay.saturating_mul(extra))).await;
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        let slow = &self.shared.config.slow;
        let time = self.shared.config.timeouts.command;
        let result = if self.session.login_failures() >= slow.login_failures {
            self.wire.drip(slow, time, &self.shutdown).await
        } else {
            self.wire.flush(time).await
        };
        Ok(result?)
    }
}
