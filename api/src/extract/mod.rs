//! Extractors of our own: whatever they refuse is a [`crate::problem::Problem`].

mod body;
mod caller;
mod change;
mod create;
mod explain;
mod input;
mod json;
mod note;
mod object;
mod open;
mod params;
mod path;

use posthouse_core::{Id, id};

pub(crate) use body::{RequestMemory, media_type, read as read_body};
pub(crate) use caller::{Caller, authenticate, peer};
pub(crate) use change::Change;
pub(crate) use create::{Create, CreateAt, idempotency_key};
#[cfg(test)]
pub(crate) use explain::Parsed;
pub(crate) use input::Input;
#[cfg(test)]
pub(crate) use input::survives_wrong_types;
pub(crate) use json::{off_reactor, parse as parse_json};
pub(crate) use note::AllowanceNote;
pub(crate) use object::Object;
pub(crate) use open::{Open, OpenInput};
pub(crate) use params::{FromParams, Params, Reader};
pub(crate) use path::{PathId, PathText};

/// Identifier of the request, put there by the outermost layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestId(pub Id<id::Request>);
