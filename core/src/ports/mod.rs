//! Ports: what is not deterministic, and nothing else.

pub mod clock;
mod dnssec;
pub mod hickory;
pub mod resolver;
pub mod transport;

pub use clock::{Clock, SystemClock, TestClock};
pub use resolver::{DnsError, Location, Mx, Proven, Resolver, SpfResult};
pub use transport::Transport;
