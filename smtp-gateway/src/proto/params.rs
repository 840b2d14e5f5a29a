//! Parameters of MAIL and RCPT, RFC 5321 §4.1.1.11: `esmtp-keyword ["=" esmtp-value]`.

use std::collections::HashSet;

use posthouse_mail::dsn::{MailDsn, RcptDsn};

use super::Reply;

/// What the parameters of MAIL say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailParams {
    /// SIZE: how large the client thinks the message is.
    pub size: Option<u64>,
    /// BODY=8BITMIME.
    pub eight_bit: bool,
    /// SMTPUTF8.
    pub smtputf8: bool,
    /// REQUIRETLS.
    pub requiretls: bool,
    /// RET and ENVID.
    pub dsn: MailDsn,
}

/// What the parameters of RCPT say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RcptParams {
    /// NOTIFY and ORCPT.
    pub dsn: RcptDsn,
}

/// One parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    /// Keyword as the client wrote it.
    pub key: &'a str,
    /// Value; none without `=`.
    pub value: Option<&'a str>,
}

/// Splits what follows a path. A keyword that stands twice is refused (A7).
pub(super) fn parse(text: &str) -> Result<Vec<Param<'_>>, Reply> {
    let mut seen = HashSet::new();
    text.split([' ', '\t'])
        .filter(|word| !word.is_empty())
        .map(|word| {
            let param = param(word).ok_or_else(|| Reply::bad_argument("Malformed parameter"))?;
            if seen.insert(param.key.to_ascii_uppercase()) {
                Ok(param)
            } else {
                Err(Reply::bad_argument("Parameter given twice"))
            }
        })
        .collect()
}

fn param(word: &str) -> Option<Param<'_>> {
    let (key, value) = word.split_once('=').map_or((word, None), |(key, value)| (key, Some(value)));
    let key_fine = key.starts_with(|c: char| c.is_ascii_alphanumeric())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let value_fine = value.is_none_or(|value| !value.is_empty() && !value.contains('='));
    (key_fine && value_fine).then_some(Param { key, value })
}

/// 555: nobody knows this parameter.
pub(super) fn unknown() -> Reply {
    Reply::new(555, "5.5.4", "Unknown parameter")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_split() {
        let params = parse(" SIZE=1  x-Y \tBODY=7BIT").unwrap();
        let pairs: Vec<_> = params.iter().map(|param| (param.key, param.value)).collect();
        assert_eq!(pairs, [("SIZE", Some("1")), ("x-Y", None), ("BODY", Some("7BIT"))]);
        assert_eq!(parse("").unwrap(), []);
        for bad in ["=1", "SIZE=", "A=b=c", "-a", "a_b", "SIZE=1 size=2", "é"] {
            assert_eq!(parse(bad).unwrap_err().code(), 501, "{bad}");
        }
    }
}
