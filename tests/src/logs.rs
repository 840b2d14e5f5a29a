//! The log of the server under test: kept in memory, so that a test can look for what must not be
//! there, and shown when a test fails.
//!
//! The log belongs to the process. nextest gives each test one; under `cargo test` tests share it.

use std::{
    io::{self, Write},
    sync::{Mutex, Once, OnceLock, PoisonError},
};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// What is kept; older lines are forgotten.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

static START: Once = Once::new();
static LINES: OnceLock<Mutex<Vec<u8>>> = OnceLock::new();

/// Begins to keep the log; `RUST_LOG` says of what, by default everything of ours.
pub fn start() {
    START.call_once(|| {
        let ours = "warn,posthouse=debug,posthouse_core=debug,posthouse_api=debug,\
                    posthouse_server=debug,posthouse_smtp_gateway=debug";
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(ours));
        let subscriber =
            tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Keep);
        // An error means that the test has set one of its own.
        drop(tracing::subscriber::set_global_default(subscriber.finish()));
    });
}

/// Everything that was logged so far.
pub fn text() -> String {
    let lines = lines().lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&lines).into_owned()
}

fn lines() -> &'static Mutex<Vec<u8>> {
    LINES.get_or_init(Mutex::default)
}

struct Keep;

impl MakeWriter<'_> for Keep {
    type Writer = Writer;

    fn make_writer(&self) -> Writer {
        Writer
    }
}

struct Writer;

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = lines().lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() + bytes.len() > KEPT_BYTES {
            lines.clear();
        }
        lines.extend_from_slice(bytes);
        // nextest shows it when the test fails.
        io::stderr().write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
