//! Certificates for the mail servers of a test.

use std::{fs, path::Path, sync::Arc};

use posthouse_server::tls::{LocalCertificates, SessionTickets, server_config};
use rustls::ServerConfig;

use crate::app::App;

/// A certificate that nobody has a reason to trust.
pub fn untrusted(host: &str) -> Arc<ServerConfig> {
    issue(tempfile::tempdir().unwrap().path(), host)
}

/// A certificate of the authority that the server of the test trusts.
pub fn trusted(app: &App, host: &str) -> Arc<ServerConfig> {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tls")).unwrap();
    for file in ["ca.pem", "ca-key.pem", "ca-issued.json"] {
        let to = dir.path().join("tls").join(file);
        fs::copy(app.tls_dir().join(file), to).unwrap();
    }
    issue(dir.path(), host)
}

fn issue(dir: &Path, host: &str) -> Arc<ServerConfig> {
    #[expect(clippy::disallowed_methods, reason = "TLS clients check it against the real time")]
    let now = time::OffsetDateTime::now_utc();
    let files = LocalCertificates::ensure(dir, &[host.to_owned()], now).unwrap();
    server_config(&files.cert_file, &files.key_file, &[], SessionTickets::Off).unwrap()
}
