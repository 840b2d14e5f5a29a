//! Why a try did not go on: errors of a connection, and what they mean for the job.

use std::{fmt, io, time::Duration};

use posthouse_core::ports::transport::{Host, Reply};

use super::reply::{Malformed, Response, summary};

/// The step of a session that something happened at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// TCP connection.
    Connect,
    /// Waiting for the greeting.
    Greeting,
    /// EHLO or HELO.
    Hello,
    /// The STARTTLS command.
    StartTls,
    /// TLS handshake.
    Handshake,
    /// The AUTH exchange.
    Auth,
    /// RSET.
    Reset,
    /// MAIL.
    Mail,
    /// RCPT.
    Recipient,
    /// DATA, up to 354.
    Data,
    /// Sending the message.
    Message,
    /// The reply to the message.
    EndOfData,
    /// QUIT.
    Quit,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the connection",
            Self::Greeting => "the greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Handshake => "the TLS handshake",
            Self::Auth => "AUTH",
            Self::Reset => "RSET",
            Self::Mail => "MAIL",
            Self::Recipient => "RCPT",
            Self::Data => "DATA",
            Self::Message => "sending the message",
            Self::EndOfData => "the end of the message",
            Self::Quit => "QUIT",
        })
    }
}

/// What ended the use of a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The network.
    #[error("the connection failed at {0}: {1}")]
    Io(Stage, #[source] io::Error),
    /// End of stream instead of a reply.
    #[error("the server closed the connection at {0}")]
    Closed(Stage),
    /// Too slow.
    #[error("the server did not get on with {0} within {seconds} s", seconds = .1.as_secs_f32().ceil())]
    TimedOut(Stage, Duration),
    /// The time for the whole session is over.
    #[error("the session took too long; it ended at {0}")]
    SessionOver(Stage),
    /// Not a reply.
    #[error("{1} (at {0})")]
    Malformed(Stage, Malformed),
    /// A reply that makes no sense at this stage.
    #[error("unexpected reply to {0}: {1}")]
    Unexpected(Stage, String),
    /// The octets of the message, which are ours to give.
    #[error("the message could not be read: {0}")]
    Content(#[source] posthouse_core::Error),
    /// Plain text behind the reply to STARTTLS.
    #[error("the server sent plain text after its reply to STARTTLS; this may be an attack")]
    Injected,
}

impl Error {
    /// The reply that stands for this error in an attempt at `host`.
    pub(super) fn into_reply(self, host: &Host) -> Reply {
        let enhanced = match &self {
            Self::Io(Stage::Connect, _) | Self::TimedOut(Stage::Connect, _) => "4.4.1",
            Self::Io(Stage::Handshake, _) | Self::Injected => "4.7.5",
            Self::Io(..) | Self::Closed(_) | Self::TimedOut(..) | Self::SessionOver(_) => "4.4.2",
            Self::Malformed(..) | Self::Unexpected(..) => "4.5.0",
            Self::Content(_) => return Reply::local("4.3.0", self.to_string()),
        };
        Reply::local(enhanced, format!("{}: {self}", host.name))
    }
}

/// Why a host gave no results for the recipients.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection could not be used: the next address may do better.
    Connection(Reply),
    /// The host does not take the message now: the next host may.
    Temporary(Reply),
    /// The host refuses the message for good.
    Permanent(Reply),
    /// The host cannot carry on what the sender wants of TLS (RFC 8689 §4.2): another one may.
    Lacking(Reply),
}

impl Fault {
    /// A negative reply that concerns the whole job.
    pub(super) fn from_response(stage: Stage, response: Response, host: &Host) -> Self {
        if response.is_temporary() {
            return Self::Temporary(response.into_reply());
        }
        if response.is_permanent() {
            return Self::Permanent(response.into_reply());
        }
        Self::Connection(Error::Unexpected(stage, summary(&response)).into_reply(host))
    }

    /// The reply, whatever it means.
    pub(super) fn into_reply(self) -> Reply {
        match self {
            Self::Connection(reply)
            | Self::Temporary(reply)
            | Self::Permanent(reply)
            | Self::Lacking(reply) => reply,
        }
    }
}
