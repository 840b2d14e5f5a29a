//! SMTP adapter: the server side for incoming mail and submission, and the client for outgoing mail.

pub mod outbound;
pub mod proto;
pub mod sasl;
