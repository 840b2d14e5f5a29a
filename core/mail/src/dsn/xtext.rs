//! `xtext` of RFC 3461 §4, and the form of addresses beyond ASCII of RFC 6533 §3.

use crate::address::is_forbidden;

/// Printable ASCII as it stands in a parameter; octets beyond that cannot be decoded again.
///
/// `xtext = *( xchar / hexchar )`
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'+' | b'=' | 0..=b' ' | 127.. => out.extend(['+', digit(octet >> 4), digit(octet)]),
            _ => out.push(char::from(octet)),
        }
    }
    out
}

/// What `xtext` says, when that is printable ASCII, as ENVID and ORCPT have to be (RFC 3461 §4.2,
/// §4.4).
///
/// `xchar = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="`
/// `hexchar = ASCII "+" immediately followed by two upper case hexadecimal digits`
pub(super) fn decode(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        let said = match octet {
            b'+' => (value(rest.next()?)? << 4) | value(rest.next()?)?,
            b'=' => return None,
            b'!'..=b'~' => octet,
            _ => return None,
        };
        if !matches!(said, b' '..=b'~') {
            return None;
        }
        out.push(char::from(said));
    }
    Some(out)
}

/// An address in ASCII, whatever is in it.
///
/// `utf-8-addr-xtext = 1*(QCHAR / EmbeddedUnicodeChar)`
pub(super) fn encode_utf8(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_qchar(c) {
            out.push(c);
        } else {
            out.extend(["\\x{", &format!("{:02X}", u32::from(c)), "}"]);
        }
    }
    out
}

/// What either form of RFC 6533 says: in ASCII, or with UTF-8 as it is (`utf-8-addr-unitext`).
///
/// `EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"`
pub(super) fn decode_utf8(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let said = if let Some(tail) = rest.strip_prefix("\\x{") {
            let (point, tail) = tail.split_once('}')?;
            rest = tail;
            hexpoint(point)?
        } else {
            rest = rest.strip_prefix(c)?;
            Some(c).filter(|c| is_qchar(*c) || !c.is_ascii())?
        };
        if is_forbidden(said) {
            return None;
        }
        out.push(said);
    }
    Some(out)
}

/// A code point that cannot stand for itself: 2 to 6 digits, without needless zeros.
fn hexpoint(digits: &str) -> Option<char> {
    let is_short = matches!(digits.len(), 2..=6) && !digits.starts_with('0');
    let is_hex = digits.bytes().all(|octet| value(octet).is_some());
    let point = u32::from_str_radix(digits, 16).ok().filter(|_| is_short && is_hex)?;
    char::from_u32(point).filter(|c| !is_qchar(*c))
}

/// Printable ASCII but space, `\`, `+` and `=`.
fn is_qchar(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '\\' | '+' | '=')
}

/// The lower half of an octet as an upper case digit.
fn digit(octet: u8) -> char {
    char::from_digit(u32::from(octet & 15), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

/// The value of an upper case digit.
const fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn xtext_is_what_the_rfc_says() {
        assert_eq!(encode("b+c=d e@x"), "b+2Bc+3Dd+20e@x");
        assert_eq!(decode("b+2Bc+3Dd+20e@x").as_deref(), Some("b+c=d e@x"));
        assert_eq!(decode("+41"), Some("A".to_owned()), "more may be encoded than has to be");
        for bad in ["+", "+2", "+2b", "+G0", "a=b", "a b", "é", "+00", "+0D", "+7F", "+C3+A9"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn addresses_beyond_ascii_have_two_forms() {
        assert_eq!(encode_utf8("é +@ü.test"), r"\x{E9}\x{20}\x{2B}@\x{FC}.test");
        let both = [r"\x{E9}\x{2B}@\x{FC}.test", r"é\x{2B}@ü.test"];
        for form in both {
            assert_eq!(decode_utf8(form).as_deref(), Some("é+@ü.test"), "{form}");
        }
        assert_eq!(decode_utf8(r"\x{1F600}").as_deref(), Some("😀"));
        for bad in [
            "+",
            "=",
            r"\",
            r"\x",
            r"\x{}",
            r"\x{E9",
            r"\x{e9}",
            r"\x{41}",
            r"\x{00E9}",
            r"\x{0A}",
            r"\x{D800}",
            r"\x{110000}",
            r"\x{1234567}",
            r"\x{7F}",
            r"\x{2028}",
            "a b",
            "\u{85}",
        ] {
            assert_eq!(decode_utf8(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printable_comes_back(text in "[ -~]{0,100}") {
            let coded = encode(&text);
            prop_assert!(coded.bytes().all(|b| b.is_ascii_graphic() && b != b'='));
            prop_assert_eq!(decode(&coded), Some(text.clone()));
            prop_assert_eq!(decode_utf8(&encode_utf8(&text)), Some(text));
        }

        #[test]
        fn what_is_no_control_character_comes_back(text in "\\PC{0,60}") {
            prop_assume!(!text.chars().any(is_forbidden));
            let coded = encode_utf8(&text);
            prop_assert!(coded.bytes().all(|b| b.is_ascii_graphic() && b != b'='));
            prop_assert_eq!(decode_utf8(&coded), Some(text));
        }

        #[test]
        fn anything_is_read_and_what_is_read_is_harmless(text in any::<String>()) {
            for said in [decode(&text), decode_utf8(&text)].into_iter().flatten() {
                prop_assert!(!said.chars().any(is_forbidden));
            }
            if let Some(said) = decode(&text) {
                prop_assert!(encode(&said).len() <= text.len());
            }
        }
    }
}
