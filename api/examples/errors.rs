//! Prints `docs/errors.md`, the table of error codes.

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    io::stdout().write_all(posthouse_api::errors_markdown().as_bytes())
}
