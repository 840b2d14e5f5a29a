//! What the extractors tell the outermost layer for the header of the answer.

use std::sync::{Arc, Mutex, PoisonError};

use posthouse_core::limits::Allowances;

/// What is left of the requests of the caller's key and account, once it is known. Put there by the
/// outermost layer.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllowanceNote(Arc<Mutex<Allowances>>);

impl AllowanceNote {
    pub(super) fn set(&self, allowances: Allowances) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = allowances;
    }

    /// Nothing where there is no limit, or nobody was let in.
    pub(crate) fn get(&self) -> Allowances {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
