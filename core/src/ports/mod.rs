//! Ports: what is not deterministic, and nothing else.

pub mod clock;
pub mod hickory;
pub mod resolver;
pub mod transport;

pub use clock::{Clock, SystemClock, TestClock};
pub use resolver::{DnsError, Mx, Resolver};
pub use transport::Transport;
