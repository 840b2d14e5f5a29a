//! Comma-separated values (RFC 4180), read and written in bounded memory.
//!
//! A text that a spreadsheet would take for a formula is written with an apostrophe before it, which
//! reading takes away again (CWE-1236): what stands in our lists comes from other servers.

/// Octets of one row.
const MAX_ROW: usize = 16 * 1024;
/// What makes a spreadsheet calculate; and the apostrophe, so that reading is the exact inverse.
const RISKY: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\''];

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowFault {
    /// A quote where none may be, or none where one must be.
    BadQuote,
    /// It has more than 16 KiB.
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
}

impl RowFault {
    /// Stable code.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::BadQuote => "malformed_row",
            Self::TooLong => "too_long",
            Self::NotUtf8 => "not_utf8",
        }
    }

    /// For people.
    pub(crate) const fn detail(self) -> &'static str {
        match self {
            Self::BadQuote => "quotes stand around a whole field, and are doubled within",
            Self::TooLong => "a row has at most 16384 octets",
            Self::NotUtf8 => "the text is not UTF-8",
        }
    }
}

/// A row, and the line on which it begins, from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub line: u64,
    pub fields: Result<Vec<String>, RowFault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    /// After a quote within quotes: the end of the field, or half of a quote.
    Quote,
}

/// Reads rows from pieces of a text.
pub(crate) struct Reader {
    state: State,
    field: Vec<u8>,
    /// The field had quotes around it.
    quoted: bool,
    fields: Vec<String>,
    octets: usize,
    fault: Option<RowFault>,
    line: u64,
    start: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            state: State::FieldStart,
            field: Vec::new(),
            quoted: false,
            fields: Vec::new(),
            octets: 0,
            fault: None,
            line: 1,
            start: 1,
        }
    }
}

impl Reader {
    /// Reads on; rows that are complete are added to `rows`. Empty lines are no rows.
    pub(crate) fn push(&mut self, text: &[u8], rows: &mut Vec<Row>) {
        for &byte in text {
            if byte == b'\n' {
                self.line += 1;
            }
            match (self.state, byte) {
                (State::FieldStart | State::Plain | State::Quote, b'\n') => {
                    rows.extend(self.end_row());
                }
                (State::FieldStart | State::Plain | State::Quote, b',') => self.end_field(),
                (State::FieldStart, b'"') => (self.state, self.quoted) = (State::Quoted, true),
                (State::Quoted, b'"') => self.state = State::Quote,
                (State::Quoted, _) => self.keep(byte),
                (State::Quote, b'"') => {
                    self.state = State::Quoted;
                    self.keep(byte);
                }
                // The first half of the line end.
                (State::Quote, b'\r') => {}
                (State::Plain, b'"') | (State::Quote, _) => self.fail(RowFault::BadQuote),
                (State::FieldStart | State::Plain, _) => {
                    self.state = State::Plain;
                    self.keep(byte);
                }
            }
        }
    }

    /// The last row, if the text does not end with a line end.
    pub(crate) fn finish(mut self) -> Option<Row> {
        if self.state == State::Quoted {
            self.fail(RowFault::BadQuote);
        }
        self.end_row()
    }

    fn keep(&mut self, byte: u8) {
        self.octets += 1;
        if self.octets > MAX_ROW {
            self.fail(RowFault::TooLong);
            // A quote that nobody closed: go on with the next line.
            self.state = State::Plain;
        } else if self.fault.is_none() {
            self.field.push(byte);
        }
    }

    /// What is left of the row is skipped.
    fn fail(&mut self, fault: RowFault) {
        self.fault.get_or_insert(fault);
        self.field.clear();
        self.fields.clear();
    }

    fn end_field(&mut self) {
        self.state = State::FieldStart;
        self.octets += 1;
        let field = std::mem::take(&mut self.field);
        self.quoted = false;
        if self.octets > MAX_ROW {
            self.fail(RowFault::TooLong);
        } else if self.fault.is_none() {
            match String::from_utf8(field) {
                Ok(field) => self.fields.push(field),
                Err(_) => self.fail(RowFault::NotUtf8),
            }
        }
    }

    fn end_row(&mut self) -> Option<Row> {
        if !self.quoted && self.field.last() == Some(&b'\r') {
            self.field.pop();
        }
        let is_empty = !self.quoted && self.field.is_empty() && self.fields.is_empty();
        self.end_field();
        self.octets = 0;
        let line = std::mem::replace(&mut self.start, self.line);
        let mut fields = std::mem::take(&mut self.fields);
        let fault = self.fault.take();
        if is_empty && fault.is_none() {
            return None;
        }
        if line == 1
            && let Some(first) = fields.first_mut()
            && let Some(rest) = first.strip_prefix('\u{feff}')
        {
            *first = rest.to_owned();
        }
        Some(Row { line, fields: fault.map_or(Ok(fields), Err) })
    }
}

/// The text that [`write_row`] was given.
pub(crate) fn plain(field: &str) -> &str {
    field.strip_prefix('\'').filter(|rest| rest.starts_with(RISKY)).unwrap_or(field)
}

/// Adds a row to `out`.
pub(crate) fn write_row(fields: &[&str], out: &mut String) {
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let quoted = field.contains([',', '"', '\r', '\n', ';'])
            || field.starts_with(char::is_whitespace)
            || field.ends_with(char::is_whitespace);
        if quoted {
            out.push('"');
        }
        if field.starts_with(RISKY) {
            out.push('\'');
        }
        if quoted {
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(field);
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = Vec<(u64, Result<Vec<String>, RowFault>)>;

    /// The rows, whatever pieces the text comes in.
    fn read(text: &[u8]) -> Read {
        let pieces = |size: usize| {
            let (mut reader, mut rows) = (Reader::default(), Vec::new());
            text.chunks(size).for_each(|piece| reader.push(piece, &mut rows));
            rows.extend(reader.finish());
            rows.into_iter().map(|row| (row.line, row.fields)).collect::<Read>()
        };
        let rows = pieces(1);
        for size in [2, 3, 7, 100_000] {
            assert_eq!(pieces(size), rows);
        }
        rows
    }

    fn fields(fields: &[&str]) -> Vec<String> {
        fields.iter().map(|field| (*field).to_owned()).collect()
    }

    #[test]
    fn rows_are_read_with_their_lines() {
        let text = "\u{feff}a,b\r\n\r\n\"x,\"\"y\"\"\r\nz\",\r\n1,2\n,\n\"\"\nlast";
        let expected = [
            (1, Ok(fields(&["a", "b"]))),
            (3, Ok(fields(&["x,\"y\"\r\nz", ""]))),
            (5, Ok(fields(&["1", "2"]))),
            (6, Ok(fields(&["", ""]))),
            (7, Ok(fields(&[""]))),
            (8, Ok(fields(&["last"]))),
        ];
        assert_eq!(read(text.as_bytes()), expected);
        assert_eq!(read(b""), []);
        assert_eq!(read(b"\"a\"\r\n"), [(1, Ok(fields(&["a"])))]);
    }

    #[test]
    fn a_bad_row_does_not_spoil_the_next() {
        let text = b"a\"b,c\nd\n\"e\"f,g\nh\n\xff\ni\n\"open";
        let expected = [
            (1, Err(RowFault::BadQuote)),
            (2, Ok(fields(&["d"]))),
            (3, Err(RowFault::BadQuote)),
            (4, Ok(fields(&["h"]))),
            (5, Err(RowFault::NotUtf8)),
            (6, Ok(fields(&["i"]))),
            (7, Err(RowFault::BadQuote)),
        ];
        assert_eq!(read(text), expected);
        for long in ["x".repeat(20_000), format!("\"{}", "x".repeat(20_000)), ",".repeat(20_000)] {
            let rows = read(format!("{long}\nnext\n").as_bytes());
            assert_eq!(rows, [(1, Err(RowFault::TooLong)), (2, Ok(fields(&["next"])))]);
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_is_no_formula() {
        let texts = [
            "plain",
            "",
            "a,b",
            "\"q\"",
            "two\r\nlines",
            " edge ",
            "=1+2",
            "+x@a.example",
            "-1",
            "@SUM(A1)",
            "\tx",
            "'=x",
            "'plain",
            "''",
            "x'y",
            ";=1",
        ];
        let mut out = String::new();
        write_row(&texts, &mut out);
        let rows = read(out.as_bytes());
        let row = rows[0].1.clone().unwrap();
        for (field, text) in row.iter().zip(texts) {
            assert_eq!(plain(field), text);
            assert!(!field.starts_with(['=', '+', '-', '@', '\t', '\r']), "{field:?}");
        }
        assert_eq!((row.len(), rows.len()), (texts.len(), 1));
    }
}
