//! Stable codes of errors: append only.

use super::Error;

/// What kind of trouble a code stands for; doors have a default answer for each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The request is wrong.
    Invalid,
    /// Not allowed.
    Denied,
    /// Not there.
    Missing,
    /// In conflict with what is there.
    Conflict,
    /// Over a limit.
    TooMuch,
    /// Not now.
    Later,
    /// Our fault.
    Bug,
}

macro_rules! codes {
    ($($variant:ident $text:literal $class:ident $title:literal;)*) => {
        /// Stable, machine-readable code of an error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }
        impl Code {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The code on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
            /// Short title for people.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
            /// The class of the code.
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }
        }
    };
}

codes! {
    Unauthenticated "unauthenticated" Denied "Authentication is required";
    InvalidCredentials "invalid_credentials" Denied "The credentials are not valid";
    CredentialsExpired "credentials_expired" Denied "The credential has expired";
    LoginDisabled "login_disabled" Denied "Login is disabled for this account";
    Forbidden "forbidden" Denied "The credential lacks a scope";
    SenderNotAllowed "sender_not_allowed" Denied "Sending as this address is not allowed";
    NotFound "not_found" Missing "It does not exist";
    AlreadyExists "already_exists" Conflict "It already exists";
    InUse "in_use" Conflict "Something else still needs it";
    InvalidInput "invalid_input" Invalid "The request has faults";
    UnknownRecipient "unknown_recipient" Missing "There is no such recipient";
    PolicyRejected "policy_rejected" Invalid "A policy does not allow this";
    DomainDisabled "domain_disabled" Later "The domain is disabled";
    TooManyRecipients "too_many_recipients" TooMuch "Too many recipients";
    MessageTooLarge "message_too_large" TooMuch "The message is too large";
    QuotaExceeded "quota_exceeded" TooMuch "The mailbox is full";
    RateLimited "rate_limited" TooMuch "Too many requests";
    SendingLimitExceeded "sending_limit_exceeded" TooMuch "The sending limit is reached";
    IdempotencyKeyReused "idempotency_key_reused" Invalid "The idempotency key was used before";
    IdempotencyInFlight "idempotency_in_flight" Conflict "The same request is in progress";
    StorageFull "storage_full" Later "There is no room at the moment";
    Unavailable "unavailable" Later "The service is not available";
    PreconditionFailed "precondition_failed" Conflict "It has changed since";
    SinceTooOld "since_too_old" Missing "Changes since then are not known any more";
    NotWaiting "not_waiting" Conflict "It does not wait any more";
    Internal "internal" Bug "Internal error";
}

impl Error {
    /// The stable code of this error.
    pub const fn code(&self) -> Code {
        match self {
            Self::Unauthenticated => Code::Unauthenticated,
            Self::InvalidCredentials => Code::InvalidCredentials,
            Self::CredentialsExpired => Code::CredentialsExpired,
            Self::LoginDisabled(_) => Code::LoginDisabled,
            Self::Forbidden(_) => Code::Forbidden,
            Self::SenderNotAllowed(_) => Code::SenderNotAllowed,
            Self::NotFound(_) => Code::NotFound,
            Self::AlreadyExists(_) => Code::AlreadyExists,
            Self::InUse(_) => Code::InUse,
            Self::InvalidInput(_) => Code::InvalidInput,
            Self::UnknownRecipient => Code::UnknownRecipient,
            Self::PolicyRejected(_) => Code::PolicyRejected,
            Self::DomainDisabled(_) => Code::DomainDisabled,
            Self::TooManyRecipients { .. } => Code::TooManyRecipients,
            Self::MessageTooLarge { .. } => Code::MessageTooLarge,
            Self::QuotaExceeded => Code::QuotaExceeded,
            Self::RateLimited { .. } => Code::RateLimited,
            Self::SendingLimit { .. } => Code::SendingLimitExceeded,
            Self::IdempotencyKeyReused => Code::IdempotencyKeyReused,
            Self::IdempotencyInFlight => Code::IdempotencyInFlight,
            Self::StorageFull(_) => Code::StorageFull,
            Self::Unavailable(_) => Code::Unavailable,
            Self::PreconditionFailed => Code::PreconditionFailed,
            Self::SinceTooOld { .. } => Code::SinceTooOld,
            Self::NotWaiting(_) => Code::NotWaiting,
            Self::Internal(_) => Code::Internal,
        }
    }

    /// Whether the same request may succeed later.
    pub const fn retryable(&self) -> bool {
        matches!(self.code().class(), Class::Later)
            || matches!(
                self,
                Self::RateLimited { .. } | Self::SendingLimit { .. } | Self::IdempotencyInFlight
            )
    }
}
