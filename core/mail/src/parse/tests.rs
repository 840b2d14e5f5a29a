//! Messages of the kinds a mail store meets.

use super::*;

fn kinds(part: &Part) -> Vec<(String, String)> {
    let mut all = vec![(part.path.clone(), part.content_type.clone())];
    all.extend(part.children.iter().flat_map(kinds));
    all
}

fn shown(all: &[(String, String)]) -> Vec<(&str, &str)> {
    all.iter().map(|(path, kind)| (path.as_str(), kind.as_str())).collect()
}

const NESTED: &str = "From: a@b\r\nSubject: Re: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n\
preamble\r\n--o\r\nContent-Type: multipart/alternative; boundary=\"oo\"\r\n\r\n\
--oo\r\n\r\nplain text\r\n--oo\r\nContent-Type: text/html; charset=iso-8859-1\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>caf=E9</p>\r\n--oo--\r\nepilogue\r\n\
--o\r\nContent-Type: message/rfc822\r\n\r\nFrom: x@y\r\nSubject: inner\r\n\
Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\none\r\n--i\r\n\
Content-Type: application/pdf; name=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n--i--\r\n\
--o\r\nContent-Disposition: attachment; filename*=utf-8''%C3%A9.txt\r\nContent-ID: <c@d>\r\n\r\nfile\r\n--o--\r\nend\r\n";

#[test]
fn structure_with_paths_and_offsets() {
    let mail = ParsedMail::parse(NESTED.as_bytes());
    assert_eq!(
        shown(&kinds(&mail.structure)),
        [
            ("", "multipart/mixed"),
            ("1", "multipart/alternative"),
            ("1.1", "text/plain"),
            ("1.2", "text/html"),
            ("2", "message/rfc822"),
            ("2.TEXT", "multipart/mixed"),
            ("2.1", "text/plain"),
            ("2.2", "application/pdf"),
            ("3", "text/plain"),
        ]
    );
    let decoded = |path: &str| {
        let part = find_part(&mail.structure, path).unwrap();
        assert_eq!(decode_part(NESTED.as_bytes(), part).len(), part.decoded_size, "{path}");
        decode_part(NESTED.as_bytes(), part)
    };
    assert_eq!(decoded("1.1"), b"plain text");
    assert_eq!(decoded("1.2"), b"<p>caf\xe9</p>");
    assert_eq!(decoded("2.2"), b"%PDF");
    assert_eq!(decoded("3"), b"file");
    let inner = find_part(&mail.structure, "2").unwrap();
    assert_eq!(inner.envelope.as_ref().unwrap().subject.as_deref(), Some("inner"));
    let header = inner.header_offset..inner.header_offset + inner.header_length;
    assert_eq!(NESTED.get(header), Some("Content-Type: message/rfc822\r\n\r\n"));
    assert!(find_part(&mail.structure, "9").is_none());
    let json = serde_json::to_string(&mail).unwrap();
    assert_eq!(serde_json::from_str::<ParsedMail>(&json).unwrap(), mail);
}

#[test]
fn what_a_reader_wants() {
    let mail = ParsedMail::parse(NESTED.as_bytes());
    assert_eq!(mail.text.as_deref(), Some("plain text"));
    assert_eq!(mail.html.as_deref(), Some("<p>café</p>"));
    assert_eq!(mail.preview, "plain text");
    let files: Vec<_> =
        mail.attachments.iter().map(|a| (a.path.as_str(), a.filename.as_deref())).collect();
    assert_eq!(files, [("2", None), ("3", Some("é.txt"))]);
    assert_eq!((mail.base_subject.as_str(), mail.is_reply_or_forward), ("outer", true));
    assert!(!mail.list && !mail.automated && !mail.is_dsn);
}

#[test]
fn simple_and_broken_messages() {
    for (message, path, kind, text) in [
        ("From: a@b\r\n\r\nhi\r\n", "1", "text/plain", Some("hi\n")),
        ("\r\nhi", "1", "text/plain", Some("hi")),
        ("", "1", "text/plain", Some("")),
        ("no header at all", "1", "text/plain", Some("")),
        ("Content-Type: multipart/mixed\r\n\r\nx", "1", "application/octet-stream", None),
        (
            "Content-Type: multipart/mixed; boundary=b\r\n\r\nx",
            "1",
            "application/octet-stream",
            None,
        ),
        ("Content-Type: rubbish\r\n\r\nx", "1", "application/octet-stream", None),
        (
            "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n--b\r\n",
            "1",
            "application/octet-stream",
            None,
        ),
        ("Content-Type: TEXT/HTML\n\n<b>x", "1", "text/html", None),
        ("\r\na\0b", "1", "text/plain", Some("a\u{fffd}b")),
    ] {
        let mail = ParsedMail::parse(message.as_bytes());
        assert_eq!(
            (mail.structure.path.as_str(), mail.structure.content_type.as_str()),
            (path, kind),
            "{message:?}"
        );
        assert_eq!(mail.text.as_deref(), text, "{message:?}");
    }
    let mail = ParsedMail::parse(b"Content-Type: text/html\r\n\r\n<p>Hello <b>there</b></p>");
    assert_eq!(mail.preview, "Hello there");
}

#[test]
fn boundary_tricks() {
    let outer_ends_inner = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\
        Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\r\nx\r\n--a\r\n\r\ny\r\n--abc\r\n--a-- \r\n";
    let mail = ParsedMail::parse(outer_ends_inner.as_bytes());
    assert_eq!(
        shown(&kinds(&mail.structure)),
        [
            ("", "multipart/mixed"),
            ("1", "multipart/mixed"),
            ("1.1", "text/plain"),
            ("2", "text/plain")
        ]
    );
    let last = find_part(&mail.structure, "2").unwrap();
    assert_eq!(decode_part(outer_ends_inner.as_bytes(), last), b"y\r\n--abc");
    let header_only = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: image/png\r\n--a\r\n--a--";
    let mail = ParsedMail::parse(header_only.as_bytes());
    assert_eq!(
        shown(&kinds(&mail.structure)),
        [("", "multipart/mixed"), ("1", "image/png"), ("2", "text/plain")]
    );
    let digest = "Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\nSubject: in\r\n\r\nx\r\n--a--";
    let mail = ParsedMail::parse(digest.as_bytes());
    assert_eq!(
        shown(&kinds(&mail.structure)),
        [("", "multipart/digest"), ("1", "message/rfc822"), ("1.1", "text/plain")]
    );
    assert_eq!(
        mail.structure.children[0].envelope.as_ref().unwrap().subject.as_deref(),
        Some("in")
    );
}

#[test]
fn kinds_of_mail() {
    for (header, list, automated, dsn) in [
        ("List-Id: <x>", true, true, false),
        ("List-Unsubscribe: <x>", false, true, false),
        ("Precedence: bulk", false, true, false),
        ("Precedence: list", true, true, false),
        ("Auto-Submitted: no", false, false, false),
        ("Auto-Submitted: auto-generated", false, true, false),
        (
            "Content-Type: multipart/report; report-type=delivery-status; boundary=b",
            false,
            true,
            true,
        ),
        (
            "Content-Type: multipart/report; report-type=feedback-report; boundary=b",
            false,
            true,
            false,
        ),
    ] {
        let mail = ParsedMail::parse(format!("{header}\r\n\r\n--b\r\n\r\nx\r\n--b--").as_bytes());
        assert_eq!((mail.list, mail.automated, mail.is_dsn), (list, automated, dsn), "{header}");
    }
}

/// THREATS 8: nesting and counts stop at the budgets.
#[test]
fn budgets() {
    let deep = "Content-Type: message/rfc822\r\n\r\n".repeat(1000);
    let mail = ParsedMail::parse(deep.as_bytes());
    let (mut depth, mut part) = (1, &mail.structure);
    while let Some(child) = part.children.first() {
        (depth, part) = (depth + 1, child);
    }
    assert_eq!(depth, MAX_DEPTH);
    let json = serde_json::to_string(&mail).unwrap();
    assert_eq!(serde_json::from_str::<ParsedMail>(&json).unwrap(), mail);

    let wide = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
        "--b\r\n\r\nx\r\n".repeat(5000)
    );
    let mail = ParsedMail::parse(wide.as_bytes());
    assert_eq!(mail.structure.children.len(), MAX_PARTS - 1);
    let same = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(1000);
    let mail = ParsedMail::parse(same.as_bytes());
    assert!(kinds(&mail.structure).len() <= MAX_PARTS);
    let huge = format!("\r\n{}", "é".repeat(MAX_TEXT));
    let mail = ParsedMail::parse(huge.as_bytes());
    assert_eq!(mail.text.unwrap().len(), MAX_TEXT);
    assert_eq!(mail.preview.chars().count(), MAX_PREVIEW);
}
