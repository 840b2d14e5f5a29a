//! SIZE, RFC 1870: the limit is told, and a message over it is refused before its octets come.

use super::{Extension, MailParams, Param, Reply, View};

pub(super) struct Size;

impl Extension for Size {
    fn keyword(&self) -> &'static str {
        "SIZE"
    }

    fn ehlo(&self, view: &View<'_>) -> Option<String> {
        Some(format!("SIZE {}", view.settings.size_limit))
    }

    /// RFC 1870 §5. `size-value ::= 1*20DIGIT`
    fn mail_param(
        &self,
        param: Param<'_>,
        view: &View<'_>,
        out: &mut MailParams,
    ) -> Option<Result<(), Reply>> {
        if !param.key.eq_ignore_ascii_case("SIZE") {
            return None;
        }
        let digits = param
            .value
            .filter(|value| value.len() <= 20 && value.bytes().all(|octet| octet.is_ascii_digit()));
        let Some(digits) = digits else {
            return Some(Err(Reply::bad_argument("SIZE is a number of octets")));
        };
        // Twenty digits can be more than fits, which is over any limit.
        let size = digits.parse().unwrap_or(u64::MAX);
        if size > view.settings.size_limit {
            return Some(Err(too_large(view.settings.size_limit)));
        }
        out.size = Some(size);
        Some(Ok(()))
    }
}

/// RFC 1870 §6.1 and §6.3.
pub(in crate::proto) fn too_large(limit: u64) -> Reply {
    Reply::new(552, "5.3.4", format!("The message is larger than {limit} octets"))
}
