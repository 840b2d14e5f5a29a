//! The log of the server under test: kept in memory, so that a test can look for what must not be
//! there, and shown when a test fails.
//!
//! The log belongs to the process. nextest gives each test one; under `cargo test` tests share it.

use std::{
    io::{self, Write},
    sync::{Mutex, Once, PoisonError},
};

use tracing_subscriber::{
    EnvFilter, Layer as _, fmt, fmt::MakeWriter, layer::SubscriberExt as _, registry,
};

/// Everything of ours, whatever the variable `RUST_LOG` says about what is shown.
const OURS: &str = "warn,posthouse=debug,posthouse_core=debug,posthouse_api=debug,\
                    posthouse_server=debug,posthouse_smtp_gateway=debug";
/// What is kept; older lines are forgotten.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

static START: Once = Once::new();
static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Begins to keep and to show the log.
pub fn start() {
    START.call_once(|| {
        let shown = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let show = fmt::layer().with_ansi(false).with_writer(io::stderr).with_filter(shown);
        let keep = fmt::layer().with_ansi(false).with_writer(Keep);
        let subscriber = registry().with(show).with(keep.with_filter(EnvFilter::new(OURS)));
        // An error means that the test has set one of its own.
        drop(tracing::subscriber::set_global_default(subscriber));
    });
}

/// Everything that was logged so far.
pub fn text() -> String {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&lines).into_owned()
}

struct Keep;

impl MakeWriter<'_> for Keep {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl Write for Keep {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() + bytes.len() > KEPT_BYTES {
            lines.clear();
        }
        lines.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
