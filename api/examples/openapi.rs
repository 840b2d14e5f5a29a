//! Prints the OpenAPI document; `cargo xtask openapi` keeps `openapi/posthouse.json` equal to it.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(posthouse_api::openapi_json().as_bytes())
}
