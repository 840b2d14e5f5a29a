//! DSN, RFC 3461: what the sender wants to be told. For those who log in only: a report of success
//! that a stranger asks for goes to whomever he names (decision 25).

use posthouse_mail::dsn::{OriginalRecipient, envid_from_param};

use super::{Extension, MailParams, Param, RcptParams, Reply, View};
use crate::proto::Role;

pub(super) struct Dsn;

impl Extension for Dsn {
    fn keyword(&self) -> &'static str {
        "DSN"
    }

    fn ehlo(&self, view: &View<'_>) -> Option<String> {
        is_offered(view).then(|| self.keyword().to_owned())
    }

    /// RFC 3461 §4.3 and §4.4. `"RET=" ( "FULL" / "HDRS" )`, `"ENVID=" xtext`
    fn mail_param(
        &self,
        param: Param<'_>,
        view: &View<'_>,
        out: &mut MailParams,
    ) -> Option<Result<(), Reply>> {
        let value = param.value.unwrap_or_default();
        let (taken, rule) = match param.key.to_ascii_uppercase().as_str() {
            _ if !is_offered(view) => return None,
            "RET" => (value.parse().map(|ret| out.dsn.ret = Some(ret)), "RET is FULL or HDRS"),
            "ENVID" => {
                let envid = envid_from_param(value).map(|envid| out.dsn.envid = Some(envid));
                (envid, "ENVID has 1 to 100 characters of xtext for printable ASCII")
            }
            _ => return None,
        };
        Some(taken.map_err(|_| Reply::bad_argument(rule)))
    }

    /// RFC 3461 §4.1 and §4.2. `"NOTIFY=" ( "NEVER" / list )`, `"ORCPT=" addr-type ";" xtext`
    fn rcpt_param(
        &self,
        param: Param<'_>,
        view: &View<'_>,
        out: &mut RcptParams,
    ) -> Option<Result<(), Reply>> {
        let value = param.value.unwrap_or_default();
        let (taken, rule) = match param.key.to_ascii_uppercase().as_str() {
            _ if !is_offered(view) => return None,
            "NOTIFY" => {
                let notify = value.parse().map(|notify| out.dsn.notify = Some(notify));
                (notify, "NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY")
            }
            "ORCPT" => {
                let orcpt = OriginalRecipient::from_param(value);
                let orcpt = orcpt.map(|orcpt| out.dsn.orcpt = Some(orcpt));
                (orcpt, "ORCPT is a type, a semicolon and xtext, at most 500 characters")
            }
            _ => return None,
        };
        Some(taken.map_err(|_| Reply::bad_argument(rule)))
    }
}

fn is_offered(view: &View<'_>) -> bool {
    view.settings.role == Role::Submission
}
