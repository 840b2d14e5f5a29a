//! REQUIRETLS, RFC 8689: the message goes on only over TLS that was verified, or not at all.

use super::{Extension, MailParams, Param, Reply, View};

pub(super) struct RequireTls;

impl Extension for RequireTls {
    fn keyword(&self) -> &'static str {
        "REQUIRETLS"
    }

    /// RFC 8689 §2: only under TLS.
    fn ehlo(&self, view: &View<'_>) -> Option<String> {
        view.tls.then(|| self.keyword().to_owned())
    }

    /// RFC 8689 §2: the parameter has no value.
    fn mail_param(
        &self,
        param: Param<'_>,
        view: &View<'_>,
        out: &mut MailParams,
    ) -> Option<Result<(), Reply>> {
        if !param.key.eq_ignore_ascii_case("REQUIRETLS") {
            return None;
        }
        if param.value.is_some() {
            return Some(Err(Reply::bad_argument("REQUIRETLS has no value")));
        }
        if !view.tls {
            return Some(Err(Reply::new(523, "5.7.10", "REQUIRETLS is for sessions under TLS")));
        }
        out.requiretls = true;
        Some(Ok(()))
    }
}
