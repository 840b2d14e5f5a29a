//! Making DKIM-Signature fields, RFC 6376 §5.

use base64::{Engine, engine::general_purpose::STANDARD};
use time::{Duration, OffsetDateTime};

use super::{Canonicalization, KeyError, Settings, Signer, canonical::body_hash};
use crate::message::{field_of, header_fields};

/// Fields that are signed when present; RFC 8058 §4 wants the List ones signed, lists may add their own.
const SIGNED_IF_PRESENT: &[&str] = &[
    "Sender",
    "Content-Transfer-Encoding",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "TLS-Required",
    "TLS-Report-Domain",
    "TLS-Report-Submitter",
];

/// The DKIM-Signature fields of all signers, folded and with their CRLF, to be put before the message.
///
/// `header` is the whole header, `body` what follows the empty line, both with CRLF line ends. The body is
/// hashed once.
///
/// # Errors
/// When a key fails to sign.
pub fn sign(
    signers: &[Signer],
    header: &[u8],
    body: &[u8],
    now: OffsetDateTime,
    settings: &Settings,
) -> Result<Vec<u8>, KeyError> {
    let mut out = Vec::with_capacity(1024 * signers.len());
    if signers.is_empty() {
        return Ok(out);
    }
    let (names, canonical) = signed_fields(header, settings);
    let body_hash = body_hash(settings.body, body);
    let signed_at = now.unix_timestamp();
    let times = match now.checked_add(settings.expires_in) {
        Some(end) if settings.expires_in > Duration::ZERO => {
            format!("t={signed_at}; x={}", end.unix_timestamp())
        }
        _ => format!("t={signed_at}"),
    };
    let forms = (settings.header, settings.body);
    for signer in signers {
        let field = unsigned_field(signer, forms, &[&times, &names, &body_hash]);
        let mut text = canonical.clone();
        let line = [b"DKIM-Signature:", field.as_bytes()].concat();
        settings.header.field("DKIM-Signature", field.as_bytes(), &line, &mut text);
        let signature = STANDARD.encode(signer.key.sign(&text)?);
        out.extend_from_slice(&line);
        write_folded(&signature, &mut out);
    }
    Ok(out)
}

/// The value of `h=` with its folds, and the signed fields in canonical form.
fn signed_fields(header: &[u8], settings: &Settings) -> (String, Vec<u8>) {
    let mut fields = Vec::new();
    let mut lines = header_fields(header);
    while let Some(line) = lines.next_line() {
        fields.extend(field_of(line).map(|(name, value)| (name, value, line)));
    }
    let mut names = FoldedNames::default();
    let mut canonical = Vec::with_capacity(2048);
    let mut add = |name: &str, oversign: bool| {
        // RFC 6376 §5.4.2: several fields of one name are taken from the bottom up.
        for (written, value, line) in
            fields.iter().rev().filter(|(n, ..)| n.eq_ignore_ascii_case(name))
        {
            names.push(name);
            settings.header.field(written, value, line, &mut canonical);
            canonical.extend_from_slice(b"\r\n");
        }
        if oversign {
            names.push(name);
        }
    };
    for name in &settings.oversigned {
        add(name, true);
    }
    let is_over = |name: &str| settings.oversigned.iter().any(|one| one.eq_ignore_ascii_case(name));
    for name in SIGNED_IF_PRESENT.iter().filter(|name| !is_over(name)) {
        add(name, false);
    }
    (names.text, canonical)
}

/// Names with colons, folded at 72 columns; RFC 6376 §3.5 allows folds around the colons.
#[derive(Default)]
struct FoldedNames {
    text: String,
    column: usize,
}

impl FoldedNames {
    fn push(&mut self, name: &str) {
        if !self.text.is_empty() {
            self.text.push(':');
            self.column += 1;
        }
        if self.column + name.len() > 68 {
            self.text.push_str("\r\n\t ");
            self.column = 0;
        }
        self.text.push_str(name);
        self.column += name.len();
    }
}

/// The value of the field with an empty `b=`.
fn unsigned_field(
    signer: &Signer,
    (header, body): (Canonicalization, Canonicalization),
    [times, names, body_hash]: &[&str; 3],
) -> String {
    format!(
        " v=1; a={}; c={}/{};\r\n\td={}; s={};\r\n\t{times};\r\n\th={names};\r\n\tbh={body_hash};\r\n\tb=",
        signer.key.algorithm().as_str(),
        header.as_str(),
        body.as_str(),
        signer.domain,
        signer.selector,
    )
}

fn write_folded(signature: &str, out: &mut Vec<u8>) {
    for (at, chunk) in signature.as_bytes().chunks(72).enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\r\n\t ");
        }
        out.extend_from_slice(chunk);
    }
    out.extend_from_slice(b"\r\n");
}
