//! SASL mechanisms from the server's side, without I/O (RFC 4422).
//!
//! PLAIN (RFC 4616), LOGIN (never standardised), SCRAM-SHA-256 (RFC 5802, RFC 7677). Responses come
//! in decoded, challenges go out not yet encoded. Channel binding (-PLUS) is not offered.

mod plain;
pub mod scram;

use std::fmt;

pub use scram::{ScramKeys, ScramSecret};

/// A mechanism that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mechanism {
    /// SCRAM-SHA-256.
    ScramSha256,
    /// PLAIN.
    #[default]
    Plain,
    /// LOGIN.
    Login,
}

impl Mechanism {
    /// All, the strongest first.
    pub const ALL: &'static [Self] = &[Self::ScramSha256, Self::Plain, Self::Login];

    /// Name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// Reads the name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mechanism| mechanism.as_str().eq_ignore_ascii_case(name))
    }
}

/// A password on its way to be checked; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The password itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What comes next in an exchange.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// Send these octets and wait for a response.
    Challenge(Vec<u8>),
    /// Check this password.
    Password {
        /// Login name.
        username: String,
        /// Password.
        password: Secret,
    },
    /// Find what is known of this user and give it to [`Exchange::secret`].
    FindSecret {
        /// Login name.
        username: String,
    },
    /// It is over, and the client has proved its knowledge or not.
    Outcome {
        /// Which of the passwords it knows.
        proved: Option<usize>,
    },
    /// It is over: the response breaks the grammar.
    Malformed,
}

/// One authentication.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    state: State,
}

#[derive(Debug)]
enum State {
    Plain,
    LoginUsername,
    LoginPassword { username: String },
    Scram(scram::Server),
    Over,
}

impl Default for Exchange {
    /// One that is over.
    fn default() -> Self {
        Self { mechanism: Mechanism::default(), state: State::Over }
    }
}

impl Exchange {
    /// A new exchange.
    pub fn new(mechanism: Mechanism) -> Self {
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::LoginUsername,
            Mechanism::ScramSha256 => State::Scram(scram::Server::new()),
        };
        Self { mechanism, state }
    }

    /// The mechanism.
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The first turn when the client gave no initial response.
    pub fn start(&mut self) -> Turn {
        let prompt: &[u8] = if self.mechanism == Mechanism::Login { b"Username:" } else { b"" };
        Turn::Challenge(prompt.to_vec())
    }

    /// The client's response.
    pub fn response(&mut self, octets: &[u8]) -> Turn {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Plain => plain::plain(octets),
            State::LoginUsername => match plain::text(octets) {
                Some(username) => {
                    self.state = State::LoginPassword { username };
                    Turn::Challenge(b"Password:".to_vec())
                }
                None => Turn::Malformed,
            },
            State::LoginPassword { username } => match plain::text(octets) {
                Some(password) => Turn::Password { username, password: Secret(password) },
                None => Turn::Malformed,
            },
            State::Scram(mut server) => {
                let turn = server.response(octets);
                self.state = State::Scram(server);
                turn
            }
            State::Over => Turn::Malformed,
        }
    }

    /// What is known of the user of [`Turn::FindSecret`], and fresh random characters.
    pub fn secret(&mut self, secret: ScramSecret, nonce: &str) -> Turn {
        match &mut self.state {
            State::Scram(server) => server.secret(secret, nonce),
            _ => Turn::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_asks_twice() {
        let mut exchange = Exchange::new(Mechanism::Login);
        assert_eq!(exchange.start(), Turn::Challenge(b"Username:".to_vec()));
        assert_eq!(exchange.response(b"alice"), Turn::Challenge(b"Password:".to_vec()));
        let turn = exchange.response(b"wonderland");
        let Turn::Password { username, password } = turn else { panic!("{turn:?}") };
        assert_eq!((username.as_str(), password.reveal()), ("alice", "wonderland"));
        assert_eq!(format!("{password:?}"), "Secret");
        assert_eq!(exchange.response(b"again"), Turn::Malformed);
    }

    #[test]
    fn names_are_read_in_any_case() {
        assert_eq!(Mechanism::parse("scram-sha-256"), Some(Mechanism::ScramSha256));
        assert_eq!(Mechanism::parse("SCRAM-SHA-256-PLUS"), None);
    }
}
