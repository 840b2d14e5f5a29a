//! Codes of problems: those of the core, and those that only HTTP has; with their HTTP status.

use std::borrow::Cow;

use axum::http::StatusCode;
use posthouse_core::{Code, error::Class};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

macro_rules! http_codes {
    ($($variant:ident $text:literal $status:ident $title:literal;)*) => {
        /// A fault that only HTTP knows: append only.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum HttpCode { $(#[doc = $title] $variant,)* }

        impl HttpCode {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)*];

            const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
            const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
            const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }
        }
    };
}

http_codes! {
    UnreadableBody "unreadable_body" BAD_REQUEST "The request body cannot be read";
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "This path does not have that method";
    RequestTimeout "request_timeout" REQUEST_TIMEOUT "The request body came too slowly";
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE "The request body is too large";
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "The content type is not accepted here";
    RangeNotSatisfiable "range_not_satisfiable" RANGE_NOT_SATISFIABLE "The range is outside of the content";
}

/// Code of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProblemCode {
    /// From the core.
    Core(Code),
    /// From HTTP.
    Http(HttpCode),
}

impl ProblemCode {
    /// All codes, those of the core first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let core = Code::ALL.iter().copied().map(Self::Core);
        core.chain(HttpCode::ALL.iter().copied().map(Self::Http))
    }

    /// Finds a code by its text.
    pub(crate) fn find(text: &str) -> Option<Self> {
        Self::all().find(|code| code.as_str() == text)
    }

    /// The code on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Core(code) => code.as_str(),
            Self::Http(code) => code.as_str(),
        }
    }

    /// Short title for people.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Core(code) => code.title(),
            Self::Http(code) => code.title(),
        }
    }

    /// The status that goes with it.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Core(code) => core_status(code),
            Self::Http(code) => code.status(),
        }
    }

    /// Whether the same request may succeed later.
    pub(crate) fn retryable(self) -> bool {
        match self {
            Self::Core(code) => {
                code.class() == Class::Later
                    || matches!(
                        code,
                        Code::RateLimited | Code::SendingLimitExceeded | Code::IdempotencyInFlight
                    )
            }
            Self::Http(code) => code == HttpCode::RequestTimeout,
        }
    }

    /// What to do about it.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Core(code) => core_advice(code),
            Self::Http(code) => http_advice(code),
        }
    }
}

impl PartialSchema for ProblemCode {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("Code of a problem. Later versions may have more."))
            .enum_values(Some(Self::all().map(Self::as_str)))
            .build()
            .into()
    }
}

impl ToSchema for ProblemCode {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ProblemCode")
    }
}

/// The status of each class, and the exceptions by name.
fn core_status(code: Code) -> StatusCode {
    match code {
        Code::Unauthenticated | Code::InvalidCredentials | Code::CredentialsExpired => {
            StatusCode::UNAUTHORIZED
        }
        Code::UnknownRecipient | Code::TooManyRecipients => StatusCode::UNPROCESSABLE_ENTITY,
        Code::DomainDisabled => StatusCode::CONFLICT,
        Code::MessageTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::QuotaExceeded => StatusCode::INSUFFICIENT_STORAGE,
        Code::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Code::SinceTooOld => StatusCode::GONE,
        _ => match code.class() {
            Class::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Class::Denied => StatusCode::FORBIDDEN,
            Class::Missing => StatusCode::NOT_FOUND,
            Class::Conflict => StatusCode::CONFLICT,
            Class::TooMuch => StatusCode::TOO_MANY_REQUESTS,
            Class::Later => StatusCode::SERVICE_UNAVAILABLE,
            Class::Bug => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

fn core_advice(code: Code) -> &'static str {
    match code {
        Code::Unauthenticated => {
            "Send an API key as `Authorization: Bearer phk_…`, or address and password as HTTP Basic."
        }
        Code::InvalidCredentials => {
            "The key or password is unknown or wrong, or the key may not be used from this network."
        }
        Code::CredentialsExpired => "Create a new API key.",
        Code::LoginDisabled => "Ask the administrator; `detail` has the reason.",
        Code::Forbidden => "Use a key that has the scope that `detail` names.",
        Code::SenderNotAllowed => {
            "Send as one of the account's own addresses, and one that the key allows."
        }
        Code::NotFound => {
            "It does not exist, or belongs to another account; that makes no difference on purpose."
        }
        Code::AlreadyExists => "Choose another name, or use what is there.",
        Code::InUse => "Remove what still needs it first; `detail` says what that is.",
        Code::InvalidInput => {
            "`errors` lists every fault with a JSON pointer to the field; nothing was stored. What \
             depends on what is stored is only asked when there are no other faults."
        }
        Code::UnknownRecipient => "The domain is served here, and it has no such address.",
        Code::PolicyRejected => "`detail` says which rule.",
        Code::DomainDisabled => "The administrator has switched the domain off; try again later.",
        Code::TooManyRecipients => "Split the recipients over several messages.",
        Code::MessageTooLarge => "Make the message smaller; `detail` has the limit.",
        Code::QuotaExceeded => "Delete mail, or ask the administrator for more room.",
        Code::RateLimited => "Wait as long as `Retry-After` says.",
        Code::SendingLimitExceeded => {
            "Wait as long as `Retry-After` says, or ask the administrator for a higher limit."
        }
        Code::IdempotencyKeyReused => "Use a new Idempotency-Key for each different request.",
        Code::IdempotencyInFlight => "Try again after `Retry-After` with the same key.",
        Code::StorageFull => "The server is out of room: nothing was stored. Try again later.",
        Code::Unavailable => "Nothing was changed. Try again after `Retry-After`.",
        Code::PreconditionFailed => "Read it again, and decide with its new `ETag`.",
        Code::SinceTooOld => "Forget what you know, and begin anew with `since=0`.",
        Code::NotWaiting => {
            "It has ended or is in another state: `detail` says what would be needed."
        }
        Code::Internal => "A fault of the server. Give its administrator the `request_id`.",
    }
}

fn http_advice(code: HttpCode) -> &'static str {
    match code {
        HttpCode::UnreadableBody => {
            "The body has to be well-formed; `errors` says where it breaks."
        }
        HttpCode::MethodNotAllowed => "The header field `Allow` lists the methods.",
        HttpCode::RequestTimeout => "Send the body without long pauses.",
        HttpCode::BodyTooLarge => "Make the request smaller; `detail` has the limit.",
        HttpCode::UnsupportedMediaType => "Set `Content-Type` to the type that `detail` names.",
        HttpCode::RangeNotSatisfiable => "Ask for a range within the size in `Content-Range`.",
    }
}
