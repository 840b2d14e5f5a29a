//! Patterns in which `*` stands for any characters, also none. Nothing else is special.

/// Whether `text` matches `pattern`; both are to be of one case.
///
/// Each piece between stars is looked for once, from where the one before ended: the first place
/// is never worse than a later one, so nothing is tried twice and the time is linear.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    /// The definition, character by character.
    fn defined(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skipped| defined(rest, &text[skipped..])),
            Some((first, rest)) => text.first() == Some(first) && defined(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn it_is_what_the_definition_says(pattern in "[abé*]{0,7}", text in "[abé]{0,9}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), defined(&chars(&pattern), &chars(&text)));
        }

        #[test]
        fn stars_may_stand_for_anything(pieces in prop::collection::vec("[a-z@.]{0,4}", 1..6), between in "\\PC{0,5}") {
            prop_assert!(matches(&pieces.join("*"), &pieces.join(&between)));
        }
    }

    #[test]
    fn addresses_match() {
        for (pattern, text) in [
            ("support@example.test", "support@example.test"),
            ("*@example.test", "anybody@example.test"),
            ("support+*@example.test", "support+42@example.test"),
            ("support*@*.test", "support@example.test"),
            ("*", ""),
            ("**", "a"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("support@example.test", "support@example.test2"),
            ("*@example.test", "anybody@sub.example.test"),
            ("*@example.test", "anybody@example.test.evil.test"),
            ("ab*ba", "aba"),
            ("support+*@example.test", "support@example.test"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn the_time_is_linear() {
        let pattern = format!("{}b", "*a".repeat(150));
        let time = |length: usize| {
            let text = "a".repeat(length);
            let started = Instant::now();
            assert!(!matches(&pattern, &text));
            started.elapsed()
        };
        time(1000);
        // What tries again and again would never end.
        assert!(time(4_000_000).as_secs() < 5);
    }
}
