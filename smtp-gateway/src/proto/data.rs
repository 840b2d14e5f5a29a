//! Reading a message after 354: dots unstuffed, the end found, RFC 5321 §4.5.2.
//!
//! Only CRLF `.` CRLF ends a message (A12). A bare CR or LF makes the message unacceptable, but it
//! is still read to its end, so that nothing in it can pass for commands (SMTP smuggling).

use bytes::BytesMut;

/// Why a message that was read to its end cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A CR that no LF follows.
    BareCr,
    /// An LF that no CR precedes.
    BareLf,
    /// More octets than allowed.
    TooLarge,
    /// The server has no room for it at the moment.
    NoRoom,
}

/// Where in the text the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    Line,
    /// After a CR that does not follow a lone dot.
    Cr,
    /// After a dot at the start of a line.
    Dot,
    /// After a dot and a CR at the start of a line.
    DotCr,
    End,
}

/// Takes the octets after DATA, in pieces of any size.
#[derive(Debug)]
pub struct DataReader {
    place: Place,
    limit: usize,
    received: u64,
    /// Octets of the message so far.
    length: usize,
    /// Those that were not taken yet.
    piece: BytesMut,
    fault: Option<Fault>,
}

impl DataReader {
    /// At the start of a message of at most `limit` octets.
    pub fn new(limit: usize) -> Self {
        let piece = BytesMut::new();
        Self { place: Place::LineStart, limit, received: 0, length: 0, piece, fault: None }
    }

    /// Reads from `input` and says how many octets belonged to the message.
    pub fn push(&mut self, input: &[u8]) -> usize {
        let mut rest = input;
        while self.place != Place::End {
            let Some((first, after)) = rest.split_first() else {
                break;
            };
            if self.place == Place::Line {
                let end = rest.iter().position(|octet| matches!(octet, b'\r' | b'\n'));
                let (run, after) = rest.split_at(end.unwrap_or(rest.len()));
                self.keep(run);
                rest = after;
                let Some((first, after)) = rest.split_first() else {
                    break;
                };
                self.octet(*first);
                rest = after;
                continue;
            }
            self.octet(*first);
            rest = after;
        }
        let read = input.len().saturating_sub(rest.len());
        self.received = self.received.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        read
    }

    fn octet(&mut self, octet: u8) {
        self.place = match (self.place, octet) {
            (Place::End, _) | (Place::DotCr, b'\n') => Place::End,
            (Place::Cr, b'\n') => {
                self.keep(b"\r\n");
                Place::LineStart
            }
            (Place::LineStart, b'.') => Place::Dot,
            (Place::Dot, b'\r') => Place::DotCr,
            (Place::LineStart | Place::Line, b'\r') => Place::Cr,
            (Place::Cr | Place::DotCr, b'\r') => {
                self.refuse(Fault::BareCr);
                Place::Cr
            }
            (Place::Cr | Place::DotCr, _) => {
                self.refuse(Fault::BareCr);
                Place::Line
            }
            (_, b'\n') => {
                self.refuse(Fault::BareLf);
                Place::Line
            }
            (_, octet) => {
                self.keep(&[octet]);
                Place::Line
            }
        };
    }

    fn keep(&mut self, octets: &[u8]) {
        if self.fault.is_some() {
            return;
        }
        self.length = self.length.saturating_add(octets.len());
        if self.length > self.limit {
            return self.refuse(Fault::TooLarge);
        }
        self.piece.extend_from_slice(octets);
    }

    /// Reads on without keeping anything, and refuses the message with `fault`.
    pub fn refuse(&mut self, fault: Fault) {
        if self.fault.is_none() {
            self.fault = Some(fault);
            self.piece = BytesMut::new();
        }
    }

    /// The end of the message has been read.
    pub fn ended(&self) -> bool {
        self.place == Place::End
    }

    /// What was read since this was last asked; nothing of a message that is refused.
    pub fn take(&mut self) -> BytesMut {
        self.piece.split()
    }

    /// Nothing of the message is wanted any more.
    pub const fn is_refused(&self) -> bool {
        self.fault.is_some()
    }

    /// Octets read, stuffing included.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// What is wrong with the message, if something is.
    ///
    /// # Errors
    /// The first fault.
    pub fn finish(self) -> Result<(), Fault> {
        self.fault.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads `parts` as they come; gives the message and what is left over.
    fn read(parts: &[&[u8]]) -> (bool, Result<Vec<u8>, Fault>, Vec<u8>) {
        let mut reader = DataReader::new(1000);
        let (mut message, mut left) = (Vec::new(), Vec::new());
        for part in parts {
            let used = reader.push(part);
            message.extend_from_slice(&reader.take());
            left.extend_from_slice(&part[used..]);
        }
        (reader.ended(), reader.finish().map(|()| message), left)
    }

    fn at_every_border(wire: &[u8], check: impl Fn(bool, Result<Vec<u8>, Fault>, Vec<u8>)) {
        for cut in 0..=wire.len() {
            let (a, b) = wire.split_at(cut);
            let (ended, message, left) = read(&[a, b]);
            check(ended, message, left);
        }
        let single: Vec<&[u8]> = wire.chunks(1).collect();
        let (ended, message, left) = read(&single);
        check(ended, message, left);
    }

    #[test]
    fn messages_are_unstuffed() {
        let cases: &[(&[u8], &[u8])] = &[
            (b".\r\n", b""),
            (b"a\r\n.\r\n", b"a\r\n"),
            (b"..\r\n..a\r\n.\r\n", b".\r\n.a\r\n"),
            (b"\r\n\r\n.\r\n", b"\r\n\r\n"),
            (b".a\r\n.\r\n", b"a\r\n"),
            (b"a\r\n\r\n..\r\nb\r\n.\r\n", b"a\r\n\r\n.\r\nb\r\n"),
            (b"\0\xff\r\n.\r\n", b"\0\xff\r\n"),
        ];
        for (wire, expected) in cases {
            at_every_border(wire, |ended, message, left| {
                assert!(ended && left.is_empty(), "{wire:?}");
                assert_eq!(message.as_deref(), Ok(*expected), "{wire:?}");
            });
        }
    }

    /// THREATS 1: each candidate, at every border, followed by what a smuggler would send.
    #[test]
    fn only_crlf_dot_crlf_ends_a_message() {
        let candidates: &[(&[u8], Option<Fault>)] = &[
            (b"\n.\n", Some(Fault::BareLf)),
            (b"\r\n.\n", Some(Fault::BareLf)),
            (b"\n.\r\n", Some(Fault::BareLf)),
            (b"\r.\r", Some(Fault::BareCr)),
            (b"\r.\r\n", Some(Fault::BareCr)),
            (b"\r\n.\r", Some(Fault::BareCr)),
            (b"\n\r.\r\n", Some(Fault::BareLf)),
            (b"\r\n.\r\r\n", Some(Fault::BareCr)),
            (b"\r\n\0.\r\n", None),
            (b"\r\n.\0\r\n", None),
            (b"\r\n. \r\n", None),
            (b"\r\n..\r\n", None),
            (b"\r\n.\r\0\n", Some(Fault::BareCr)),
            (b"\x85.\x85", None),
            (b"\r\n.\x0b\r\n", None),
        ];
        for (candidate, fault) in candidates {
            let mut open = b"Subject: x\r\n\r\na".to_vec();
            open.extend_from_slice(candidate);
            open.extend_from_slice(b"MAIL FROM:<smuggled@example.com>\r\n");
            at_every_border(&open, |ended, _, left| {
                assert!(!ended && left.is_empty(), "{candidate:?}");
            });
            let mut closed = open.clone();
            closed.extend_from_slice(b".\r\nQUIT\r\n");
            at_every_border(&closed, |ended, message, left| {
                assert!(ended && left == b"QUIT\r\n", "{candidate:?}");
                assert_eq!(message.err(), *fault, "{candidate:?}");
            });
        }
    }

    #[test]
    fn large_messages_are_read_but_not_kept() {
        let mut reader = DataReader::new(10);
        assert_eq!(reader.push(b"12345678\r\n"), 10);
        assert_eq!(reader.take().as_ref(), b"12345678\r\n");
        assert!(!reader.is_refused());
        assert_eq!(reader.push(b"9\r\n.\r\nNOOP\r\n"), 6);
        assert_eq!((reader.take().len(), reader.is_refused()), (0, true));
        assert_eq!((reader.received(), reader.ended()), (16, true));
        assert_eq!(reader.finish(), Err(Fault::TooLarge));
    }

    fn serialise(message: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        for line in message.split_inclusive(|octet| *octet == b'\n') {
            if line.first() == Some(&b'.') {
                wire.push(b'.');
            }
            wire.extend_from_slice(line);
        }
        wire.extend_from_slice(b".\r\n");
        wire
    }

    fn lines() -> impl Strategy<Value = Vec<u8>> {
        let octet = prop_oneof![Just(b'.'), Just(0), any::<u8>()]
            .prop_filter("no line ends", |octet| !matches!(octet, b'\r' | b'\n'));
        proptest::collection::vec(proptest::collection::vec(octet, 0..6), 0..20).prop_map(|lines| {
            lines.into_iter().flat_map(|line| [line, b"\r\n".to_vec()].concat()).collect()
        })
    }

    proptest! {
        #[test]
        fn any_message_is_read_as_it_was_written(message in lines(), cut in 0..200_usize) {
            let mut wire = serialise(&message);
            wire.extend_from_slice(b"QUIT\r\n");
            let (a, b) = wire.split_at(cut.min(wire.len()));
            let (ended, read, left) = read(&[a, b]);
            prop_assert!(ended);
            prop_assert_eq!(read.unwrap(), message);
            prop_assert_eq!(left, b"QUIT\r\n");
        }

        #[test]
        fn any_octets_end_where_crlf_dot_crlf_is(
            octets in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..60)
        ) {
            let mut wire = b"\r\n".to_vec();
            wire.extend_from_slice(&octets);
            let end = wire.windows(5).position(|five| five == b"\r\n.\r\n");
            let mut reader = DataReader::new(1000);
            let used = reader.push(&octets);
            prop_assert_eq!(reader.ended(), end.is_some());
            prop_assert_eq!(used, end.map_or(octets.len(), |at| at + 3));
        }
    }
}
