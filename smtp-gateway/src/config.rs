//! Settings of the SMTP server that are the same for all its listeners.

use std::time::Duration;

/// What a listener is for, and whether it starts with TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerKind {
    /// Port 25: mail from other servers.
    Mx,
    /// Port 587: mail from people here, STARTTLS.
    Submission,
    /// Port 465: the same, TLS from the first octet (RFC 8314).
    Submissions,
}

impl ListenerKind {
    /// Name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
        }
    }
}

/// Settings; the defaults are those of the documentation.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    /// Clients on this machine may send passwords without TLS; for `localserve` and tests.
    pub plain_login_on_loopback: bool,
    /// Most recipients of one message.
    pub max_recipients: usize,
    /// Most connections at a time.
    pub connections: usize,
    /// Most connections at a time from an IPv4 /32, /26, /21 or an IPv6 /64, /48, /32 (H3).
    pub connections_per_network: [usize; 3],
    /// How long a client may take.
    pub timeouts: Timeouts,
    /// How clients that misbehave are slowed down.
    pub slow: Slow,
}

/// How long a client may take (A4).
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a whole command, and for taking a reply.
    pub command: Duration,
    /// For each piece of a message.
    pub data_block: Duration,
    /// For a whole message.
    pub data: Duration,
    /// For a TLS handshake.
    pub handshake: Duration,
}

/// Slow mode (A21, H8).
#[derive(Debug, Clone, Copy)]
pub struct Slow {
    /// From this failed login on, replies come octet by octet.
    pub login_failures: u32,
    /// From this refused recipient on, each command is looked at with a delay.
    pub refused_recipients: u32,
    /// Delay before a command, and between octets.
    pub delay: Duration,
    /// Longest time that a reply takes.
    pub longest: Duration,
}

impl Default for SmtpConfig {
    fn default() -> Self {
        Self {
            plain_login_on_loopback: false,
            max_recipients: posthouse_core::messages::MAX_RECIPIENTS,
            connections: 2000,
            connections_per_network: [30, 90, 270],
            timeouts: Timeouts::default(),
            slow: Slow::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(30),
            data_block: Duration::from_secs(30),
            data: Duration::from_mins(30),
            handshake: Duration::from_mins(1),
        }
    }
}

impl Default for Slow {
    fn default() -> Self {
        Self {
            login_failures: 3,
            refused_recipients: 5,
            delay: Duration::from_secs(1),
            longest: Duration::from_secs(20),
        }
    }
}
