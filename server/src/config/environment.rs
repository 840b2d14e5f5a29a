//! The environment variables that Posthouse knows. Nothing else of ours reads the environment.

use std::ffi::OsString;

use nix::unistd::gethostname;

/// What the environment says.
#[derive(Default)]
pub struct Environment {
    /// `DATABASE_URL`.
    pub database_url: Option<String>,
    /// `POSTHOUSE_MASTER_KEY`.
    pub master_key: Option<String>,
    /// `POSTHOUSE_SMART_HOST_PASSWORD`.
    pub smart_host_password: Option<String>,
    /// `RUST_LOG`.
    pub log: Option<String>,
    /// `NOTIFY_SOCKET`, set by systemd for services of type `notify`.
    pub notify_socket: Option<OsString>,
    /// The name of the machine, from the system.
    pub machine_name: Option<String>,
}

impl Environment {
    /// Reads it; empty variables count as unset.
    pub fn read() -> Self {
        Self {
            database_url: text("DATABASE_URL"),
            master_key: text("POSTHOUSE_MASTER_KEY"),
            smart_host_password: text("POSTHOUSE_SMART_HOST_PASSWORD"),
            log: text("RUST_LOG"),
            notify_socket: std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()),
            machine_name: gethostname().ok().and_then(|name| name.into_string().ok()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}
