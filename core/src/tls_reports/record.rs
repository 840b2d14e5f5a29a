//! The TXT record at `_smtp._tls` (RFC 8460 §3): where reports about a domain go.

use percent_encoding::percent_decode_str;
use posthouse_mail::address::Address;
use url::Url;

/// What such a record begins with; others are none of our business.
const VERSION: &str = "v=TLSRPTv1";
/// Addresses of a record that count.
const MOST: usize = 5;
/// Octets of an address.
const LONGEST: usize = 500;

/// Where a report is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// By mail.
    Mail(Address),
    /// By HTTPS.
    Post(Url),
}

/// An address of a record, as it stands there, and what it means; none: nothing of ours.
pub(super) type Rua = (String, Option<Target>);

/// The addresses, if there is exactly one record and it is well-formed.
///
/// ```text
/// tlsrpt-record    = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]
/// field-delim      = *WSP ";" *WSP
/// tlsrpt-field     = tlsrpt-rua / tlsrpt-extension
/// tlsrpt-rua       = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)
/// ```
pub(super) fn addresses(records: &[String]) -> Option<Vec<Rua>> {
    let is_ours = |text: &&String| {
        let rest = text.strip_prefix(VERSION).map(|rest| rest.trim_start_matches(WSP));
        rest.is_some_and(|rest| rest.starts_with(';'))
    };
    let mut ours = records.iter().filter(is_ours);
    let (record, None) = (ours.next()?, ours.next()) else { return None };
    let mut fields = record.split(';').skip(1).map(|field| field.trim_matches(WSP));
    let rua = fields.find_map(|field| field.strip_prefix("rua="))?;
    let uris = rua.split(',').map(|uri| uri.trim_matches(WSP)).take(MOST);
    Some(uris.filter(|uri| !uri.is_empty()).map(|uri| (uri.to_owned(), target(uri))).collect())
}

const WSP: [char; 2] = [' ', '\t'];

/// What an address means (RFC 6068, RFC 8615); schemes are in any case (RFC 3986 §3.1).
fn target(uri: &str) -> Option<Target> {
    if uri.len() > LONGEST || !uri.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let (scheme, rest) = uri.split_once(':')?;
    if scheme.eq_ignore_ascii_case("mailto") {
        let to = rest.split_once('?').map_or(rest, |(to, _)| to);
        let to = percent_decode_str(to).decode_utf8().ok()?;
        return Address::parse(&to).ok().map(Target::Mail);
    }
    let url: Url = uri.parse().ok()?;
    let is_good = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    is_good.then_some(Target::Post(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(records: &[&str]) -> Option<Vec<String>> {
        let records: Vec<String> = records.iter().map(|text| (*text).to_owned()).collect();
        let show = |(uri, target): Rua| match target {
            None => format!("- {uri}"),
            Some(Target::Mail(to)) => format!("mail {to}"),
            Some(Target::Post(url)) => format!("post {url}"),
        };
        addresses(&records).map(|all| all.into_iter().map(show).collect())
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        for (record, found) in [
            ("v=TLSRPTv1;rua=mailto:reports@example.com", vec!["mail reports@example.com"]),
            (
                "v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt",
                vec!["post https://reporting.example.com/v1/tlsrpt"],
            ),
            (
                "v=TLSRPTv1 ; new=1;\trua=MAILTO:a%2Bb@Example.com?subject=x , HTTPS://x.test/ ;",
                vec!["mail a+b@example.com", "post https://x.test/"],
            ),
        ] {
            assert_eq!(read(&[record]).unwrap(), found, "{record}");
            assert_eq!(read(&["v=spf1 -all", record]).unwrap(), found, "{record}");
        }
    }

    #[test]
    fn what_is_no_address_of_ours_is_not_used() {
        let record = "v=TLSRPTv1;rua=http://x.test,ftp:x,mailto:,,https://u:p@x.test,mailto:x@y";
        let shown = read(&[record]).unwrap();
        assert_eq!(shown[..3], ["- http://x.test", "- ftp:x", "- mailto:"]);
        assert!(shown[3..].iter().all(|text| text != "post https://u:p@x.test/"), "{shown:?}");
        let many = format!("v=TLSRPTv1;rua={}", "mailto:a@b.test,".repeat(50));
        assert_eq!(read(&[&many]).unwrap().len(), MOST);
        let long = format!("v=TLSRPTv1;rua=https://x.test/{}", "x".repeat(LONGEST));
        assert!(read(&[&long]).unwrap()[0].starts_with('-'));
    }

    #[test]
    fn two_records_or_a_malformed_one_are_none() {
        let good = "v=TLSRPTv1;rua=mailto:a@b.test";
        assert_eq!(read(&[good, good]), None);
        for record in [
            "",
            "v=TLSRPTv1",
            "v=TLSRPTv1;",
            "v=TLSRPTv10;rua=mailto:a@b.test",
            "rua=mailto:a@b.test",
            "v=tlsrptv1;rua=mailto:a@b.test",
            " v=TLSRPTv1;rua=mailto:a@b.test",
            "v=TLSRPTv1;RUA=mailto:a@b.test",
            "v=TLSRPTv1;x=rua=mailto:a@b.test",
        ] {
            assert_eq!(read(&[record]), None, "{record}");
        }
    }
}
