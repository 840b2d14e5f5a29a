//! Drafts composed and parsed back, and the injection matrix.

use proptest::prelude::*;
use time::macros::datetime;

use super::*;
use crate::{
    address::Address,
    message::{has_bare_cr_or_lf, header_fields, inspect, split_header},
    parse::{ParsedMail, Part, decode_part, find_part},
};

fn draft() -> Draft {
    let mut draft = Draft::new(NamedAddress::parse("Alice <alice@example.org>").unwrap());
    draft.to = vec![NamedAddress::parse("bob@example.net").unwrap()];
    draft.text = Some("Hello".to_owned());
    draft
}

fn written(draft: &Draft) -> Vec<u8> {
    let faults = draft.faults();
    assert!(faults.is_empty(), "{faults:?}");
    let now = datetime!(2026-11-21 11:00:00 UTC);
    let message = compose(draft, now, "<default@example.org>", "posthouse/0.1.0");
    assert!(!has_bare_cr_or_lf(&message) && message.ends_with(b"\r\n"));
    assert!(message.split(|&b| b == b'\n').all(|line| line.len() <= 999));
    message
}

fn names(message: &[u8]) -> Vec<&str> {
    let (header, _) = split_header(message).unwrap();
    header_fields(header).map(|(name, _)| name).collect()
}

fn file(name: &str, content: &[u8]) -> File {
    File { filename: Some(name.to_owned()), content: content.to_vec(), ..File::default() }
}

fn outline(part: &Part) -> String {
    let children: Vec<String> = part.children.iter().map(outline).collect();
    let kind = part.content_type.rsplit('/').next().unwrap();
    if children.is_empty() { kind.to_owned() } else { format!("{kind}({})", children.join(" ")) }
}

#[test]
fn a_simple_message() {
    let mut draft = draft();
    draft.headers = vec![("X-One".into(), "1".into()), ("X-Two".into(), "2".into())];
    draft.references = vec!["<a@x>".into(), "<b@x>".into()];
    assert_eq!(
        String::from_utf8(written(&draft)).unwrap(),
        "From: Alice <alice@example.org>\r\n\
         To: bob@example.net\r\n\
         Subject:\r\n\
         Date: Sat, 21 Nov 2026 11:00:00 +0000\r\n\
         Message-ID: <default@example.org>\r\n\
         References: <a@x> <b@x>\r\n\
         In-Reply-To: <b@x>\r\n\
         MIME-Version: 1.0\r\n\
         X-One: 1\r\n\
         X-Two: 2\r\n\
         User-Agent: posthouse/0.1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 7bit\r\n\
         \r\n\
         Hello\r\n"
    );
}

#[test]
fn order_and_defaults() {
    let mut draft = draft();
    draft.sender = Some(NamedAddress::parse("s@x.org").unwrap());
    draft.reply_to = vec![NamedAddress::parse("r@x.org").unwrap()];
    draft.cc = vec![NamedAddress::parse("c@x.org").unwrap()];
    draft.in_reply_to = Some("<q@x>".into());
    draft.message_id = Some("<own@x>".into());
    draft.headers = vec![("x-mailer".into(), "mine".into())];
    let message = written(&draft);
    let expected = "From Sender Reply-To To Cc Subject Date Message-ID References In-Reply-To \
        MIME-Version x-mailer Content-Type Content-Transfer-Encoding";
    assert_eq!(names(&message).join(" "), expected);
    let found = inspect(&message).unwrap();
    assert_eq!(found.message_id.as_deref(), Some("<own@x>"));
    assert_eq!(found.references, ["<q@x>"]);
}

type Change<'a> = &'a dyn Fn(&mut Draft);

#[test]
fn multiparts_only_where_needed() {
    let inline =
        || File { content_id: Some("<img@x>".into()), ..file("a.png", b"\x89PNG\r\n\x1a\n") };
    let attached = || file("a.pdf", b"%PDF-");
    let calendar =
        File { content_type: Some("text/calendar; method=REQUEST".into()), ..File::default() };
    let html = |draft: &mut Draft| draft.html = Some("<p>".into());
    let cases: [(&str, Change<'_>); 7] = [
        ("plain", &|_| {}),
        ("alternative(plain html)", &html),
        ("alternative(plain html calendar)", &|d| {
            html(d);
            d.alternatives = vec![calendar.clone()];
        }),
        ("mixed(plain pdf)", &|d| d.attachments = vec![attached()]),
        ("related(alternative(plain html) png)", &|d| {
            html(d);
            d.attachments = vec![inline()];
        }),
        ("mixed(related(alternative(plain html) png) pdf)", &|d| {
            html(d);
            d.attachments = vec![attached(), inline()];
        }),
        ("mixed(pdf)", &|d| {
            d.text = None;
            d.attachments = vec![attached()];
        }),
    ];
    for (expected, change) in cases {
        let mut draft = draft();
        change(&mut draft);
        let mail = ParsedMail::parse(&written(&draft));
        assert_eq!(outline(&mail.structure), expected);
    }
}

#[test]
fn files_survive() {
    let inner = "From: a@b\r\n\r\n--x\r\nÉ\r\n";
    let mut draft = draft();
    draft.html = Some("<img src=cid:img@x>".into());
    draft.attachments = vec![
        file("données \"1\".bin", &(0..=255).collect::<Vec<u8>>().repeat(9)),
        file("fwd.eml", inner.as_bytes()),
        file("broken.eml", b"a\rb"),
        File {
            content_id: Some("img@x".into()),
            content_type: Some("image/png".into()),
            ..file("i.png", b"")
        },
    ];
    let message = written(&draft);
    let mail = ParsedMail::parse(&message);
    let shown: Vec<_> = mail
        .attachments
        .iter()
        .map(|a| (a.filename.as_deref().unwrap(), a.content_type.as_str(), a.size, a.inline))
        .collect();
    assert_eq!(
        shown,
        [
            ("i.png", "image/png", 0, true),
            ("données \"1\".bin", "application/octet-stream", 2304, false),
            ("fwd.eml", "message/rfc822", inner.len(), false),
            ("broken.eml", "application/octet-stream", 3, false),
        ]
    );
    let part = find_part(&mail.structure, &mail.attachments[1].path).unwrap();
    assert_eq!(decode_part(&message, part), draft.attachments[0].content);
    let part = find_part(&mail.structure, &mail.attachments[2].path).unwrap();
    assert_eq!(decode_part(&message, part), inner.as_bytes());
    assert_eq!(part.envelope.as_ref().unwrap().from[0].email, "a@b");
    assert_eq!(mail.attachments[0].content_id.as_deref(), Some("img@x"));
}

#[test]
fn all_faults_at_once() {
    let mut draft = draft();
    draft.text = None;
    draft.subject = "a\r\nb".into();
    draft.headers = vec![
        ("Bcc\r\n".into(), "x".into()),
        ("a b".into(), "x".into()),
        (String::new(), "x".into()),
        ("X:".into(), "x".into()),
        ("bcc".into(), "x".into()),
        ("Content-Foo".into(), "x".into()),
        ("ARC-Seal".into(), "x".into()),
        ("X-Empty".into(), " ".into()),
        ("X-Long".into(), "x".repeat(1000)),
        ("X/~".into(), "a\nb".into()),
        ("X-Fine".into(), "<https://example.org/?a=b>, =?utf-8?q?=C3=A9?=\tx".into()),
    ];
    draft.message_id = Some("no-brackets@x".into());
    draft.references = vec!["<a@b>".into(), "<a b@c>".into()];
    draft.alternatives =
        vec![File { content_type: Some("multipart/mixed".into()), ..File::default() }];
    let faults: Vec<(String, &str)> =
        draft.faults().into_iter().map(|fault| (fault.pointer, fault.code)).collect();
    let expected = [
        ("/subject", "control_character"),
        ("/message_id", "malformed_message_id"),
        ("/references/1", "malformed_message_id"),
        ("/headers/Bcc\r\n", "invalid_header_name"),
        ("/headers/a b", "invalid_header_name"),
        ("/headers/", "invalid_header_name"),
        ("/headers/X:", "invalid_header_name"),
        ("/headers/bcc", "reserved_header"),
        ("/headers/Content-Foo", "reserved_header"),
        ("/headers/ARC-Seal", "reserved_header"),
        ("/headers/X-Empty", "empty_header"),
        ("/headers/X-Long", "too_long"),
        ("/headers/X~1~0", "control_character"),
        ("/alternatives/0/content_type", "invalid_content_type"),
        ("", "missing_body"),
    ];
    let expected = expected.map(|(pointer, code)| (pointer.to_owned(), code));
    assert_eq!(faults, expected);
}

type Set = fn(&mut Draft, String);

fn named(draft: &Draft, name: String) -> NamedAddress {
    NamedAddress { name: Some(name), address: draft.from.address.clone() }
}

/// Every text of the header of a draft.
const HEADER_TEXTS: [(&str, Set); 12] = [
    ("/from", |d, s| d.from = named(d, s)),
    ("/sender", |d, s| d.sender = Some(named(d, s))),
    ("/to/0", |d, s| d.to = vec![named(d, s)]),
    ("/cc/0", |d, s| d.cc = vec![named(d, s)]),
    ("/reply_to/0", |d, s| d.reply_to = vec![named(d, s)]),
    ("/subject", |d, s| d.subject = s),
    ("/headers/X-Foo", |d, s| {
        d.headers = vec![("X-Foo".into(), s)];
    }),
    ("/headers/List-Unsubscribe", |d, s| {
        d.headers = vec![("List-Unsubscribe".into(), format!("<https://x/{s}>"))];
    }),
    ("/headers/", |d, s| d.headers = vec![(s, "x".into())]),
    ("/message_id", |d, s| {
        d.message_id = Some(format!("<{s}@x>"));
    }),
    ("/in_reply_to", |d, s| {
        d.in_reply_to = Some(format!("<{s}@x>"));
    }),
    ("/references/0", |d, s| {
        d.references = vec![format!("<{s}@x>")];
    }),
];

/// Every text of its files.
const FILE_TEXTS: [(&str, Set); 4] = [
    ("/attachments/0/filename", |d, s| {
        d.attachments = vec![file(&s, b"")];
    }),
    ("/attachments/0/content_id", |d, s| {
        d.attachments = vec![File { content_id: Some(s), ..File::default() }];
    }),
    ("/attachments/0/content_type", |d, s| {
        let content_type = Some(format!("text/plain; name=\"{s}\""));
        d.attachments = vec![File { content_type, ..File::default() }];
    }),
    ("/alternatives/0/filename", |d, s| {
        d.alternatives = vec![file(&s, b"")];
    }),
];

/// THREATS 10: every text of a draft with everything that has ever broken out of a header.
#[test]
fn injection_matrix() {
    let payloads = [
        "\r\n",
        "\n",
        "\r",
        "\0",
        "\u{2028}",
        "\u{2029}",
        "\u{85}",
        "\u{b}",
        "\u{7f}",
        "=?utf-8?q?=0d=0a?=",
        "=?utf-8?b?DQo=?=",
        "=?utf-8?q?=00?=",
    ];
    for (pointer, set) in HEADER_TEXTS.into_iter().chain(FILE_TEXTS) {
        for payload in payloads {
            let mut draft = draft();
            set(&mut draft, format!("a{payload}Bcc: evil@example.org"));
            let faults = draft.faults();
            assert!(
                faults.iter().any(|f| f.pointer.starts_with(pointer)),
                "{pointer} {payload:?} {faults:?}"
            );
        }
        let mut draft = draft();
        set(&mut draft, "a".repeat(10 * 1024));
        assert!(draft.faults().iter().any(|f| f.pointer.starts_with(pointer)), "{pointer} long");
    }
}

/// Text as people and attackers write it, without what [`Draft::faults`] refuses.
fn header_text(longest: usize) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z0-9 .,;:<>()@\"\\\\/?=_-]{1,12}",
        2 => "[éäß日本語😀€]{1,20}",
        1 => Just("=?utf-8?q?=41?=".to_owned()),
        1 => Just("  ".to_owned()),
        1 => Just("=?".to_owned()),
        1 => "\\PC{1,8}",
    ];
    prop::collection::vec(piece, 0..longest).prop_map(|pieces| pieces.concat())
}

fn body_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z0-9 .=-]{1,40}",
        2 => Just("\n".to_owned()),
        1 => Just("\r\n".to_owned()),
        1 => Just(" \n".to_owned()),
        1 => Just("\r".to_owned()),
        1 => Just("\n--=_".to_owned()),
        1 => Just("\n.\n".to_owned()),
        1 => Just("x".repeat(1200)),
        1 => "[éäß日本語😀€\t]{1,40}",
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn expected_text(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn is_clean(text: &str) -> bool {
    !text.chars().any(crate::address::is_forbidden)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn composed_messages_parse_back(
        subject in header_text(60),
        name in header_text(20),
        value in header_text(30),
        filename in header_text(10),
        text in body_text(),
        html in prop::option::of(body_text()),
        content in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        prop_assume!([&subject, &name, &value, &filename].iter().all(|s| is_clean(s)));
        let mut draft = draft();
        draft.subject.clone_from(&subject);
        let address = Address::parse("bob@example.net").unwrap();
        draft.to = vec![NamedAddress::new(Some(&name), address.clone()).unwrap(), NamedAddress { name: None, address }];
        let name = draft.to[0].name.clone();
        draft.text = Some(text.clone());
        draft.html.clone_from(&html);
        draft.attachments = vec![File { content: content.clone(), ..file(&filename, b"") }];
        if !value.trim().is_empty() {
            draft.headers = vec![("X-Value".into(), value.clone())];
        }
        prop_assume!(draft.faults().is_empty());
        let message = written(&draft);
        prop_assert!(message.is_ascii());
        let extra = if draft.headers.is_empty() { "" } else { "X-Value " };
        let expected = format!("From To Subject Date Message-ID MIME-Version {extra}User-Agent Content-Type");
        prop_assert_eq!(names(&message).join(" "), expected);
        let mail = ParsedMail::parse(&message);
        prop_assert_eq!(mail.envelope.subject.as_deref(), Some(subject.as_str()));
        prop_assert_eq!(mail.envelope.to.len(), 2);
        prop_assert_eq!(&mail.envelope.to[0].name, &name);
        prop_assert_eq!(&mail.envelope.to[0].email, "bob@example.net");
        prop_assert_eq!(mail.text, Some(expected_text(&text)));
        prop_assert_eq!(mail.html, html.as_deref().map(expected_text));
        prop_assert_eq!(mail.attachments.len(), 1);
        let info = &mail.attachments[0];
        prop_assert_eq!(info.filename.as_deref().unwrap_or(""), filename.as_str());
        let part = find_part(&mail.structure, &info.path).unwrap();
        if !info.content_type.starts_with("message/") {
            prop_assert_eq!(decode_part(&message, part), content);
        }
    }

    #[test]
    fn one_text_parses_back(text in body_text()) {
        let mut draft = draft();
        draft.text = Some(text.clone());
        let mail = ParsedMail::parse(&written(&draft));
        let mut expected = expected_text(&text);
        if !expected.ends_with('\n') {
            expected.push('\n');
        }
        let found = mail.text.unwrap();
        prop_assert!(found == expected || (text.is_empty() && found.is_empty()), "{found:?} {expected:?}");
    }
}
