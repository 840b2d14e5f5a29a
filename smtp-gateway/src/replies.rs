//! How the core's errors are spelled in SMTP (RFC 5321 §4.2, RFC 3463, RFC 4954 §6, RFC 5248).

use posthouse_core::{Code, Error};

use crate::proto::Reply;

/// What the client was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// AUTH.
    Login,
    /// MAIL.
    Sender,
    /// RCPT.
    Recipient,
    /// The end of DATA.
    Message,
}

/// The reply for an error.
pub(crate) fn from_error(error: &Error, stage: Stage) -> Reply {
    let (code, enhanced) = codes(error.code(), stage);
    Reply::new(code, enhanced, text(error))
}

fn text(error: &Error) -> String {
    let text = match error {
        Error::InvalidInput(faults) => {
            let details: Vec<&str> = faults.iter().map(|fault| fault.detail.as_str()).collect();
            details.join("; ")
        }
        other => other.to_string(),
    };
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

const fn codes(code: Code, stage: Stage) -> (u16, &'static str) {
    match code {
        Code::Unauthenticated => (530, "5.7.0"),
        Code::InvalidCredentials | Code::CredentialsExpired => (535, "5.7.8"),
        Code::LoginDisabled => (525, "5.7.13"),
        Code::Forbidden | Code::SenderNotAllowed => (550, "5.7.1"),
        // A8: at MAIL the policy is that the sender's domain takes mail.
        Code::PolicyRejected => match stage {
            Stage::Sender => (550, "5.7.27"),
            _ => (550, "5.7.1"),
        },
        Code::NotFound | Code::UnknownRecipient => (550, "5.1.1"),
        Code::InvalidInput => match stage {
            Stage::Login => (535, "5.7.8"),
            Stage::Sender => (501, "5.1.7"),
            Stage::Recipient => (501, "5.1.3"),
            Stage::Message => (554, "5.6.0"),
        },
        Code::DomainDisabled => match stage {
            Stage::Recipient => (450, "4.2.1"),
            _ => (451, "4.3.0"),
        },
        Code::TooManyRecipients => (452, "4.5.3"),
        Code::MessageTooLarge => (552, "5.3.4"),
        Code::QuotaExceeded => (452, "4.2.2"),
        Code::StorageFull => (452, "4.3.1"),
        Code::RateLimited => login_or(stage, (450, "4.7.1")),
        Code::SendingLimitExceeded => (451, "4.7.1"),
        Code::Unavailable => login_or(stage, (451, "4.3.2")),
        Code::Internal => login_or(stage, (451, "4.3.0")),
        Code::AlreadyExists
        | Code::InUse
        | Code::PreconditionFailed
        | Code::SinceTooOld
        | Code::NotWaiting
        | Code::IdempotencyKeyReused
        | Code::IdempotencyInFlight => (554, "5.0.0"),
    }
}

/// RFC 4954 §6: what passes is 454 for AUTH.
const fn login_or(stage: Stage, other: (u16, &'static str)) -> (u16, &'static str) {
    match stage {
        Stage::Login => (454, "4.7.0"),
        _ => other,
    }
}

#[cfg(test)]
mod tests {
    use posthouse_core::FieldError;

    use super::*;

    /// One line per code of the core: AUTH, MAIL, RCPT, end of DATA.
    const MATRIX: &str = "\
unauthenticated 530 5.7.0, 530 5.7.0, 530 5.7.0, 530 5.7.0
invalid_credentials 535 5.7.8, 535 5.7.8, 535 5.7.8, 535 5.7.8
credentials_expired 535 5.7.8, 535 5.7.8, 535 5.7.8, 535 5.7.8
login_disabled 525 5.7.13, 525 5.7.13, 525 5.7.13, 525 5.7.13
forbidden 550 5.7.1, 550 5.7.1, 550 5.7.1, 550 5.7.1
sender_not_allowed 550 5.7.1, 550 5.7.1, 550 5.7.1, 550 5.7.1
not_found 550 5.1.1, 550 5.1.1, 550 5.1.1, 550 5.1.1
already_exists 554 5.0.0, 554 5.0.0, 554 5.0.0, 554 5.0.0
in_use 554 5.0.0, 554 5.0.0, 554 5.0.0, 554 5.0.0
invalid_input 535 5.7.8, 501 5.1.7, 501 5.1.3, 554 5.6.0
unknown_recipient 550 5.1.1, 550 5.1.1, 550 5.1.1, 550 5.1.1
policy_rejected 550 5.7.1, 550 5.7.27, 550 5.7.1, 550 5.7.1
domain_disabled 451 4.3.0, 451 4.3.0, 450 4.2.1, 451 4.3.0
too_many_recipients 452 4.5.3, 452 4.5.3, 452 4.5.3, 452 4.5.3
message_too_large 552 5.3.4, 552 5.3.4, 552 5.3.4, 552 5.3.4
quota_exceeded 452 4.2.2, 452 4.2.2, 452 4.2.2, 452 4.2.2
rate_limited 454 4.7.0, 450 4.7.1, 450 4.7.1, 450 4.7.1
sending_limit_exceeded 451 4.7.1, 451 4.7.1, 451 4.7.1, 451 4.7.1
idempotency_key_reused 554 5.0.0, 554 5.0.0, 554 5.0.0, 554 5.0.0
idempotency_in_flight 554 5.0.0, 554 5.0.0, 554 5.0.0, 554 5.0.0
storage_full 452 4.3.1, 452 4.3.1, 452 4.3.1, 452 4.3.1
unavailable 454 4.7.0, 451 4.3.2, 451 4.3.2, 451 4.3.2
precondition_failed 554 5.0.0, 554 5.0.0, 554 5.0.0, 554 5.0.0
since_too_old 554 5.0.0, 554 5.0.0, 554 5.0.0, 554 5.0.0
not_waiting 554 5.0.0, 554 5.0.0, 554 5.0.0, 554 5.0.0
internal 454 4.7.0, 451 4.3.0, 451 4.3.0, 451 4.3.0
";

    #[test]
    fn every_code_has_its_spelling() {
        let stages = [Stage::Login, Stage::Sender, Stage::Recipient, Stage::Message];
        let mut matrix = String::new();
        for code in Code::ALL {
            let spelled = stages.map(|stage| {
                let (number, enhanced) = codes(*code, stage);
                assert!(enhanced.starts_with(&(number / 100).to_string()));
                format!("{number} {enhanced}")
            });
            matrix.extend([code.as_str(), " ", &spelled.join(", "), "\n"]);
        }
        assert_eq!(matrix, MATRIX);
    }

    #[test]
    fn all_faults_are_told() {
        let faults = vec![
            FieldError::new("/from", "invalid", "there must be one From field"),
            FieldError::new("/raw", "invalid", "line 3 is not a header field"),
        ];
        let reply = from_error(&Error::InvalidInput(faults), Stage::Message).serialise();
        assert_eq!(
            reply,
            "554 5.6.0 There must be one From field; line 3 is not a header field\r\n"
        );
    }
}
