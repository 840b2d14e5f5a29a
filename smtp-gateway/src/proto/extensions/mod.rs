//! SMTP service extensions: a file and a line in [`ALL`] for each (RFC 5321 §2.2).
//!
//! Not here on purpose: CHUNKING (RFC 3030), ETRN.

pub(super) mod auth;
mod dsn;
mod eight_bit_mime;
mod enhanced_status_codes;
mod limits;
mod pipelining;
mod requiretls;
pub(super) mod size;
mod smtputf8;
mod starttls;

use super::{MailParams, RcptParams, Reply, Verb, View, params::Param};

/// What an extension adds. Everything but the name has a default: nothing.
pub trait Extension: Sync {
    /// EHLO keyword.
    fn keyword(&self) -> &'static str;

    /// Its line in the answer to EHLO, when it is offered as things are.
    fn ehlo(&self, _view: &View<'_>) -> Option<String> {
        Some(self.keyword().to_owned())
    }

    /// Takes a parameter of MAIL; none when it is not one of its own.
    fn mail_param(
        &self,
        _param: Param<'_>,
        _view: &View<'_>,
        _out: &mut MailParams,
    ) -> Option<Result<(), Reply>> {
        None
    }

    /// Takes a parameter of RCPT; none when it is not one of its own.
    fn rcpt_param(
        &self,
        _param: Param<'_>,
        _view: &View<'_>,
        _out: &mut RcptParams,
    ) -> Option<Result<(), Reply>> {
        None
    }

    /// The command it adds.
    fn verb(&self) -> Option<&'static Verb> {
        None
    }
}

/// All extensions, in the order of EHLO.
pub static ALL: &[&dyn Extension] = &[
    &pipelining::Pipelining,
    &size::Size,
    &starttls::StartTls,
    &auth::Auth,
    &enhanced_status_codes::EnhancedStatusCodes,
    &eight_bit_mime::EightBitMime,
    &dsn::Dsn,
    &limits::Limits,
    &requiretls::RequireTls,
    &smtputf8::SmtpUtf8,
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keywords_are_unique() {
        let mut seen = HashSet::new();
        assert!(ALL.iter().all(|extension| seen.insert(extension.keyword())));
    }
}
