//! What a transport and a route may say.

use posthouse_mail::domain;

use super::{Kind, Settings};
use crate::{error::FieldError, text};

/// Ways of TLS to a host.
const TLS: [&str; 3] = ["required", "opportunistic", "never"];
/// What fits into AUTH.
const MAX_CREDENTIAL: usize = 255;

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
        if host.parse::<std::net::IpAddr>().is_ok() {
            return Some(host);
        }
        let read = domain::normalise(&host);
        read.map_err(|error| self.fault("/host", "invalid_host", error.to_string())).ok()
    }

    /// What is wrong with each setting, whatever the kind of transport; the host comes back in its
    /// one form.
    pub(super) fn settings(&mut self, settings: &mut Settings) {
        settings.host = self.host(settings.host.take());
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
    pub(super) fn fits(&mut self, kind: Kind, settings: &Settings, has_password: bool) {
        let has = |present: bool, pointer: &'static str| present.then_some(pointer);
        let of_hosts = [
            has(settings.host.is_some(), "/host"),
            has(settings.port.is_some(), "/port"),
            has(settings.tls.is_some(), "/tls"),
            has(settings.username.is_some(), "/username"),
            has(has_password, "/password"),
        ];
        let of_fail =
            [has(settings.code.is_some(), "/code"), has(settings.reply.is_some(), "/reply")];
        let foreign = of_hosts.into_iter().filter(|_| !kind.has_host());
        let foreign = foreign.chain(of_fail.into_iter().filter(|_| kind != Kind::Fail));
        let of_direct = has(settings.ip_version.is_some(), "/ip_version");
        let foreign = foreign.chain(of_direct.filter(|_| kind != Kind::Direct).map(Some));
        for pointer in foreign.flatten() {
            let detail = format!("a transport of type {kind} has no such setting");
            self.fault(pointer, "not_allowed", detail);
        }
        if kind.has_host() {
            self.fits_host(kind, settings, has_password);
        }
    }

    fn fits_host(&mut self, kind: Kind, settings: &Settings, has_password: bool) {
        if settings.host.is_none() && !self.faults.iter().any(|fault| fault.pointer == "/host") {
            self.fault("/host", "required", "say which host takes the mail");
        }
        let tls = settings.tls.as_deref().unwrap_or_else(|| default_tls(kind));
        if (tls == "implicit") != (kind == Kind::Submissions) {
            let detail = "implicit is for submissions, and for nothing else";
            self.fault("/tls", "invalid_value", detail);
        }
        if settings.username.is_some() != has_password {
            let missing = if has_password { "/username" } else { "/password" };
            self.fault(missing, "required", "a login has a username and a password");
        } else if has_password && !matches!(tls, "required" | "implicit") {
            let detail = "a password is sent over verified TLS only: required or implicit";
            self.fault("/tls", "invalid_value", detail);
        }
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
        _ => 25,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(kind: Kind, mut settings: Settings) -> Vec<String> {
        let mut check = Check::default();
        check.settings(&mut settings);
        let has_password = settings.password.is_some();
        check.fits(kind, &settings, has_password);
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
