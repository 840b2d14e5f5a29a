//! The server's side of SMTP without I/O: bytes and answers in, [`Step`]s out.
//!
//! RFC 5321, RFC 6409. Nothing here knows sockets, clocks or the core; a [`Session`] is driven by
//! `connection.rs` over TCP and by transcripts in tests. To add an extension, see `extensions/`.

mod ask;
mod command;
mod data;
pub mod extensions;
mod hello;
mod information;
mod lines;
mod params;
mod path;
mod reply;
mod session;
mod transaction;
#[cfg(test)]
mod transcripts;

pub use ask::{Answer, Ask, Data, Step};
pub use command::{Arguments, Verb};
pub use data::{DataReader, Fault};
pub use hello::Hello;
pub use lines::{LineFault, next_line};
pub use params::{MailParams, Param, RcptParams};
pub use path::{AddressLiteral, Domain, ForwardPath, Mailbox, PathError, ReversePath};
pub use reply::Reply;
pub use session::{Role, Session, Settings, View};
