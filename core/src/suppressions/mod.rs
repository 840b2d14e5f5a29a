//! Recipients that an account does not write to (2.6, decision 0.13).

pub(crate) mod rule;
pub(crate) mod store;
