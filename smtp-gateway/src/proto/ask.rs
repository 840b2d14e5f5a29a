//! What a session wants from whoever drives it, and what it is told.

use bytes::Bytes;

use super::{Fault, ForwardPath, MailParams, RcptParams, Reply, ReversePath};
use crate::sasl::{Mechanism, ScramSecret, Secret};

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send it, then read the next line.
    Reply(Reply),
    /// Find the answer and give it to [`Session::answer`](super::Session::answer).
    Ask(Ask),
    /// Send it, read a message with a [`DataReader`](super::DataReader), then call
    /// [`Session::data`](super::Session::data).
    Data(Reply),
    /// Send it, make the TLS handshake, then call
    /// [`Session::tls_started`](super::Session::tls_started).
    StartTls(Reply),
    /// Send it and close.
    Close(Reply),
}

/// A question that the protocol alone cannot answer.
#[derive(Debug)]
pub enum Ask {
    /// Is this name of HELO in the DNS? → `Accepted`, `Refused`.
    Helo {
        /// Domain name.
        name: String,
    },
    /// Is this the password? → `Accepted`, `Refused`.
    Password {
        /// How it was sent.
        mechanism: Mechanism,
        /// Login name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// What does the server know of this user's password? → `Secret`, `Refused`. A user that does
    /// not exist has a made-up secret.
    ScramSecret {
        /// Login name.
        username: String,
    },
    /// SCRAM came to its end for the user of the last `ScramSecret`; may it come in? →
    /// `Accepted`, `Refused`; only `Refused` when it is not proved.
    ScramOutcome {
        /// Which of the passwords the client knows.
        proved: Option<usize>,
    },
    /// May this sender send, and how? → `Accepted`, `Refused`.
    Sender {
        /// Reverse-path.
        path: ReversePath,
        /// Parameters.
        params: MailParams,
    },
    /// Is mail taken for this recipient? → `Accepted`, `Refused`.
    Recipient {
        /// Forward-path.
        path: ForwardPath,
        /// Parameters.
        params: RcptParams,
    },
    /// Take this message for the accepted recipients. → `Done`, `Refused`.
    Message {
        /// Parameters of MAIL.
        params: MailParams,
        /// The message, dots unstuffed, all line ends CRLF.
        data: Bytes,
    },
}

/// The answer to an [`Ask`].
#[derive(Debug)]
pub enum Answer {
    /// Yes.
    Accepted,
    /// The message is taken; text of the reply.
    Done(String),
    /// What is known of a password, and the server's part of the nonce.
    Secret {
        /// Secret, real or made up.
        secret: ScramSecret,
        /// Fresh random printable characters without commas.
        nonce: String,
    },
    /// No, with this reply; 421 also closes.
    Refused(Reply),
}

/// How reading a message ended: its octets, or why it cannot be taken.
pub type Data = Result<Bytes, Fault>;
