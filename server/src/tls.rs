//! TLS for the doors: certificates of our own for `localserve`, and PEM files for everyone.
//!
//! ECDSA P-256 only. Certificates from an authority (ACME) and client certificates are not here.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

const CA_LIFE: Duration = Duration::days(3650);
/// The longest life that all clients accept.
const SERVER_LIFE: Duration = Duration::days(820);
/// A certificate nearer to its end is made anew at start.
const RENEW_BEFORE: Duration = Duration::days(60);
/// Names that every local certificate has.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Whether a client may resume a session with a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionTickets {
    /// Tickets are given, encrypted with a key of this process that rotates.
    Issued,
    /// Every connection makes a full handshake.
    Off,
}

/// The PEM files of the local certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalCertificates {
    /// The authority that clients should trust.
    pub ca_file: PathBuf,
    /// The server's certificate.
    pub cert_file: PathBuf,
    /// Its private key, readable by the owner only.
    pub key_file: PathBuf,
}

/// What the server's certificate was made for, kept beside it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Issued {
    names: Vec<String>,
    not_after_unix: i64,
}

impl LocalCertificates {
    /// Makes the certificates in `DATA/tls`, or takes those that are there and still good.
    ///
    /// The authority stays as long as it is valid, so that clients have to trust it once only.
    pub fn ensure(data: &Path, names: &[String], now: OffsetDateTime) -> Result<Self> {
        let dir = data.join("tls");
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let files = Self {
            ca_file: dir.join("ca.pem"),
            cert_file: dir.join("cert.pem"),
            key_file: dir.join("key.pem"),
        };
        let ca = Authority { dir: &dir, now };
        let (issuer, ca_state) = ca.load_or_make(&files.ca_file)?;
        let wanted = all_names(names);
        if ca_state == AuthorityState::New || !files.are_good_for(&dir, &wanted, now) {
            files.issue(&dir, wanted, &issuer, now)?;
        }
        Ok(files)
    }

    fn are_good_for(&self, dir: &Path, wanted: &[String], now: OffsetDateTime) -> bool {
        let Some(issued) = read_issued(&dir.join("issued.json")) else {
            return false;
        };
        let renew_at = issued.not_after_unix - RENEW_BEFORE.whole_seconds();
        issued.names == wanted
            && now.unix_timestamp() < renew_at
            && self.cert_file.exists()
            && self.key_file.exists()
    }

    fn issue(
        &self,
        dir: &Path,
        names: Vec<String>,
        issuer: &Issuer<'_, KeyPair>,
        now: OffsetDateTime,
    ) -> Result<()> {
        let key = KeyPair::generate()?;
        let not_after = now + SERVER_LIFE;
        let mut params = CertificateParams::new(names.clone())
            .with_context(|| format!("not all of {names:?} can be in a certificate"))?;
        params.not_before = now - Duration::days(1);
        params.not_after = not_after;
        params.distinguished_name.push(DnType::CommonName, "posthouse local server");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, issuer)?;
        let record = Issued { names, not_after_unix: not_after.unix_timestamp() };
        // The record comes last: a crash before it makes the pair anew.
        write(&dir.join("issued.json"), "{}", 0o644)?;
        write(&self.key_file, &key.serialize_pem(), 0o600)?;
        write(&self.cert_file, &certificate.pem(), 0o644)?;
        write(&dir.join("issued.json"), &serde_json::to_string(&record)?, 0o644)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuthorityState {
    Kept,
    New,
}

/// The local certificate authority.
struct Authority<'a> {
    dir: &'a Path,
    now: OffsetDateTime,
}

impl Authority<'_> {
    fn load_or_make(&self, ca_file: &Path) -> Result<(Issuer<'static, KeyPair>, AuthorityState)> {
        if let Some(issuer) = self.load(ca_file) {
            return Ok((issuer, AuthorityState::Kept));
        }
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        let not_after = self.now + CA_LIFE;
        params.not_before = self.now - Duration::days(1);
        params.not_after = not_after;
        params.distinguished_name.push(DnType::CommonName, "posthouse local authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        let issued = Issued { names: Vec::new(), not_after_unix: not_after.unix_timestamp() };
        write(&self.dir.join("ca-issued.json"), "{}", 0o644)?;
        write(&self.dir.join("ca-key.pem"), &key.serialize_pem(), 0o600)?;
        write(ca_file, &certificate.pem(), 0o644)?;
        write(&self.dir.join("ca-issued.json"), &serde_json::to_string(&issued)?, 0o644)?;
        Ok((Issuer::new(params, key), AuthorityState::New))
    }

    /// Anything missing, damaged or near its end means that a new authority is made.
    fn load(&self, ca_file: &Path) -> Option<Issuer<'static, KeyPair>> {
        let issued = read_issued(&self.dir.join("ca-issued.json"))?;
        let needed_until = (self.now + SERVER_LIFE).unix_timestamp();
        if issued.not_after_unix < needed_until {
            return None;
        }
        let key = KeyPair::from_pem(&fs::read_to_string(self.dir.join("ca-key.pem")).ok()?).ok()?;
        Issuer::from_ca_cert_pem(&fs::read_to_string(ca_file).ok()?, key).ok()
    }
}

/// Builds a server configuration for TLS 1.2 and 1.3 from PEM files.
///
/// `cert_file` holds the certificate and its intermediates, `alpn` the protocols in the order we
/// like them; empty means that none is negotiated.
pub fn server_config(
    cert_file: &Path,
    key_file: &Path,
    alpn: &[&[u8]],
    tickets: SessionTickets,
) -> Result<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_file_iter(cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read certificates from {}", cert_file.display()))?;
    if chain.is_empty() {
        bail!("{} holds no certificate (PEM, BEGIN CERTIFICATE)", cert_file.display());
    }
    let key = PrivateKeyDer::from_pem_file(key_file)
        .with_context(|| format!("cannot read a private key from {}", key_file.display()))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| {
            format!("{} and {} do not fit together", cert_file.display(), key_file.display())
        })?;
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    match tickets {
        SessionTickets::Issued => config.ticketer = aws_lc_rs::Ticketer::new()?,
        SessionTickets::Off => {
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        }
    }
    Ok(Arc::new(config))
}

fn all_names(names: &[String]) -> Vec<String> {
    let mut all: Vec<String> = LOCAL_NAMES.map(str::to_owned).to_vec();
    for name in names {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

fn read_issued(path: &Path) -> Option<Issued> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// Replaces a file; its mode is set before anything is in it.
fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let temporary = path.with_extension("new");
    let save = || -> std::io::Result<()> {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    save().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};
    use rustls_pki_types::ServerName;
    use tempfile::TempDir;

    use super::*;

    /// Real time, because the client checks validity against it.
    fn now() -> OffsetDateTime {
        let file = tempfile::tempfile().unwrap();
        file.metadata().unwrap().modified().unwrap().into()
    }

    fn made(names: &[&str]) -> (TempDir, LocalCertificates) {
        let data = tempfile::tempdir().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let files = LocalCertificates::ensure(data.path(), &names, now()).unwrap();
        (data, files)
    }

    fn client(
        ca_file: &Path,
        name: &str,
        tls: &'static rustls::SupportedProtocolVersion,
    ) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca_file).unwrap()).unwrap();
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(&[tls])
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned()).unwrap())
            .unwrap()
    }

    fn handshake(
        mut client: ClientConnection,
        mut server: ServerConnection,
    ) -> Result<ServerConnection, rustls::Error> {
        for _ in 0..10 {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(server)
    }

    #[test]
    fn clients_that_trust_the_authority_connect_by_every_name() {
        let (_data, files) = made(&["mail.example.test"]);
        let config =
            server_config(&files.cert_file, &files.key_file, &[b"h2"], SessionTickets::Issued)
                .unwrap();
        for name in ["localhost", "127.0.0.1", "::1", "mail.example.test"] {
            for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
                let server = ServerConnection::new(Arc::clone(&config)).unwrap();
                let server = handshake(client(&files.ca_file, name, version), server).unwrap();
                assert!(!server.is_handshaking(), "{name}");
                assert_eq!(server.alpn_protocol(), Some(b"h2".as_slice()));
            }
        }
        let server = ServerConnection::new(config).unwrap();
        let stranger = client(&files.ca_file, "other.example.test", &rustls::version::TLS13);
        assert!(handshake(stranger, server).is_err());
    }

    #[test]
    fn files_are_kept_until_names_or_time_demand_new_ones() {
        let (data, files) = made(&[]);
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let (ca, cert) = (read(&files.ca_file), read(&files.cert_file));
        LocalCertificates::ensure(data.path(), &[], now()).unwrap();
        assert_eq!(read(&files.cert_file), cert);

        LocalCertificates::ensure(data.path(), &["a.test".to_owned()], now()).unwrap();
        let renamed = read(&files.cert_file);
        assert_ne!(renamed, cert);
        assert_eq!(read(&files.ca_file), ca);

        let late = now() + SERVER_LIFE - Duration::days(10);
        LocalCertificates::ensure(data.path(), &["a.test".to_owned()], late).unwrap();
        assert_ne!(read(&files.cert_file), renamed);
        assert_eq!(read(&files.ca_file), ca);
    }

    #[test]
    fn private_keys_are_for_the_owner_only() {
        let (data, files) = made(&[]);
        for path in [files.key_file, data.path().join("tls/ca-key.pem")] {
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
    }

    #[test]
    fn errors_name_the_file_and_what_is_wrong_with_it() {
        let (data, files) = made(&[]);
        let (_other_data, other) = made(&[]);
        let load = |cert: &Path, key: &Path| {
            let error = server_config(cert, key, &[], SessionTickets::Off).unwrap_err();
            format!("{error:#}")
        };
        let missing = data.path().join("none.pem");
        assert!(load(&missing, &files.key_file).contains("none.pem"));
        let empty = data.path().join("empty.pem");
        fs::write(&empty, "hello\n").unwrap();
        assert!(load(&empty, &files.key_file).contains("holds no certificate"));
        assert!(load(&files.cert_file, &empty).contains("private key from"));
        assert!(load(&files.cert_file, &other.key_file).contains("do not fit together"));
    }
}
