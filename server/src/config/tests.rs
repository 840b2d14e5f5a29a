//! Faults of configurations, and the example file.

use std::collections::BTreeSet;

use super::*;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const MINIMAL: &str = "hostname = 'mail.example.com'";

fn environment() -> Environment {
    Environment {
        database_url: Some("postgres://posthouse:hunter2@db/posthouse".to_owned()),
        master_key: Some(KEY.to_owned()),
        machine_name: Some("node-1".to_owned()),
        ..Environment::default()
    }
}

fn faults(text: &str, environment: Environment) -> Vec<String> {
    Settings::from_text(text, environment).err().map(|faults| faults.0).unwrap_or_default()
}

/// The example with every line that shows a key or section made effective.
fn uncommented() -> String {
    let effective = |line: &str| {
        let rest = line.strip_prefix('#').filter(|rest| !rest.starts_with(' ') && !rest.is_empty());
        rest.unwrap_or(line).to_owned() + "\n"
    };
    EXAMPLE.lines().map(effective).collect()
}

#[test]
fn the_smallest_configuration_has_defaults() {
    let settings = Settings::from_text(MINIMAL, environment()).unwrap();
    assert_eq!(settings.core.hostname, "mail.example.com");
    assert_eq!(settings.node_name, "node-1");
    assert_eq!(settings.roles, Roles::all());
    assert_eq!(settings.listen.http, Some("127.0.0.1:8080".parse().unwrap()));
    assert_eq!(settings.listen.smtp, None);
    assert_eq!(settings.master_key.octets()[31], 31);
    assert!(!settings.core.sandbox && !settings.core.delivery.sandbox);
}

#[test]
fn all_faults_are_told_at_once() {
    let text = r#"
        hostname = "mail..example.com"
        roles = ["api", "imap"]
        [database]
        connections = 0
        [listen]
        http = "localhost"
        smtp = "0.0.0.0:25"
        submission = "0.0.0.0:25"
        [tls]
        key_file = "key.pem"
        [blobs.s3]
        endpoint = "s3.example.com"
        [limits]
        message_size_bytes = 10
        [delivery]
        retry_schedule_seconds = [0]
        connections_per_destination = 501
        resolvers = ["dns.example.com"]
        dnssec = "yes"
        smart_host = { host = "smtp.example.net", tls = "never", username = "u", password = "p" }
        [webhooks]
        allowed_networks = ["10.0.0.0/33"]
        [tokens]
        session_seconds = 60
        signing_key_seconds = 86400
        [log]
        format = "xml"
        level = "loud"
    "#;
    let found = faults(text, Environment::default());
    let keys: Vec<_> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    let expected = [
        "hostname",
        "node_name",
        "roles",
        "master_key_file",
        "database.connections",
        "database.url",
        "listen.http",
        "listen",
        "tls.certificate_file",
        "delivery.resolvers",
        "delivery.dnssec",
        "limits.message_size_bytes",
        "webhooks.allowed_networks",
        "blobs.s3.bucket",
        "blobs.s3.endpoint",
        "delivery.connections_per_destination",
        "delivery.retry_schedule_seconds",
        "delivery.smart_host.tls",
        "tokens.session_seconds",
        "tokens.signing_key_seconds",
        "log.format",
        "log.level",
    ];
    let sorted = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(sorted(&keys), sorted(&expected), "{found:#?}");
}

#[test]
fn reports_about_tls_are_sent_as_it_says() {
    let text = "[tls_reports]\nsend = 'never'\norganization_name = ''";
    let found = faults(&format!("{MINIMAL}\n{text}"), environment());
    let keys: Vec<_> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    assert_eq!(keys, ["tls_reports.send", "tls_reports.organization_name"]);
    let text = format!("{MINIMAL}\n[tls_reports]\nsend = 'off'");
    let settings = Settings::from_text(&text, environment()).unwrap();
    assert_eq!(settings.core.tls_reports.send, posthouse_core::config::SendReports::Off);
}

#[test]
fn a_provider_is_named_in_full() {
    let text = "[oidc]\nissuer = 'http://id.example.com'\nadmin_claim = 'groups'";
    let found = faults(&format!("{MINIMAL}\n{text}"), environment());
    let keys: Vec<_> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    assert_eq!(keys, ["oidc.issuer", "oidc.audience", "oidc.admin_value"]);
}

#[test]
fn unknown_keys_are_refused_with_their_place() {
    let found = faults("hostname = 'a.example'\n[listen]\nhtp = '127.0.0.1:1'", environment());
    assert!(found[0].contains("line 3") && found[0].contains("htp"), "{found:?}");
}

#[test]
fn no_listener_that_needs_tls_without_a_certificate() {
    let text = format!("{MINIMAL}\n[listen]\nsubmissions = '[::]:465'\nsmtp = '[::]:25'");
    let found = faults(&text, environment());
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("listen.submissions: needs a certificate"), "{found:?}");
}

#[test]
fn a_process_that_takes_messages_delivers_them() {
    let found = faults(&format!("{MINIMAL}\nroles = ['api', 'jobs']"), environment());
    assert!(found[0].starts_with("roles: api and smtp need delivery"), "{found:?}");
    assert!(faults(&format!("{MINIMAL}\nroles = ['webhooks', 'jobs']"), environment()).is_empty());
}

#[test]
fn a_missing_key_says_how_to_make_one() {
    let environment = Environment { master_key: None, ..environment() };
    let found = faults(MINIMAL, environment);
    assert!(found[0].contains("posthouse generate-key"), "{found:?}");
    let short = Environment { master_key: Some("c2hvcnQ=".to_owned()), ..self::environment() };
    assert!(faults(MINIMAL, short)[0].contains("32 octets"));
}

#[test]
fn no_fault_repeats_a_secret() {
    let environment = Environment {
        database_url: Some("postgres//posthouse:hunter2@db".to_owned()),
        master_key: Some("hunter2".to_owned()),
        ..Environment::default()
    };
    let found = faults(MINIMAL, environment);
    assert_eq!(found.len(), 3);
    assert!(!found.concat().contains("hunter2"), "{found:?}");
}

#[test]
fn the_example_shows_the_defaults() {
    let file: file::File = toml::from_str(&uncommented()).unwrap();
    assert_eq!(file.database.connections, file::Database::default().connections);
    assert_eq!(
        file::File {
            database: file::Database { url: None, ..file.database.clone() },
            ..file.clone()
        }
        .database,
        file::Database::default()
    );
    assert_eq!(file.listen, file::Listen::default());
    assert_eq!(file.limits, file::Limits::default());
    let spool = file::Spool { directory: None, ..file.spool.clone() };
    assert_eq!(spool, file::Spool::default());
    assert_eq!(file.webhooks, file::Webhooks::default());
    assert_eq!(file.log, file::Log::default());
    let delivery =
        file::Delivery { smart_host: None, trust_anchors_file: None, ..file.delivery.clone() };
    assert_eq!(delivery, file::Delivery::default());
    let smart_host = file.delivery.smart_host.unwrap();
    assert_eq!((smart_host.port, smart_host.tls.as_str()), (587, "required"));
    let roles: Vec<_> = file.roles.unwrap();
    assert_eq!(roles.join(", "), Roles::all().to_string());
}

#[test]
fn the_example_is_a_configuration_and_its_comments_too() {
    let file: file::File = toml::from_str(EXAMPLE).unwrap();
    assert!(file.hostname.is_some() && file.master_key_file.is_some());
    assert!(Settings::from_text(MINIMAL, environment()).is_ok());
    let master_key = ["master_key_file", "blobs.directory", "delivery.trust_anchors_file"];
    for fault in faults(&uncommented(), Environment { master_key: None, ..environment() }) {
        assert!(master_key.iter().any(|key| fault.starts_with(key)), "{fault}");
    }
}

/// Every section in turn gets an unknown key; the refusal lists the known ones.
#[test]
fn every_key_is_in_the_example() {
    let sections = [
        "",
        "database",
        "listen",
        "tls",
        "blobs",
        "blobs.s3",
        "spool",
        "limits",
        "delivery",
        "delivery.smart_host",
        "webhooks",
        "log",
    ];
    for section in sections {
        let text =
            if section.is_empty() { "zz = 1".to_owned() } else { format!("[{section}]\nzz = 1") };
        let error = toml::from_str::<file::File>(&text).unwrap_err().message().to_owned();
        let known = error.split("expected").nth(1).unwrap_or_else(|| panic!("{error}"));
        for key in known.split('`').skip(1).step_by(2) {
            let shown = uncommented().lines().any(|line| {
                line.starts_with(&format!("{key} = "))
                    || line == format!("[{key}]")
                    || line == format!("[{section}.{key}]")
            });
            assert!(shown, "{section}.{key} is not in deploy/posthouse.example.toml");
        }
    }
}
