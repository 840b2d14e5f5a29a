//! From the file to settings: reads addresses, names and networks, and tells all faults at once.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use posthouse_core::{
    config::{self as core, BlobStore},
    net::Network,
    ports::{
        hickory::Dnssec,
        transport::{Credentials, Login, Origin, Tls},
    },
};

use super::{ConfigFaults, Environment, Listen, MasterKey, Settings, TlsFiles, file};
use crate::{
    database::DatabaseSettings,
    logging::{Format, LogSettings},
    open_files,
    roles::{Role, Roles},
};

const BLOB_DIRECTORY: &str = "/var/lib/posthouse/blobs";
const SPOOL_DIRECTORY: &str = "/var/lib/posthouse/spool";
const SMALLEST_MEMORY: u64 = 16 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;
/// RFC 5321 §4.5.3.1.7: a server takes messages of at least 64K octets.
const SMALLEST_SIZE_LIMIT: u64 = 64 * 1024;
const LARGEST_SIZE_LIMIT: u64 = 1024 * MIB;
/// Far longer than any sender wants to wait.
const LONGEST_WAIT: u64 = 30 * DAY;
const DAY: u64 = 24 * 3600;
const YEAR: u64 = 365 * DAY;
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Collects faults.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, key: &str, what: impl std::fmt::Display) {
        self.0.push(format!("{key}: {what}"));
    }

    /// Adds a fault unless `good`.
    fn require(&mut self, good: bool, key: &str, what: impl std::fmt::Display) {
        if !good {
            self.add(key, what);
        }
    }

    fn address(&mut self, key: &str, text: &str) -> Option<SocketAddr> {
        let address = text.parse().ok();
        self.require(
            address.is_some(),
            key,
            format_args!("{text:?} is not IP:PORT, such as 127.0.0.1:8080 or [::]:25"),
        );
        address
    }

    /// An address that may be left empty.
    fn listen(&mut self, key: &str, text: &str) -> Option<SocketAddr> {
        if text.is_empty() { None } else { self.address(key, text) }
    }

    fn host(&mut self, key: &str, text: &str) -> String {
        posthouse_mail::domain::normalise(text).unwrap_or_else(|error| {
            self.add(key, format_args!("{text:?}: {error}"));
            String::new()
        })
    }

    fn schedule(&mut self, key: &str, seconds: &[u64]) -> Vec<Duration> {
        let good = seconds.iter().all(|seconds| (1..=LONGEST_WAIT).contains(seconds));
        self.require(good, key, "waits are 1 second to 30 days");
        seconds.iter().copied().map(Duration::from_secs).collect()
    }
}

/// Checks everything.
pub(super) fn check(file: file::File, environment: Environment) -> Result<Settings, ConfigFaults> {
    let mut faults = Faults::default();
    let hostname = hostname(file.hostname.as_deref(), &mut faults);
    let node_name = node_name(file.node_name, environment.machine_name, &mut faults);
    let roles = roles(file.roles.as_deref(), &mut faults);
    let file_key = file.master_key_file.as_deref();
    let master_key = master_key(file_key, environment.master_key.as_deref(), &mut faults);
    let database = database(file.database, environment.database_url, &mut faults);
    let listen = listen(&file.listen, &mut faults);
    let tls = tls(file.tls, &listen, &mut faults);
    let resolvers = file.delivery.resolvers.iter();
    let resolvers = resolvers.filter_map(|text| faults.address("delivery.resolvers", text));
    let resolvers = resolvers.collect();
    let dnssec = dnssec(&file.delivery, &mut faults);
    let core = core::Config {
        hostname,
        public_url: public_url(file.public_url, &mut faults),
        message_size_limit: message_size_limit(&file.limits, &mut faults),
        webhook_allowed_networks: networks(
            "webhooks.allowed_networks",
            file.webhooks.allowed_networks,
            &mut faults,
        ),
        delivery_connections: file.delivery.connections,
        probing_connections: open_files::for_probing(file.delivery.connections),
        connections_per_destination: file.delivery.connections_per_destination,
        blob_store: blob_store(file.blobs, &mut faults),
        spool: spool(file.spool),
        memory_bytes: memory(&file.limits, &mut faults),
        webhook_retry_schedule: faults
            .schedule("webhooks.retry_schedule_seconds", &file.webhooks.retry_schedule_seconds),
        tokens: tokens(&file.tokens, &mut faults),
        oidc: file.oidc.map(|oidc| self::oidc(oidc, &mut faults)),
        delivery: delivery(file.delivery, environment.smart_host_password, &mut faults),
        tls_reports: tls_reports(file.tls_reports, &mut faults),
        ..core::Config::default()
    };
    let log = log(file.log, environment.log, &mut faults);
    let (Some(master_key), Some(database), true) = (master_key, database, faults.0.is_empty())
    else {
        return Err(ConfigFaults(faults.0));
    };
    let notify_socket = environment.notify_socket;
    Ok(Settings {
        core,
        node_name,
        master_key,
        roles,
        database,
        listen,
        tls,
        resolvers,
        dnssec,
        log,
        notify_socket,
    })
}

fn dnssec(file: &file::Delivery, faults: &mut Faults) -> Dnssec {
    const FILE: &str = "delivery.trust_anchors_file";
    let anchors = file.trust_anchors_file.as_ref().and_then(|path| {
        let text = std::fs::read_to_string(path);
        text.map_err(|error| faults.add(FILE, format_args!("{}: {error}", path.display()))).ok()
    });
    let dnssec = match file.dnssec.as_str() {
        "validate" => return Dnssec::Validate { anchors },
        "trust-ad" => Dnssec::TrustAd,
        "off" => Dnssec::Off,
        other => {
            faults
                .add("delivery.dnssec", format_args!("{other:?} is not validate, trust-ad or off"));
            Dnssec::Off
        }
    };
    faults.require(anchors.is_none(), FILE, "goes with dnssec = \"validate\" only");
    dnssec
}

fn hostname(text: Option<&str>, faults: &mut Faults) -> String {
    let Some(text) = text else {
        faults.add("hostname", "is required: the name of this server, such as mail.example.com");
        return String::new();
    };
    faults.host("hostname", text)
}

fn public_url(text: Option<String>, faults: &mut Faults) -> Option<String> {
    let text = text?;
    let place = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let good = place.is_some_and(|place| {
        !place.is_empty() && place.bytes().all(|b| b.is_ascii_graphic() && !b"?#<>,@".contains(&b))
    });
    let what = "is at most 200 octets of a URL that begins with https:// or http://, \
                without user name, query and fragment";
    faults.require(good && text.len() <= 200, "public_url", what);
    Some(text.trim_end_matches('/').to_owned())
}

fn node_name(text: Option<String>, machine: Option<String>, faults: &mut Faults) -> String {
    let name = text.or(machine).unwrap_or_default();
    let good = (1..=64).contains(&name.len()) && !name.chars().any(char::is_control);
    faults.require(good, "node_name", "has 1 to 64 octets and no control characters");
    name
}

fn roles(names: Option<&[String]>, faults: &mut Faults) -> Roles {
    let Some(names) = names else {
        return Roles::all();
    };
    faults.require(!names.is_empty(), "roles", "names at least one role, or is left out");
    let read = |name: &String| {
        let role = Role::parse(name);
        let all = Roles::all();
        faults.require(role.is_some(), "roles", format_args!("{name:?} is not one of {all}"));
        role
    };
    let roles: Roles = names.iter().filter_map(read).collect();
    if let Some(fault) = roles.fault() {
        faults.add("roles", fault);
    }
    roles
}

fn master_key(
    path: Option<&Path>,
    variable: Option<&str>,
    faults: &mut Faults,
) -> Option<MasterKey> {
    let (source, text) = match (variable, path) {
        (Some(text), _) => ("POSTHOUSE_MASTER_KEY".to_owned(), text.to_owned()),
        (None, Some(path)) => match std::fs::read_to_string(path) {
            Ok(text) => (path.display().to_string(), text),
            Err(error) => {
                faults.add("master_key_file", format_args!("{}: {error}", path.display()));
                return None;
            }
        },
        (None, None) => {
            faults.add(
                "master_key_file",
                "is required, or the variable POSTHOUSE_MASTER_KEY; \
                 `posthouse generate-key` makes a key. Keep a copy of it: without it the secrets \
                 in the database cannot be read",
            );
            return None;
        }
    };
    let key = MasterKey::parse(&text);
    let what = "is not the base64 of 32 octets; `posthouse generate-key` makes such a key";
    faults.require(key.is_some(), &source, what);
    key
}

fn database(
    file: file::Database,
    variable: Option<String>,
    faults: &mut Faults,
) -> Option<DatabaseSettings> {
    let connections = (2..=1000).contains(&file.connections);
    faults.require(connections, "database.connections", "is between 2 and 1000");
    let Some(url) = variable.or(file.url) else {
        let what = "is required, or the variable DATABASE_URL, \
                    such as postgres://posthouse:password@localhost/posthouse";
        faults.add("database.url", what);
        return None;
    };
    // The error does not repeat the URL: it may hold a password.
    let options = url.parse();
    let what = "is not a URL such as postgres://posthouse:password@localhost/posthouse";
    faults.require(options.is_ok(), "database.url", what);
    Some(DatabaseSettings {
        options: options.ok()?,
        connections: file.connections,
        statement_timeout: Duration::from_secs(file.statement_timeout_seconds),
    })
}

fn listen(file: &file::Listen, faults: &mut Faults) -> Listen {
    let listen = Listen {
        http: faults.listen("listen.http", &file.http),
        https: faults.listen("listen.https", &file.https),
        smtp: faults.listen("listen.smtp", &file.smtp),
        submission: faults.listen("listen.submission", &file.submission),
        submissions: faults.listen("listen.submissions", &file.submissions),
    };
    let all = [listen.http, listen.https, listen.smtp, listen.submission, listen.submissions];
    let mut seen = Vec::new();
    for address in all.into_iter().flatten().filter(|address| address.port() != 0) {
        let what = format_args!("{address} is used twice").to_string();
        faults.require(!seen.contains(&address), "listen", what);
        seen.push(address);
    }
    listen
}

fn tls(file: file::Tls, listen: &Listen, faults: &mut Faults) -> Option<TlsFiles> {
    match (file.certificate_file, file.key_file) {
        (Some(certificate), Some(key)) => return Some(TlsFiles { certificate, key }),
        (Some(_), None) => faults.add("tls.key_file", "is missing: certificate_file is given"),
        (None, Some(_)) => faults.add("tls.certificate_file", "is missing: key_file is given"),
        (None, None) => {
            let listeners = [
                ("listen.https", listen.https),
                ("listen.submission", listen.submission),
                ("listen.submissions", listen.submissions),
            ];
            for (key, address) in listeners {
                let what = "needs a certificate: tls.certificate_file and tls.key_file";
                faults.require(address.is_none(), key, what);
            }
        }
    }
    None
}

fn blob_store(file: file::Blobs, faults: &mut Faults) -> BlobStore {
    let Some(s3) = file.s3 else {
        let default = || PathBuf::from(BLOB_DIRECTORY);
        return BlobStore::Directory(file.directory.unwrap_or_else(default));
    };
    let what = "a directory and a bucket exclude each other";
    faults.require(file.directory.is_none(), "blobs.directory", what);
    faults.require(!s3.bucket.is_empty(), "blobs.s3.bucket", "is required");
    let url = |text: &String| text.starts_with("http://") || text.starts_with("https://");
    let good = s3.endpoint.as_ref().is_none_or(url);
    faults.require(good, "blobs.s3.endpoint", "is a URL that begins with https:// or http://");
    BlobStore::S3 {
        bucket: s3.bucket,
        endpoint: s3.endpoint,
        region: s3.region.unwrap_or_else(|| "us-east-1".to_owned()),
    }
}

fn spool(file: file::Spool) -> core::Spool {
    let directory = file.directory.unwrap_or_else(|| PathBuf::from(SPOOL_DIRECTORY));
    core::Spool { directory, bytes: file.size_bytes }
}

fn memory(file: &file::Limits, faults: &mut Faults) -> u64 {
    let good = file.memory_bytes >= SMALLEST_MEMORY;
    faults.require(good, "limits.memory_bytes", "is at least 16777216 (16 MiB)");
    file.memory_bytes
}

fn message_size_limit(file: &file::Limits, faults: &mut Faults) -> u64 {
    let limit = file.message_size_bytes;
    let good = (SMALLEST_SIZE_LIMIT..=LARGEST_SIZE_LIMIT).contains(&limit);
    faults.require(
        good,
        "limits.message_size_bytes",
        "is between 65536 (64 KiB) and 1073741824 (1 GiB)",
    );
    limit
}

fn tokens(file: &file::Tokens, faults: &mut Faults) -> core::Tokens {
    let session = (900..=YEAR).contains(&file.session_seconds);
    let what = "is between 900 (15 minutes) and 31536000 (a year)";
    faults.require(session, "tokens.session_seconds", what);
    // A key is published a day before it signs.
    let period = (2 * DAY..=YEAR).contains(&file.signing_key_seconds);
    let what = "is between 172800 (2 days) and 31536000 (a year)";
    faults.require(period, "tokens.signing_key_seconds", what);
    core::Tokens {
        session_lifetime: Duration::from_secs(file.session_seconds),
        signing_key_period: Duration::from_secs(file.signing_key_seconds),
    }
}

fn oidc(file: file::Oidc, faults: &mut Faults) -> core::Oidc {
    let secure = file.issuer.starts_with("https://");
    let inside = file.issuer.starts_with("http://") && !file.allowed_networks.is_empty();
    let what = "is a URL that begins with https://; http:// is for allowed_networks";
    faults.require(secure || inside, "oidc.issuer", what);
    faults.require(!file.audience.is_empty(), "oidc.audience", "is required");
    faults.require(!file.address_claim.is_empty(), "oidc.address_claim", "names a claim");
    let both = file.admin_claim.is_some() == file.admin_value.is_some();
    faults.require(both, "oidc.admin_value", "stands with admin_claim, and only with it");
    core::Oidc {
        issuer: file.issuer,
        audience: file.audience,
        address_claim: file.address_claim,
        required_claim: file.admin_claim.zip(file.admin_value),
        allowed_networks: networks("oidc.allowed_networks", file.allowed_networks, faults),
    }
}

fn networks(key: &str, texts: Vec<String>, faults: &mut Faults) -> Vec<String> {
    for text in &texts {
        if let Err(error) = text.parse::<Network>() {
            faults.add(key, format_args!("{text:?}: {error}"));
        }
    }
    texts
}

fn delivery(file: file::Delivery, password: Option<String>, faults: &mut Faults) -> core::Delivery {
    faults.require(file.port != 0, "delivery.port", "is between 1 and 65535");
    faults.require(file.connections > 0, "delivery.connections", "is at least 1");
    let limit = (1..=file.connections.max(1)).contains(&file.connections_per_destination);
    let what = "is at least 1 and at most delivery.connections";
    faults.require(limit, "delivery.connections_per_destination", what);
    let schedule = faults.schedule("delivery.retry_schedule_seconds", &file.retry_schedule_seconds);
    core::Delivery {
        sandbox: false,
        port: file.port,
        retry_schedule: schedule,
        delay_notice_after: file.delay_notice_after_attempts,
        smart_host: file.smart_host.map(|host| Arc::new(smart_host(host, password, faults))),
    }
}

fn tls_reports(file: file::TlsReports, faults: &mut Faults) -> core::TlsReports {
    let send = match file.send.as_str() {
        "failures" => Some(core::SendReports::Failures),
        "all" => Some(core::SendReports::All),
        "off" => Some(core::SendReports::Off),
        _ => None,
    };
    faults.require(send.is_some(), "tls_reports.send", "is failures, all or off");
    let is_good = |name: &String| {
        (1..=200).contains(&name.chars().count()) && !name.chars().any(char::is_control)
    };
    let what = "has 1 to 200 characters, none of control";
    let good = file.organization_name.as_ref().is_none_or(is_good);
    faults.require(good, "tls_reports.organization_name", what);
    core::TlsReports { send: send.unwrap_or_default(), organization: file.organization_name }
}

fn smart_host(
    file: file::SmartHost,
    password: Option<String>,
    faults: &mut Faults,
) -> core::SmartHost {
    let host = faults.host("delivery.smart_host.host", &file.host);
    faults.require(file.port != 0, "delivery.smart_host.port", "is between 1 and 65535");
    let tls = match file.tls.as_str() {
        "required" => Some(Tls::Required),
        "implicit" => Some(Tls::Implicit),
        "opportunistic" => Some(Tls::Opportunistic),
        "never" => Some(Tls::Never),
        _ => None,
    };
    let what = "is required, implicit, opportunistic or never";
    faults.require(tls.is_some(), "delivery.smart_host.tls", what);
    let tls = tls.unwrap_or(Tls::Required);
    let credentials = match (file.username, password.or(file.password)) {
        (Some(username), Some(password)) => Some(Credentials { username, password }),
        (None, None) => None,
        (Some(_), None) => {
            let what = "is missing: give it, or the variable POSTHOUSE_SMART_HOST_PASSWORD";
            faults.add("delivery.smart_host.password", what);
            None
        }
        (None, Some(_)) => {
            faults.add("delivery.smart_host.username", "is missing: there is a password");
            None
        }
    };
    let safe = credentials.is_none() || matches!(tls, Tls::Required | Tls::Implicit);
    let what = "must be required or implicit: a password is sent to verified servers only";
    faults.require(safe, "delivery.smart_host.tls", what);
    let login = Login { credentials, ..Login::default() };
    core::SmartHost { host, port: file.port, tls, login, origin: Origin::default() }
}

fn log(file: file::Log, directives: Option<String>, faults: &mut Faults) -> LogSettings {
    let format = match file.format.as_str() {
        "human" => Some(Format::Human),
        "json" => Some(Format::Json),
        _ => None,
    };
    faults.require(format.is_some(), "log.format", "is human or json");
    let known = LEVELS.contains(&file.level.as_str());
    faults.require(known, "log.level", format_args!("is one of {}", LEVELS.join(", ")));
    LogSettings { format: format.unwrap_or(Format::Human), level: file.level, directives }
}
