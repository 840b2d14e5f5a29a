//! Making the words of strangers harmless before they stand in a report.

/// Longest text of a remote server that is kept.
const MAX_TEXT: usize = 1000;

/// One line without control characters, not too long; in ASCII unless `utf8`.
pub(super) fn clean(text: &str, utf8: bool) -> String {
    let mut out = String::new();
    let mut words = text.split(|c: char| c.is_whitespace() || crate::address::is_forbidden(c));
    for word in words.by_ref().filter(|word| !word.is_empty()) {
        if out.len() > MAX_TEXT {
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        let room = MAX_TEXT.saturating_sub(out.len());
        let cut = word.get(..word.floor_char_boundary(room)).unwrap_or("");
        out.extend(cut.chars().map(|c| if utf8 || c.is_ascii() { c } else { '?' }));
    }
    out.trim_end().to_owned()
}

/// RFC 3463 §2: `status-code = ("2"/"4"/"5") "." 1*3digit "." 1*3digit`
pub(crate) fn is_status(status: &str) -> bool {
    let mut pieces = status.split('.');
    let class = pieces.next().is_some_and(|class| matches!(class, "2" | "4" | "5"));
    let number = |piece: Option<&str>| {
        piece.is_some_and(|n| (1..=3).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()))
    };
    class && number(pieces.next()) && number(pieces.next()) && pieces.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans() {
        assert_eq!(clean("550 no\r\nBcc: x\u{1b}[31m\0 é", false), "550 no Bcc: x [31m ?");
        assert_eq!(clean("é\u{2028}x", true), "é x");
        assert!(clean(&"x".repeat(5000), false).len() <= MAX_TEXT);
        assert!(clean(&"x ".repeat(5000), false).len() <= MAX_TEXT + 1);
        assert!(is_status("5.1.1") && is_status("4.7.123"));
        assert!(!is_status("5.1") && !is_status("5.1.1\r\nX: y") && !is_status("3.1.1"));
    }
}
