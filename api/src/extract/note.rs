//! What the extractors tell the outermost layer for the header of the answer.

use std::sync::{Arc, Mutex, PoisonError};

use posthouse_core::limits::Allowance;

/// What is left of the requests of the caller's account, once it is known. Put there by the
/// outermost layer.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllowanceNote(Arc<Mutex<Option<Allowance>>>);

impl AllowanceNote {
    pub(super) fn set(&self, allowance: Allowance) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(allowance);
    }

    /// None: there is no limit, or nobody was let in.
    pub(crate) fn get(&self) -> Option<Allowance> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
