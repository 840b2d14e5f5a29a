//! Texts for people, such as descriptions: one line, not too long.

use crate::error::FieldError;

const MAX_CHARS: usize = 500;

/// What is wrong with the `text` at `pointer`.
pub(crate) fn fault(pointer: &str, code: &'static str, text: &str) -> Option<FieldError> {
    let is_good = text.chars().count() <= MAX_CHARS && !text.chars().any(char::is_control);
    let detail = format!("expected at most {MAX_CHARS} characters, none of control");
    (!is_good).then(|| FieldError::new(pointer, code, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stand_in_one_line() {
        let fault = |text: &str| fault("/a", "invalid_text", text).is_some();
        for good in ["", "Grüße 🎉", &"ü".repeat(500)] {
            assert!(!fault(good), "{good}");
        }
        for bad in ["a\0", "a\nb", "\u{7f}", "\u{85}", &"u".repeat(501)] {
            assert!(fault(bad), "{bad:?}");
        }
    }
}
