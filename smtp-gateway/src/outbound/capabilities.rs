//! What a server offers in its reply to EHLO (RFC 5321 §4.1.1.1).
//!
//! One row of [`TABLE`] per keyword that means something to us; all others are passed over.

use posthouse_core::ports::transport::Mechanism;

/// An extension without parameters, or whose parameters are kept elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    /// RFC 2920.
    Pipelining,
    /// RFC 1870.
    Size,
    /// RFC 6152.
    EightBitMime,
    /// RFC 6531.
    SmtpUtf8,
    /// RFC 3207.
    StartTls,
    /// RFC 3461.
    Dsn,
    /// RFC 8689.
    RequireTls,
    /// RFC 3030.
    Chunking,
}

/// What was offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    extensions: Vec<Extension>,
    /// Of AUTH, as far as we have them.
    pub(super) mechanisms: Vec<Mechanism>,
    /// Largest message by SIZE; `None` when there is no fixed limit.
    pub(super) size: Option<usize>,
    /// `LIMITS RCPTMAX` (RFC 9422 §4.2).
    pub(super) recipients_max: Option<usize>,
    /// `LIMITS MAILMAX` (RFC 9422 §4.1).
    pub(super) mails_max: Option<usize>,
}

type Row = (&'static str, fn(&mut Capabilities, &str));

const TABLE: [Row; 10] = [
    ("PIPELINING", |offered, _| {
        offered.extensions.push(Extension::Pipelining);
    }),
    ("SIZE", |offered, parameters| {
        offered.extensions.push(Extension::Size);
        offered.size = number(parameters.trim());
    }),
    ("8BITMIME", |offered, _| {
        offered.extensions.push(Extension::EightBitMime);
    }),
    ("SMTPUTF8", |offered, _| {
        offered.extensions.push(Extension::SmtpUtf8);
    }),
    ("STARTTLS", |offered, _| {
        offered.extensions.push(Extension::StartTls);
    }),
    ("DSN", |offered, _| {
        offered.extensions.push(Extension::Dsn);
    }),
    ("REQUIRETLS", |offered, _| {
        offered.extensions.push(Extension::RequireTls);
    }),
    ("CHUNKING", |offered, _| {
        offered.extensions.push(Extension::Chunking);
    }),
    ("LIMITS", read_limits),
    ("AUTH", read_mechanisms),
];

impl Capabilities {
    /// Reads the text of an EHLO reply; its first line is the name of the server.
    pub(super) fn parse(text: &str) -> Self {
        let mut offered = Self::default();
        for line in text.lines().skip(1) {
            let (keyword, parameters) = line.split_once(' ').unwrap_or((line, ""));
            let row = TABLE.iter().find(|(name, _)| name.eq_ignore_ascii_case(keyword));
            if let Some((_, read)) = row {
                read(&mut offered, parameters);
            }
        }
        offered
    }

    /// Whether `extension` was offered.
    pub(super) fn offers(&self, extension: Extension) -> bool {
        self.extensions.contains(&extension)
    }

    /// From now on as if it had not been offered.
    pub(super) fn forget(&mut self, extension: Extension) {
        self.extensions.retain(|offered| *offered != extension);
    }
}

/// A positive number; zero means "no fixed limit" (RFC 1870 §4) and is absurd in LIMITS.
fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|number| *number > 0)
}

/// `limits-ehlo-kw-val = lim-name-value *( SP lim-name-value )`
fn read_limits(offered: &mut Capabilities, parameters: &str) {
    for limit in parameters.split_ascii_whitespace() {
        match limit.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("RCPTMAX") => {
                offered.recipients_max = number(value);
            }
            Some((name, value)) if name.eq_ignore_ascii_case("MAILMAX") => {
                offered.mails_max = number(value);
            }
            _ => {}
        }
    }
}

/// `"AUTH" SP sasl-mech *( SP sasl-mech )` (RFC 4954 §3)
fn read_mechanisms(offered: &mut Capabilities, parameters: &str) {
    let names = parameters.split_ascii_whitespace();
    offered.mechanisms.extend(names.filter_map(|name| name.parse::<Mechanism>().ok()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_read_in_any_case() {
        let offered = Capabilities::parse(
            "mx.example greets you\npipelining\nSIZE 1000\n8BitMime\nSMTPUTF8\nX-OTHER\nSTARTTLS\nDSN\n\
             chunking\nRequireTLS\nLIMITS RCPTMAX=20 mailmax=5 RCPTDOMAINMAX=1\nAUTH PLAIN scram-sha-256 LOGIN GSSAPI",
        );
        for extension in [
            Extension::Pipelining,
            Extension::Size,
            Extension::EightBitMime,
            Extension::SmtpUtf8,
            Extension::StartTls,
            Extension::Dsn,
            Extension::RequireTls,
            Extension::Chunking,
        ] {
            assert!(offered.offers(extension), "{extension:?}");
        }
        assert_eq!(offered.size, Some(1000));
        assert_eq!((offered.recipients_max, offered.mails_max), (Some(20), Some(5)));
        let mechanisms = [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::Login];
        assert_eq!(offered.mechanisms, mechanisms);
    }

    #[test]
    fn first_line_is_no_capability() {
        assert_eq!(Capabilities::parse("PIPELINING"), Capabilities::default());
    }

    #[test]
    fn senseless_values_are_no_limit() {
        let offered = Capabilities::parse("h\nSIZE 0\nLIMITS RCPTMAX=0 MAILMAX=x RCPTMAX");
        assert!(offered.offers(Extension::Size));
        assert_eq!((offered.size, offered.recipients_max, offered.mails_max), (None, None, None));
        assert_eq!(Capabilities::parse("h\nSIZE 99999999999999999999999").size, None);
    }
}
