//! The sandbox: messages are queued and "delivered" without leaving the server.

mod deliver;
mod faults;
mod list;
mod magic;

use serde::Serialize;
use time::OffsetDateTime;

pub(crate) use deliver::deliver;
pub use faults::{Fault, MAX_FAULTS, fault_faults, faults, set_faults};
pub use list::{SandboxFilter, clear, list, wait};

use crate::id::{Delivery, Id, Mail, Message};

/// What the sandbox did with one recipient of a message.
#[derive(Debug, Clone, Serialize)]
pub struct SandboxMessage {
    /// The delivery.
    pub delivery_id: Id<Delivery>,
    /// Its message.
    pub message_id: Id<Message>,
    /// Number of the attempt, from 1.
    pub attempt: i16,
    /// Address of the envelope.
    pub recipient: String,
    /// Subject.
    pub subject: String,
    /// `delivered`, `deferred` or `failed`.
    pub outcome: String,
    /// Code that the sandbox replied with.
    pub smtp_code: i16,
    /// Text that the sandbox replied with.
    pub reply: String,
    /// The stored mail, when it was delivered.
    pub mail_id: Option<Id<Mail>>,
    /// When.
    #[serde(with = "crate::time::millis")]
    pub at: OffsetDateTime,
}
