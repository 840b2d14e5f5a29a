//! Extractors of our own: whatever they refuse is a [`crate::problem::Problem`].

mod body;
mod caller;
mod create;
mod json;
mod params;
mod path;

use posthouse_core::{Id, id};

pub(crate) use body::{RequestMemory, media_type, read as read_body};
pub(crate) use caller::{Caller, authenticate, peer};
pub(crate) use create::{Create, idempotency_key};
pub(crate) use json::{Json, parse as parse_json};
pub(crate) use params::{FromParams, Params, Reader};
pub(crate) use path::{PathId, PathText};

/// Identifier of the request, put there by the outermost layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestId(pub Id<id::Request>);
