//! Text from messages, made harmless.

/// Text fit for JSON, databases and logs: control characters replaced.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            // White space that the grammar allows; what shows it wants a space.
            '\t' => ' ',
            c if crate::address::is_forbidden(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}
