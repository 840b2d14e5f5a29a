//! What a transport and a route may say.

use std::net::IpAddr;

use posthouse_mail::domain;
use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};

use super::{Kind, Settings};
use crate::{
    error::FieldError,
    ports::transport::{CertificateFault, ClientCertificate, Mechanism},
    text,
};

/// Ways of TLS to a host.
const TLS: [&str; 3] = ["required", "opportunistic", "never"];
/// What fits into AUTH.
const MAX_CREDENTIAL: usize = 255;
/// Longest certificate with its chain, as PEM.
const MAX_CERTIFICATE: usize = 32 * 1024;
/// Most addresses that connections come from: some for each node.
const MAX_SOURCES: usize = 32;

/// The secrets that a transport has, whatever they are.
#[derive(Clone, Copy)]
pub(super) struct Secrets {
    pub password: bool,
    pub key: bool,
}

/// Collects faults.
#[derive(Default)]
pub(super) struct Check {
    pub faults: Vec<FieldError>,
}

impl Check {
    fn fault(&mut self, pointer: &str, code: &'static str, detail: impl Into<String>) {
        self.faults.push(FieldError::new(pointer, code, detail));
    }

    /// A name, unique among transports.
    pub(super) fn name(&mut self, name: &str) {
        let is_good = !name.is_empty()
            && name.len() <= 64
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if !is_good {
            let detail = "a name has 1 to 64 letters, digits, dots, underscores and hyphens";
            self.fault("/name", "invalid_name", detail);
        }
    }

    pub(super) fn text(&mut self, pointer: &str, code: &'static str, value: Option<&str>) {
        self.faults.extend(value.and_then(|value| text::fault(pointer, code, value)));
    }

    fn range(&mut self, pointer: &str, value: Option<i64>, (first, last): (i64, i64)) {
        if value.is_some_and(|value| !(first..=last).contains(&value)) {
            self.fault(pointer, "out_of_range", format!("expected {first} to {last}"));
        }
    }

    /// A host name in A-label form, or an address.
    fn host(&mut self, host: Option<String>) -> Option<String> {
        let host = host?;
        if host.parse::<IpAddr>().is_ok() {
            return Some(host);
        }
        self.domain("/host", "invalid_host", &host)
    }

    fn domain(&mut self, pointer: &str, code: &'static str, name: &str) -> Option<String> {
        let read = domain::normalise(name);
        read.map_err(|error| self.fault(pointer, code, error.to_string())).ok()
    }

    /// Names of mechanisms as they are written, each once.
    fn mechanisms(&mut self, names: &[String]) -> Vec<String> {
        let mut read = Vec::new();
        for (number, name) in names.iter().enumerate() {
            if let Ok(mechanism) = name.parse::<Mechanism>() {
                read.push(mechanism.as_str().to_owned());
            } else {
                let known = Mechanism::ALL.map(Mechanism::as_str).join(", ");
                let detail = format!("expected one of {known}");
                self.fault(&format!("/auth_mechanisms/{number}"), "invalid_value", detail);
            }
        }
        read.sort_unstable();
        read.dedup();
        read
    }

    /// Addresses of single machines in their one form.
    fn sources(&mut self, addresses: &[String]) -> Vec<String> {
        if addresses.len() > MAX_SOURCES {
            let detail = format!("expected at most {MAX_SOURCES} addresses");
            self.fault("/source_addresses", "too_many", detail);
            return Vec::new();
        }
        let mut read = Vec::new();
        for (number, text) in addresses.iter().enumerate() {
            let address = text.parse::<IpAddr>().ok().map(|address| address.to_canonical());
            let of_one = |address: &IpAddr| !address.is_unspecified() && !address.is_multicast();
            if let Some(address) = address.filter(of_one) {
                read.push(address.to_string());
            } else {
                let pointer = format!("/source_addresses/{number}");
                self.fault(&pointer, "invalid_address", "expected the address of a machine");
            }
        }
        read
    }

    /// A certificate that can be used with its key.
    fn certificate(&mut self, chain: &str, key: &str) {
        if chain.len() > MAX_CERTIFICATE || key.len() > MAX_CERTIFICATE {
            let detail = format!("expected at most {MAX_CERTIFICATE} octets");
            self.fault("/client_certificate", "too_long", detail);
            return;
        }
        let pair = ClientCertificate { chain: chain.to_owned(), key: key.to_owned() };
        match pair.read() {
            Err(fault @ CertificateFault::Chain) => {
                self.fault("/client_certificate", "invalid_certificate", fault.to_string());
            }
            Err(fault @ CertificateFault::Key) => {
                self.fault("/client_key", "invalid_key", fault.to_string());
            }
            Ok((chain, key)) => {
                let used = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
                if let Err(error) = used {
                    let detail = format!("certificate and key do not go together: {error}");
                    self.fault("/client_key", "invalid_key", detail);
                }
            }
        }
    }

    /// A certificate and its key are given, changed and removed together.
    pub(super) fn pair(&mut self, certificate: bool, key: bool) {
        if certificate != key {
            let missing = if certificate { "/client_key" } else { "/client_certificate" };
            self.fault(missing, "required", "a certificate and its key come together");
        }
    }

    /// What is wrong with each setting, whatever the kind of transport; the host comes back in its
    /// one form.
    pub(super) fn settings(&mut self, settings: &mut Settings) {
        settings.host = self.host(settings.host.take());
        if let Some(name) = settings.ehlo_name.take() {
            settings.ehlo_name = self.domain("/ehlo_name", "invalid_host", &name);
        }
        settings.auth_mechanisms =
            settings.auth_mechanisms.take().map(|names| self.mechanisms(&names));
        settings.source_addresses =
            settings.source_addresses.take().map(|addresses| self.sources(&addresses));
        if let (Some(chain), Some(key)) = (&settings.client_certificate, &settings.client_key) {
            self.certificate(chain, key);
        }
        self.range("/port", settings.port.map(i64::from), (1, 65_535));
        self.range("/code", settings.code.map(i64::from), (400, 599));
        self.text("/reply", "invalid_reply", settings.reply.as_deref());
        if settings.tls.as_deref().is_some_and(|tls| !TLS.contains(&tls) && tls != "implicit") {
            let detail = "expected required, opportunistic, implicit or never";
            self.fault("/tls", "invalid_value", detail);
        }
        if settings.ip_version.as_deref().is_some_and(|ip| !matches!(ip, "ipv4" | "ipv6")) {
            self.fault("/ip_version", "invalid_value", "expected ipv4 or ipv6");
        }
        self.credentials(settings);
    }

    fn credentials(&mut self, settings: &Settings) {
        let credentials = [("/username", &settings.username), ("/password", &settings.password)];
        for (pointer, value) in credentials {
            let is_good = |text: &str| {
                (1..=MAX_CREDENTIAL).contains(&text.len()) && !text.chars().any(char::is_control)
            };
            if value.as_deref().is_some_and(|text| !is_good(text)) {
                let detail = "expected 1 to 255 octets, no control characters";
                self.fault(pointer, "invalid_credential", detail);
            }
        }
    }

    /// Whether the settings are those of this kind, and enough.
    pub(super) fn fits(&mut self, kind: Kind, settings: &Settings, secrets: Secrets) {
        let is_some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|l| !l.is_empty());
        let has = [
            (kind.has_host(), settings.host.is_some(), "/host"),
            (kind.has_host(), settings.port.is_some(), "/port"),
            (kind.relays(), settings.tls.is_some(), "/tls"),
            (kind.has_host(), settings.username.is_some(), "/username"),
            (kind.has_host(), secrets.password, "/password"),
            (kind.relays(), is_some(&settings.auth_mechanisms), "/auth_mechanisms"),
            (kind.relays(), settings.insecure_auth == Some(true), "/insecure_auth"),
            (kind.relays(), settings.client_certificate.is_some(), "/client_certificate"),
            (kind.relays(), secrets.key, "/client_key"),
            (kind == Kind::Fail, settings.code.is_some(), "/code"),
            (kind == Kind::Fail, settings.reply.is_some(), "/reply"),
            (kind.looks_up(), settings.ip_version.is_some(), "/ip_version"),
            (kind != Kind::Fail, is_some(&settings.source_addresses), "/source_addresses"),
            (kind != Kind::Fail, settings.ehlo_name.is_some(), "/ehlo_name"),
        ];
        for (_, _, pointer) in has.into_iter().filter(|(may, does, _)| !may && *does) {
            let detail = format!("a transport of type {kind} has no such setting");
            self.fault(pointer, "not_allowed", detail);
        }
        if kind.has_host() {
            self.fits_host(kind, settings, secrets);
        }
    }

    fn fits_host(&mut self, kind: Kind, settings: &Settings, secrets: Secrets) {
        if settings.host.is_none() && !self.faults.iter().any(|fault| fault.pointer == "/host") {
            self.fault("/host", "required", "say which host takes the mail, or is the proxy");
        }
        if settings.username.is_some() != secrets.password {
            let missing = if secrets.password { "/username" } else { "/password" };
            self.fault(missing, "required", "a login has a username and a password");
            return;
        }
        if !kind.relays() {
            return;
        }
        let tls = settings.tls.as_deref().unwrap_or_else(|| default_tls(kind));
        let logs_in = secrets.password || secrets.key;
        let is_verified = matches!(tls, "required" | "implicit");
        let fault = if (tls == "implicit") != (kind == Kind::Submissions) {
            "implicit is for submissions, and for nothing else"
        } else if secrets.key && tls == "never" {
            "a certificate is shown in TLS only"
        } else if logs_in && !is_verified && settings.insecure_auth != Some(true) {
            "a login takes place over verified TLS only, required or implicit, unless \
             insecure_auth is true"
        } else {
            return;
        };
        self.fault("/tls", "invalid_value", fault);
    }

    /// Domains of a route in A-label form.
    pub(super) fn domains(&mut self, pointer: &str, domains: &[String]) -> Vec<String> {
        if domains.len() > 100 {
            self.fault(pointer, "too_many", "expected at most 100 domains");
        }
        let mut read = Vec::with_capacity(domains.len());
        for (number, text) in domains.iter().enumerate() {
            let (dot, name) =
                text.strip_prefix('.').map_or(("", text.as_str()), |name| (".", name));
            match domain::normalise(name) {
                Ok(name) => read.push(format!("{dot}{name}")),
                Err(error) => {
                    self.fault(&format!("{pointer}/{number}"), "invalid_domain", error.to_string());
                }
            }
        }
        read
    }

    pub(super) fn place(&mut self, position: Option<i32>, minimum_attempts: Option<i16>) {
        self.range("/position", position.map(i64::from), (0, 1_000_000));
        self.range("/minimum_attempts", minimum_attempts.map(i64::from), (0, 1000));
    }
}

/// TLS of a host when nothing is said.
pub(super) const fn default_tls(kind: Kind) -> &'static str {
    match kind {
        Kind::Submissions => "implicit",
        Kind::Submission => "required",
        _ => "opportunistic",
    }
}

/// Port of a host when nothing is said.
pub(super) const fn default_port(kind: Kind) -> i32 {
    match kind {
        Kind::Submissions => 465,
        Kind::Submission => 587,
        Kind::Socks5 => 1080,
        _ => 25,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(kind: Kind, mut settings: Settings) -> Vec<String> {
        let mut check = Check::default();
        check.settings(&mut settings);
        let secrets =
            Secrets { password: settings.password.is_some(), key: settings.client_key.is_some() };
        check.fits(kind, &settings, secrets);
        check.faults.into_iter().map(|fault| fault.pointer).collect()
    }

    fn login(tls: Option<&str>) -> Settings {
        Settings {
            host: Some("relay.test".to_owned()),
            tls: tls.map(str::to_owned),
            username: Some("u".to_owned()),
            password: Some("p".to_owned()),
            ..Settings::default()
        }
    }

    #[test]
    fn passwords_need_verified_tls() {
        assert!(faults(Kind::Submission, login(None)).is_empty());
        assert!(faults(Kind::Submissions, login(None)).is_empty());
        assert!(faults(Kind::Smtp, login(Some("required"))).is_empty());
        assert_eq!(faults(Kind::Smtp, login(None)), ["/tls"]);
        for tls in ["opportunistic", "never", "implicit", "x"] {
            assert!(
                faults(Kind::Submission, login(Some(tls))).contains(&"/tls".to_owned()),
                "{tls}"
            );
        }
        let half = Settings { password: None, ..login(None) };
        assert_eq!(faults(Kind::Submission, half), ["/password"]);
        for tls in [None, Some("never")] {
            let told = Settings { insecure_auth: Some(true), ..login(tls) };
            assert!(faults(Kind::Smtp, told).is_empty(), "{tls:?}");
        }
    }

    /// As PEM, with its key.
    fn issued() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["client.test".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn certificates_come_with_their_keys() {
        let (chain, key) = issued();
        let given = |chain: &str, key: &str, tls: Option<&str>| {
            let pair = (Some(chain.to_owned()), Some(key.to_owned()));
            let (client_certificate, client_key) = pair;
            let host = Some("relay.test".to_owned());
            let tls = tls.map(str::to_owned);
            Settings { host, tls, client_certificate, client_key, ..Settings::default() }
        };
        assert!(faults(Kind::Submission, given(&chain, &key, None)).is_empty());
        assert_eq!(faults(Kind::Smtp, given(&chain, &key, Some("never"))), ["/tls"]);
        assert_eq!(faults(Kind::Smtp, given(&chain, &key, None)), ["/tls"]);
        let wrong = [
            (issued().0, key.clone(), "/client_key"),
            (chain.clone(), chain.clone(), "/client_key"),
            (key.clone(), key, "/client_certificate"),
            ("x".repeat(40_000), String::new(), "/client_certificate"),
        ];
        for (chain, key, pointer) in wrong {
            assert_eq!(faults(Kind::Submission, given(&chain, &key, None)), [pointer]);
        }
        let mut check = Check::default();
        check.pair(true, false);
        assert_eq!(check.faults[0].pointer, "/client_key");
    }

    #[test]
    fn a_proxy_has_a_login_but_no_tls() {
        let proxy = || Settings {
            source_addresses: Some(vec!["192.0.2.1".to_owned(), "::ffff:192.0.2.2".to_owned()]),
            ehlo_name: Some("Out.Example.NET".to_owned()),
            ..login(None)
        };
        assert!(faults(Kind::Socks5, proxy()).is_empty());
        let mut read = proxy();
        Check::default().settings(&mut read);
        assert_eq!(read.source_addresses.unwrap(), ["192.0.2.1", "192.0.2.2"]);
        assert_eq!(read.ehlo_name.as_deref(), Some("out.example.net"));
        let tls = Settings { insecure_auth: Some(true), ..login(Some("never")) };
        assert_eq!(faults(Kind::Socks5, tls), ["/tls", "/insecure_auth"]);
        let wrong = ["0.0.0.0", "224.0.0.1", "x", "10.0.0.0/8"].map(str::to_owned).to_vec();
        let wrong = Settings { source_addresses: Some(wrong), ..Settings::default() };
        assert_eq!(faults(Kind::Direct, wrong).len(), 4);
        let name = Settings { ehlo_name: Some("no name".to_owned()), ..Settings::default() };
        assert_eq!(faults(Kind::Direct, name), ["/ehlo_name"]);
    }

    #[test]
    fn mechanisms_are_those_we_have() {
        let names = ["scram-sha-256", "PLAIN", "plain"].map(str::to_owned).to_vec();
        let mut settings = Settings { auth_mechanisms: Some(names), ..login(None) };
        Check::default().settings(&mut settings);
        assert_eq!(settings.auth_mechanisms.unwrap(), ["PLAIN", "SCRAM-SHA-256"]);
        let names = Some(vec!["GSSAPI".to_owned()]);
        let settings = Settings { auth_mechanisms: names, ..login(None) };
        assert_eq!(faults(Kind::Submission, settings), ["/auth_mechanisms/0"]);
    }

    #[test]
    fn settings_belong_to_their_kind() {
        assert_eq!(faults(Kind::Smtp, Settings::default()), ["/host"]);
        let all = Settings {
            port: Some(0),
            code: Some(250),
            reply: Some("\n".to_owned()),
            ip_version: Some("ipv5".to_owned()),
            ..login(None)
        };
        let own = ["/port", "/code", "/reply", "/ip_version"];
        assert_eq!(faults(Kind::Direct, all.clone())[..4], own);
        assert_eq!(faults(Kind::Direct, all.clone()).len(), 4 + 6);
        assert_eq!(faults(Kind::Fail, all).len(), 4 + 5);
    }

    #[test]
    fn domains_of_routes_may_begin_with_a_dot() {
        let mut check = Check::default();
        let given = ["Example.NET", ".grüße.test", "..x", ""].map(str::to_owned);
        assert_eq!(check.domains("/to_domains", &given), ["example.net", ".xn--gre-6ka8l.test"]);
        let pointers: Vec<_> = check.faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["/to_domains/2", "/to_domains/3"]);
    }
}
