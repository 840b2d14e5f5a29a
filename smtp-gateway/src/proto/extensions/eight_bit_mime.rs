//! 8BITMIME, RFC 6152. Messages are always taken as octets; the parameter is only checked.

use super::{Extension, MailParams, Param, Reply, View};

pub(super) struct EightBitMime;

impl Extension for EightBitMime {
    fn keyword(&self) -> &'static str {
        "8BITMIME"
    }

    /// RFC 6152 §3. `"BODY=" ( "7BIT" / "8BITMIME" )`
    fn mail_param(
        &self,
        param: Param<'_>,
        _: &View<'_>,
        out: &mut MailParams,
    ) -> Option<Result<(), Reply>> {
        if !param.key.eq_ignore_ascii_case("BODY") {
            return None;
        }
        let value = param.value.unwrap_or_default();
        out.eight_bit = value.eq_ignore_ascii_case("8BITMIME");
        if out.eight_bit || value.eq_ignore_ascii_case("7BIT") {
            return Some(Ok(()));
        }
        Some(Err(Reply::bad_argument("BODY is 7BIT or 8BITMIME")))
    }
}
