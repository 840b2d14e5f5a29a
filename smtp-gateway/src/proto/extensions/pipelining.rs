//! PIPELINING, RFC 2920: the driver reads lines as they come and sends replies together.

use super::Extension;

pub(super) struct Pipelining;

impl Extension for Pipelining {
    fn keyword(&self) -> &'static str {
        "PIPELINING"
    }
}
