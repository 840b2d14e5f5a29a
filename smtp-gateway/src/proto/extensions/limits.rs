//! LIMITS, RFC 9422: how many recipients a message may have.

use super::{Extension, View};

pub(super) struct Limits;

impl Extension for Limits {
    fn keyword(&self) -> &'static str {
        "LIMITS"
    }

    fn ehlo(&self, view: &View<'_>) -> Option<String> {
        Some(format!("LIMITS RCPTMAX={}", view.settings.max_recipients))
    }
}
