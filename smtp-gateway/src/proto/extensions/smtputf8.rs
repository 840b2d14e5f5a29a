//! SMTPUTF8, RFC 6531: addresses and headers in UTF-8.

use super::{Extension, MailParams, Param, Reply, View};

pub(super) struct SmtpUtf8;

impl Extension for SmtpUtf8 {
    fn keyword(&self) -> &'static str {
        "SMTPUTF8"
    }

    /// RFC 6531 §3.4: the parameter has no value.
    fn mail_param(
        &self,
        param: Param<'_>,
        _: &View<'_>,
        out: &mut MailParams,
    ) -> Option<Result<(), Reply>> {
        if !param.key.eq_ignore_ascii_case("SMTPUTF8") {
            return None;
        }
        if param.value.is_some() {
            return Some(Err(Reply::bad_argument("SMTPUTF8 has no value")));
        }
        out.smtputf8 = true;
        Some(Ok(()))
    }
}
