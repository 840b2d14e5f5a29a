//! The one error type of all operations. No HTTP status, no SMTP reply in it: the doors spell it.

mod code;

use std::time::Duration;

pub use code::{Class, Code};

/// Result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any cause, for logs only.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer to the field (RFC 6901), such as `/to/0`.
    pub pointer: String,
    /// Stable code, `snake_case`.
    pub code: &'static str,
    /// What is wrong and what to do, for people.
    pub detail: String,
}

impl FieldError {
    /// A fault at `pointer`.
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}

/// Why an operation did not happen. `Display` is always safe to show to the caller.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No credential was given.
    #[error("authentication is required")]
    Unauthenticated,
    /// The credential is unknown, wrong, or may not be used from here.
    #[error("the credentials are not valid")]
    InvalidCredentials,
    /// The credential was valid once.
    #[error("the credential has expired")]
    CredentialsExpired,
    /// The account may not log in; the text is the administrator's.
    #[error("login is disabled: {0}")]
    LoginDisabled(String),
    /// The credential lacks a scope.
    #[error("this needs a credential with the scope {0}")]
    Forbidden(&'static str),
    /// The account or key may not send as this address.
    #[error("sending as {0} is not allowed for this account or key")]
    SenderNotAllowed(String),
    /// It does not exist, or belongs to somebody else.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The name is taken.
    #[error("this {0} already exists")]
    AlreadyExists(&'static str),
    /// Something else still needs it.
    #[error("{0}")]
    InUse(String),
    /// It does not wait any more, or not so that this makes sense; says why.
    #[error("{0}")]
    NotWaiting(String),
    /// It is not in the state any more that the caller expects.
    #[error("it has changed since; nothing was done")]
    PreconditionFailed,
    /// Changes since then are not known any more.
    #[error("changes since {since} are not known any more")]
    SinceTooOld {
        /// The modseq that the caller gave.
        since: i64,
    },
    /// The request has faults; all of them are listed.
    #[error("the request has {} fault(s)", .0.len())]
    InvalidInput(Vec<FieldError>),
    /// The recipient does not exist here.
    #[error("there is no such recipient here")]
    UnknownRecipient,
    /// The other side breaks a rule of ours; says which.
    #[error("{0}")]
    PolicyRejected(String),
    /// The domain is switched off for now.
    #[error("the domain {0} is disabled at the moment")]
    DomainDisabled(String),
    /// More recipients than a message may have.
    #[error("a message can have at most {limit} recipients")]
    TooManyRecipients {
        /// The limit.
        limit: usize,
    },
    /// The message is too large.
    #[error("the message is larger than {limit} octets")]
    MessageTooLarge {
        /// The limit in octets.
        limit: u64,
    },
    /// The mail store of the account is full.
    #[error("the mailbox is full")]
    QuotaExceeded,
    /// Too many requests.
    #[error("too many requests; try again in {} s", .retry_after.as_secs())]
    RateLimited {
        /// When to try again.
        retry_after: Duration,
    },
    /// The account or the API key has sent as much as it may.
    #[error("this {who} may send to at most {limit} {what} in 24 hours; try again later")]
    SendingLimit {
        /// Whose limit it is: `account` or `API key`.
        who: &'static str,
        /// The limit.
        limit: i64,
        /// What is counted, such as `recipients`.
        what: &'static str,
        /// When something may be sent again at the earliest.
        retry_after: Duration,
    },
    /// The idempotency key was used with another request.
    #[error("this idempotency key was used for a different request")]
    IdempotencyKeyReused,
    /// A request with this idempotency key is being worked on.
    #[error("a request with this idempotency key is in progress")]
    IdempotencyInFlight,
    /// No room on disk.
    #[error("there is no room to store this at the moment")]
    StorageFull(#[source] BoxError),
    /// Something we need is away; nothing was changed.
    #[error("the service is not available at the moment; try again")]
    Unavailable(#[source] BoxError),
    /// A fault of ours.
    #[error("internal error")]
    Internal(#[source] BoxError),
}

impl Error {
    /// One fault in one field.
    pub fn field(pointer: &str, code: &'static str, detail: impl Into<String>) -> Self {
        Self::InvalidInput(vec![FieldError::new(pointer, code, detail)])
    }

    /// Refuses a request that has faults.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub fn unless_empty(faults: Vec<FieldError>) -> Result<()> {
        if faults.is_empty() { Ok(()) } else { Err(Self::InvalidInput(faults)) }
    }

    /// A fault of ours, from any cause.
    pub fn internal(cause: impl Into<BoxError>) -> Self {
        Self::Internal(cause.into())
    }

    /// Something we need is away.
    pub fn unavailable(cause: impl Into<BoxError>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// How long to wait before trying again, when that makes sense.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::SendingLimit { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::Unavailable(_) | Self::StorageFull(_) => Some(Duration::from_secs(5)),
            Self::IdempotencyInFlight => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_) => Self::Unavailable(error.into()),
            sqlx::Error::Database(database) => {
                match database.code().as_deref().and_then(|code| code.get(..2)) {
                    // 53100 disk_full, and the rest of insufficient resources.
                    Some("53") if database.code().as_deref() == Some("53100") => {
                        Self::StorageFull(error.into())
                    }
                    // Connection, resources, operator intervention, read-only, serialisation.
                    Some("08" | "53" | "57" | "25" | "40") => Self::Unavailable(error.into()),
                    _ => Self::Internal(error.into()),
                }
            }
            _ => Self::Internal(error.into()),
        }
    }
}

/// Turns the violation of a named constraint into an error of the domain.
pub(crate) trait OnConstraint<T> {
    /// Gives `error` when `constraint` was violated.
    fn on_constraint(self, constraint: &str, error: Error) -> Result<T>;
}

impl<T> OnConstraint<T> for Result<T, sqlx::Error> {
    fn on_constraint(self, constraint: &str, error: Error) -> Result<T> {
        self.map_err(|cause| match &cause {
            sqlx::Error::Database(database) if database.constraint() == Some(constraint) => error,
            _ => cause.into(),
        })
    }
}
