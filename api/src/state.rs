//! What handlers share.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use posthouse_core::Platform;
use tokio_util::sync::CancellationToken;

/// Shared by all handlers; cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    /// The core.
    pub platform: Platform,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// Bounds of requests.
    pub limits: Limits,
    /// Ends the event streams when the server stops.
    pub shutdown: CancellationToken,
}

/// Bounds of requests.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest request body in octets.
    pub body_bytes: usize,
    /// A request may take this long after the last octet of its body came.
    pub request_timeout: Duration,
    /// How often an event stream sends a comment when there is nothing to tell.
    pub heartbeat: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 35 * 1024 * 1024,
            request_timeout: Duration::from_mins(1),
            heartbeat: Duration::from_secs(15),
        }
    }
}
