//! ENHANCEDSTATUSCODES, RFC 2034: replies carry the codes of RFC 3463.

use super::Extension;

pub(super) struct EnhancedStatusCodes;

impl Extension for EnhancedStatusCodes {
    fn keyword(&self) -> &'static str {
        "ENHANCEDSTATUSCODES"
    }
}
