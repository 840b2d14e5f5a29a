//! The header of a message, field by field, for those who want to look at it.

use crate::{encoded_word, message::header_fields, text::printable};

/// A header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// As written.
    pub name: String,
    /// Unfolded and decoded.
    pub value: String,
}

/// The first `most` fields, in order.
pub fn fields(header: &[u8], most: usize) -> Vec<Field> {
    let field = |(name, value): (&str, &[u8])| {
        let value = printable(&encoded_word::decode_text(value));
        Field { name: name.to_owned(), value: value.trim().to_owned() }
    };
    header_fields(header).take(most).map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_unfolded_and_decoded() {
        let header = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\tan alle\r\nX-A:\r\nno field\r\nX-B: \x01b\r\nX-A: 2\r\n\r\n";
        let fields = fields(header, 3);
        let shown: Vec<(&str, &str)> =
            fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
        assert_eq!(shown, [("Subject", "Grüße an alle"), ("X-A", ""), ("X-B", "\u{fffd}b")]);
    }
}
