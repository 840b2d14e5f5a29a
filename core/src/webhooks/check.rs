//! What an endpoint may look like: URL, event types, header fields.

use std::collections::{BTreeMap, BTreeSet};

use posthouse_mail::domain;
use reqwest::header::{HeaderName, HeaderValue};
use url::{Host, Url};

use crate::{
    error::FieldError,
    events::EventKind,
    http::{Policy, Ports},
    text,
};

const MAX_URL: usize = 2048;
const MAX_TYPES: usize = 100;
const MAX_HEADERS: usize = 20;
const MAX_HEADER_VALUE: usize = 1024;
const MAX_DOMAINS: usize = 100;
const MAX_TAGS: usize = 100;
const MAX_TAG_LENGTH: usize = 100;
/// A week.
const MAX_DEFERRED_INTERVAL: i32 = 604_800;

/// Header fields that belong to us, to HTTP or to the connection.
const RESERVED: [&str; 14] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "http2-settings",
    "accept-encoding",
    "user-agent",
];
const RESERVED_PREFIXES: [&str; 2] = ["webhook-", "proxy-"];

/// Collects the faults of a request.
#[derive(Default)]
pub(super) struct Check {
    /// All of them.
    pub faults: Vec<FieldError>,
}

impl Check {
    fn fault(&mut self, pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) {
        self.faults.push(FieldError::new(pointer, code, detail));
    }

    /// The URL in its normal form, which is what will be called.
    pub(super) fn url(&mut self, text: &str, policy: &Policy) -> Option<String> {
        match url(text, policy) {
            Ok(url) => Some(url.into()),
            Err((code, detail)) => {
                self.fault("/url", code, detail);
                None
            }
        }
    }

    pub(super) fn description(&mut self, description: &str) {
        self.faults.extend(text::fault("/description", "invalid_description", description));
    }

    pub(super) fn event_types(&mut self, types: &[String]) {
        if types.is_empty() || types.len() > MAX_TYPES {
            let detail = format!("give 1 to {MAX_TYPES} types; * stands for all");
            self.fault("/event_types", "out_of_range", detail);
        }
        for (index, pattern) in types.iter().enumerate().take(MAX_TYPES) {
            if !is_known(pattern) {
                let detail = "expected the name of an event type, a group such as delivery.*, or *";
                self.fault(format!("/event_types/{index}"), "unknown_event_type", detail);
            }
        }
    }

    pub(super) fn domains(&mut self, domains: &[String]) {
        self.at_most("/domains", domains, MAX_DOMAINS);
        for (index, name) in domains.iter().enumerate().take(MAX_DOMAINS) {
            if let Err(error) = domain::normalise(name) {
                self.fault(format!("/domains/{index}"), "invalid_domain", error.to_string());
            }
        }
    }

    pub(super) fn tags(&mut self, tags: &[String]) {
        self.at_most("/tags", tags, MAX_TAGS);
        for (index, tag) in tags.iter().enumerate().take(MAX_TAGS) {
            let length = tag.chars().count();
            if length == 0 || length > MAX_TAG_LENGTH || tag.chars().any(char::is_control) {
                let detail = format!("a tag has 1 to {MAX_TAG_LENGTH} characters, none of control");
                self.fault(format!("/tags/{index}"), "invalid_tag", detail);
            }
        }
    }

    pub(super) fn deferred_interval(&mut self, seconds: i32) {
        if !(0..=MAX_DEFERRED_INTERVAL).contains(&seconds) {
            let detail = format!("expected 0 (all are told) to {MAX_DEFERRED_INTERVAL} seconds");
            self.fault("/deferred_interval_seconds", "out_of_range", detail);
        }
    }

    fn at_most<T>(&mut self, pointer: &str, values: &[T], most: usize) {
        if values.len() > most {
            self.fault(pointer, "too_many", format!("at most {most}"));
        }
    }

    pub(super) fn headers(&mut self, headers: &BTreeMap<String, String>) {
        if headers.len() > MAX_HEADERS {
            self.fault("/headers", "too_many", format!("at most {MAX_HEADERS} header fields"));
        }
        let mut seen = BTreeSet::new();
        for (name, value) in headers {
            let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
            if let Some((code, detail)) = header_fault(name, value) {
                self.fault(pointer, code, detail);
            } else if !seen.insert(name.to_ascii_lowercase()) {
                self.fault(pointer, "duplicate_header", "this name is there with another case");
            }
        }
    }
}

/// Names of domains in the form in which they are compared.
pub(super) fn domains(names: &[String]) -> Vec<String> {
    names.iter().filter_map(|name| domain::normalise(name).ok()).collect()
}

/// What is wrong with the types of events that somebody wants.
pub(super) fn types(types: &[String]) -> Vec<FieldError> {
    let mut check = Check::default();
    check.event_types(types);
    check.faults
}

/// The same where none stands for all.
pub(super) fn wanted_types(wanted: &[String]) -> Vec<FieldError> {
    if wanted.is_empty() { Vec::new() } else { types(wanted) }
}

fn is_known(pattern: &str) -> bool {
    let mut names = EventKind::ALL.iter().map(|kind| kind.as_str());
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(group) => group.ends_with('.') && names.any(|name| name.starts_with(group)),
        None => names.any(|name| name == pattern),
    }
}

fn header_fault(name: &str, value: &str) -> Option<(&'static str, &'static str)> {
    let Ok(parsed) = HeaderName::from_bytes(name.as_bytes()) else {
        return Some(("invalid_header_name", "a name is a token (RFC 9110 §5.6.2)"));
    };
    let lower = parsed.as_str();
    let is_reserved = RESERVED.contains(&lower)
        || RESERVED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix));
    if is_reserved {
        return Some(("reserved_header", "this header field is set by the server"));
    }
    let is_safe = value.len() <= MAX_HEADER_VALUE
        && value.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        && value.trim() == value
        && HeaderValue::from_str(value).is_ok();
    (!is_safe).then_some((
        "invalid_header_value",
        "a value has at most 1024 printable ASCII characters and no space around them",
    ))
}

type Fault = (&'static str, &'static str);

/// Reads a URL that webhooks may be sent to, as far as that is known without a look-up.
pub(super) fn url(text: &str, policy: &Policy) -> Result<Url, Fault> {
    const INVALID: &str = "invalid_url";
    // The parser would drop or encode what is not plain, and so hide what is meant.
    if text.len() > MAX_URL || text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err((INVALID, "a URL has at most 2048 octets, without spaces"));
    }
    let url = Url::parse(text).map_err(|_| (INVALID, "expected an absolute URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err((INVALID, "the scheme is https or http"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let detail = "a URL has no user name or password; use a header field";
        return Err((INVALID, detail));
    }
    if url.fragment().is_some() {
        return Err((INVALID, "a URL has no fragment"));
    }
    if let Some(Host::Domain(name)) = url.host()
        && name.ends_with('.')
    {
        return Err((INVALID, "the host must not end in a dot"));
    }
    match policy.permits_literal(&url) {
        Some(false) => Err((
            "address_not_allowed",
            "the address is not public or the port neither 80 nor 443; the administrator can \
             allow networks",
        )),
        None if Ports::of(&url) == Ports::Unusual && !policy.allows_some() => {
            Err(("port_not_allowed", "the port is 80 or 443"))
        }
        Some(true) | None => Ok(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::policy;

    #[test]
    fn urls_that_lead_inside_are_refused() {
        let policy = policy(&[]);
        let refused = [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://0x7f.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://017700000001/",
            "http://127.0.0.1./",
            "http://0/",
            "http://[::1]/",
            "http://[::ffff:7f00:1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://169.254.169.254/latest/meta-data",
            "http://localhost/",
            "http://LOCALHOST/",
            "http://a.localhost/",
            "http://localhost./",
            "http://①②⑦.0.0.1/",
            "http://127%2e0.0.1/",
            "https://10.1.2.3/",
            "http://[fe80::1]/",
        ];
        for text in refused {
            assert!(url(text, &policy).is_err(), "{text}");
        }
    }

    #[test]
    fn urls_of_the_wrong_form_are_refused() {
        let policy = policy(&["127.0.0.0/8"]);
        let refused = [
            "",
            "example.test",
            "/hook",
            "ftp://example.test/",
            "file:///etc/passwd",
            "gopher://example.test/",
            "http://",
            "http:///",
            "http://user@example.test/",
            "http://user:pw@example.test/",
            "http://:pw@example.test/",
            "http://example.test./",
            "http://example.test/#part",
            "http://exam ple.test/",
            "http://example.test/\r\nX: y",
            "http://example.test/\u{a0}",
            "http://[::1",
            "http://example.test:99999/",
            "javascript:alert(1)",
            "http://a..b/\t",
        ];
        for text in refused {
            assert!(url(text, &policy).is_err(), "{text:?}");
        }
        let long = format!("https://example.test/{}", "a".repeat(MAX_URL));
        assert!(url(&long, &policy).is_err());
    }

    #[test]
    fn good_urls_come_in_normal_form() {
        let none = policy(&[]);
        let form = |text: &str, policy: &Policy| url(text, policy).map(String::from);
        assert_eq!(form("https://Example.TEST", &none).unwrap(), "https://example.test/");
        assert_eq!(
            form("https://example.test:443/a?b=c", &none).unwrap(),
            "https://example.test/a?b=c"
        );
        assert!(form("http://8.8.8.8/", &none).is_ok());
        assert!(form("https://[2606:4700::1111]/", &none).is_ok());
        assert!(form("https://bücher.example/", &none).is_ok());
        assert_eq!(form("https://example.test:8443/", &none).unwrap_err().0, "port_not_allowed");
        assert_eq!(form("http://8.8.8.8:8080/", &none).unwrap_err().0, "address_not_allowed");
        let loopback = policy(&["127.0.0.0/8"]);
        assert_eq!(form("http://127.1:8080/x", &loopback).unwrap(), "http://127.0.0.1:8080/x");
        assert!(form("http://localhost:9000/", &loopback).is_ok());
        assert!(form("https://example.test:8443/", &loopback).is_ok());
        assert!(form("http://10.0.0.1:8080/", &loopback).is_err());
    }

    #[test]
    fn event_types_are_names_and_groups() {
        for good in ["*", "delivery.*", "mail.received", "webhook.*", "webhook.test"] {
            assert!(is_known(good), "{good}");
        }
        for bad in
            ["", "delivery", "delivery*", "deliver.*", "**", ".*", "mail.received*", "Mail.*"]
        {
            assert!(!is_known(bad), "{bad}");
        }
    }

    #[test]
    fn header_fields_are_safe_and_not_ours() {
        assert_eq!(header_fault("Authorization", "Bearer x y"), None);
        assert_eq!(header_fault("X-Tenant", ""), None);
        for reserved in
            ["Webhook-Id", "HOST", "content-length", "Transfer-Encoding", "Proxy-Authorization"]
        {
            assert_eq!(header_fault(reserved, "x").unwrap().0, "reserved_header", "{reserved}");
        }
        for name in ["", "a b", "a:b", "a\r\nb", "ä", ":authority"] {
            assert_eq!(header_fault(name, "x").unwrap().0, "invalid_header_name", "{name:?}");
        }
        for value in ["a\r\nB: c", "a\0", " a", "a ", "ä", "\u{7f}"] {
            assert_eq!(header_fault("X-A", value).unwrap().0, "invalid_header_value", "{value:?}");
        }
    }

    #[test]
    fn all_faults_come_at_once() {
        let mut check = Check::default();
        check.url("nope", &policy(&[]));
        check.description("a\nb");
        check.event_types(&["x".to_owned()]);
        let headers = [("Host", "a"), ("X-A", "1"), ("x-a", "2")];
        check.headers(&headers.map(|(n, v)| (n.to_owned(), v.to_owned())).into());
        let pointers: Vec<_> = check.faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(
            pointers,
            ["/url", "/description", "/event_types/0", "/headers/Host", "/headers/x-a"]
        );
    }
}
