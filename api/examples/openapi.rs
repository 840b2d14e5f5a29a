//! Prints the OpenAPI document: `cargo xtask openapi` puts it where it belongs.

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    io::stdout().write_all(posthouse_api::openapi_json().as_bytes())
}
