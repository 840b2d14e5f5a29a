//! What senders want to be told: the parameters of MAIL and RCPT of RFC 3461 §4, as clients send
//! them to us and as we send them on.

use std::{fmt, str::FromStr};

use super::{DsnKind, xtext};

/// Most octets of ENVID (RFC 3461 §4.4).
const MAX_ENVID: usize = 100;
/// Most octets of ORCPT (RFC 3461 §4.2).
const MAX_ORCPT: usize = 500;

/// A parameter that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed parameter")]
pub struct BadParam;

/// What MAIL says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailDsn {
    /// RET.
    pub ret: Option<Ret>,
    /// ENVID, decoded: printable ASCII.
    pub envid: Option<String>,
}

/// What RCPT says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RcptDsn {
    /// NOTIFY.
    pub notify: Option<Notify>,
    /// ORCPT.
    pub orcpt: Option<OriginalRecipient>,
}

impl RcptDsn {
    /// Whether a report of this kind is wanted. Who has not said gets those of failures and delays
    /// (RFC 3461 §4.1).
    pub fn wants(&self, kind: DsnKind) -> bool {
        let usual = Notify { success: false, failure: true, delay: true };
        let notify = self.notify.unwrap_or(usual);
        match kind {
            DsnKind::Failed => notify.failure,
            DsnKind::Delayed => notify.delay,
            DsnKind::Delivered | DsnKind::Relayed => notify.success,
        }
    }
}

/// RET: how much of the message a report of a failure brings back, RFC 3461 §4.3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ret {
    /// All of it.
    Full,
    /// The header.
    #[default]
    Headers,
}

impl Ret {
    /// As in the parameter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        }
    }
}

impl FromStr for Ret {
    type Err = BadParam;

    /// `ret-value = "FULL" / "HDRS"`
    fn from_str(value: &str) -> Result<Self, BadParam> {
        let all = [Self::Full, Self::Headers];
        let found = all.into_iter().find(|ret| value.eq_ignore_ascii_case(ret.as_str()));
        found.ok_or(BadParam)
    }
}

/// NOTIFY: what is reported about a recipient, RFC 3461 §4.1. Nothing of it: NEVER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notify {
    /// It was delivered.
    pub success: bool,
    /// It could not be delivered.
    pub failure: bool,
    /// It takes longer than usual.
    pub delay: bool,
}

impl FromStr for Notify {
    type Err = BadParam;

    /// `notify-esmtp-value = "NEVER" / 1#notify-list-element`
    fn from_str(value: &str) -> Result<Self, BadParam> {
        let mut notify = Self { success: false, failure: false, delay: false };
        if value.eq_ignore_ascii_case("NEVER") {
            return Ok(notify);
        }
        for word in value.split(',') {
            match word.to_ascii_uppercase().as_str() {
                "SUCCESS" => notify.success = true,
                "FAILURE" => notify.failure = true,
                "DELAY" => notify.delay = true,
                _ => return Err(BadParam),
            }
        }
        Ok(notify)
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [("SUCCESS", self.success), ("FAILURE", self.failure), ("DELAY", self.delay)];
        let words: Vec<&str> = all.iter().filter(|(_, set)| *set).map(|(word, _)| *word).collect();
        f.write_str(if words.is_empty() { "NEVER".to_owned() } else { words.join(",") }.as_str())
    }
}

/// ORCPT: for whom the sender meant it, RFC 3461 §4.2. Its text is `type;address`, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalRecipient(String);

impl OriginalRecipient {
    /// Reads the value of the parameter.
    ///
    /// `original-recipient-address = addr-type ";" xtext`
    ///
    /// # Errors
    /// No type, or an address that is empty, not encoded as it has to be, or too long.
    pub fn from_param(value: &str) -> Result<Self, BadParam> {
        let (kind, address) = value.split_once(';').ok_or(BadParam)?;
        let is_atom = !kind.is_empty() && kind.bytes().all(is_atext);
        if !is_atom || address.is_empty() || value.len() > MAX_ORCPT {
            return Err(BadParam);
        }
        let decode = if is_utf8(kind) { xtext::decode_utf8 } else { xtext::decode };
        let address = decode(address).ok_or(BadParam)?;
        Ok(Self(format!("{kind};{address}")))
    }

    /// Of a recipient for whom nothing else was said (RFC 3461 §5.2.1).
    pub fn of(address: &str) -> Self {
        let kind = if address.is_ascii() { "rfc822" } else { "utf-8" };
        Self(format!("{kind};{address}"))
    }

    /// From what [`Self::as_str`] gave.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As a report has it in Original-Recipient.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address, if it is one of mail.
    pub fn address(&self) -> Option<&str> {
        let (kind, address) = self.0.split_once(';')?;
        (is_utf8(kind) || kind.eq_ignore_ascii_case("rfc822")).then_some(address)
    }

    /// As the value of the parameter, in ASCII; none when it would be too long.
    pub fn to_param(&self) -> Option<String> {
        let (kind, address) = self.0.split_once(';')?;
        let encode = if is_utf8(kind) { xtext::encode_utf8 } else { xtext::encode };
        let value = format!("{kind};{}", encode(address));
        (value.len() <= MAX_ORCPT).then_some(value)
    }
}

/// RFC 6533 §3.
fn is_utf8(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("utf-8")
}

/// `atom = 1*<any CHAR except specials, SPACE and CTLs>`, but `+` and `=`, which parameters encode.
fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*-/?^_`{|}~".contains(&octet)
}

/// ENVID: what the sender knows the message by, RFC 3461 §4.4; decoded.
///
/// # Errors
/// It is empty, not `xtext` of printable ASCII, or too long.
pub fn envid_from_param(value: &str) -> Result<String, BadParam> {
    let fits = (1..=MAX_ENVID).contains(&value.len());
    xtext::decode(value).filter(|_| fits).ok_or(BadParam)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_is_never_or_a_list() {
        for (value, shown) in [
            ("NEVER", "NEVER"),
            ("never", "NEVER"),
            ("SUCCESS", "SUCCESS"),
            ("delay,Failure", "FAILURE,DELAY"),
            ("SUCCESS,FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"),
        ] {
            let notify: Notify = value.parse().unwrap();
            assert_eq!(notify.to_string(), shown);
            assert_eq!(shown.parse(), Ok(notify));
        }
        for bad in
            ["", ",", "SUCCESS,", "NEVER,SUCCESS", "DELAY,NEVER", "BOUNCE", "SUCCESS FAILURE"]
        {
            assert_eq!(bad.parse::<Notify>(), Err(BadParam), "{bad}");
        }
    }

    #[test]
    fn who_says_nothing_is_told_of_failures_and_delays() {
        let all = [DsnKind::Failed, DsnKind::Delayed, DsnKind::Delivered, DsnKind::Relayed];
        for (notify, expected) in [
            (None, [true, true, false, false]),
            (Some("NEVER"), [false; 4]),
            (Some("SUCCESS"), [false, false, true, true]),
            (Some("FAILURE"), [true, false, false, false]),
            (Some("DELAY"), [false, true, false, false]),
        ] {
            let params = RcptDsn { notify: notify.map(|it| it.parse().unwrap()), orcpt: None };
            assert_eq!(all.map(|kind| params.wants(kind)), expected, "{notify:?}");
        }
    }

    #[test]
    fn ret_is_full_or_headers() {
        assert_eq!("full".parse(), Ok(Ret::Full));
        assert_eq!("HDRS".parse(), Ok(Ret::Headers));
        assert_eq!("HEADERS".parse::<Ret>(), Err(BadParam));
    }

    #[test]
    fn envid_is_short_and_printable() {
        assert_eq!(envid_from_param("QQ314+2B159").as_deref(), Ok("QQ314+159"));
        assert!(envid_from_param(&"x".repeat(100)).is_ok());
        for bad in [String::new(), "x".repeat(101), "+0A".into(), "é".into(), "a b".into()] {
            assert_eq!(envid_from_param(&bad), Err(BadParam), "{bad}");
        }
    }

    #[test]
    fn original_recipients_come_and_go() {
        for (value, text) in [
            ("rfc822;bob@b.example", "rfc822;bob@b.example"),
            ("RFC822;b+2Bc+3Dd@b.example", "RFC822;b+c=d@b.example"),
            ("rfc822;\"a+20b\"@b.example", "rfc822;\"a b\"@b.example"),
            ("x400;/S=", ""),
            ("x400;/S+3Dbob", "x400;/S=bob"),
            (r"utf-8;\x{E9}@b.example", "utf-8;é@b.example"),
        ] {
            let read = OriginalRecipient::from_param(value);
            if text.is_empty() {
                assert_eq!(read, Err(BadParam), "{value}");
                continue;
            }
            let read = read.unwrap();
            assert_eq!(read.as_str(), text);
            assert_eq!(read.to_param().as_deref(), Some(value));
        }
        assert_eq!(OriginalRecipient::from_param("utf-8;é@b").unwrap().as_str(), "utf-8;é@b");
        let long = format!("rfc822;{}", "x".repeat(493));
        assert!(OriginalRecipient::from_param(&long).is_ok());
        for bad in
            ["", "rfc822", "rfc822;", ";bob@b", "rfc 822;bob@b", "rfc822;é@b", "rfc822;+0D@b"]
        {
            assert_eq!(OriginalRecipient::from_param(bad), Err(BadParam), "{bad}");
        }
        assert_eq!(OriginalRecipient::from_param(&(long + "x")), Err(BadParam));
        // Longer when it is encoded: rather nothing than a command that no server takes.
        let short = format!("utf-8;{}", "é".repeat(100));
        assert_eq!(OriginalRecipient::from_param(&short).unwrap().to_param(), None);
    }

    #[test]
    fn the_recipient_itself_is_the_original_one() {
        let param = |address| OriginalRecipient::of(address).to_param().unwrap();
        assert_eq!(param("bob@b.example"), "rfc822;bob@b.example");
        assert_eq!(param("b+c=d@b.example"), "rfc822;b+2Bc+3Dd@b.example");
        assert_eq!(param("é+x@b.example"), r"utf-8;\x{E9}\x{2B}x@b.example");
        assert_eq!(OriginalRecipient::of("é@b").address(), Some("é@b"));
        assert_eq!(OriginalRecipient::from_text("x400;/S=bob").address(), None);
    }
}
