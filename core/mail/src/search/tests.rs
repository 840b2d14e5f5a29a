//! What people type, and the words of mails.

use proptest::prelude::*;
use time::{OffsetDateTime, macros::datetime};

use super::*;
use crate::parse::ParsedMail;

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

fn read(text: &str) -> Query {
    parse(text, NOW).unwrap()
}

/// The words alone, without the filters.
fn shown(text: &str) -> String {
    read(text).to_string()
}

#[test]
fn words_and_operators() {
    for (text, meaning) in [
        ("invoice", "\"invoice\""),
        ("two words", "(\"two\" \"words\")"),
        ("\"two words\"", "\"two words\""),
        ("a -b", "(\"a\" -\"b\")"),
        ("a NOT b", "(\"a\" -\"b\")"),
        ("a OR b c", "(\"a\" OR (\"b\" \"c\"))"),
        ("(a | b) c", "((\"a\" OR \"b\") \"c\")"),
        ("from:bob", "from:\"bob\""),
        ("FROM:\"Bob B\"", "from:\"Bob B\""),
        ("to:(bob OR carol)", "(to:\"bob\" OR to:\"carol\")"),
        ("-subject:x*", "-subject:\"x\"*"),
        ("has:attachments", "has:attachment"),
        ("has:pdf -is:list", "(has:pdf -has:list)"),
        ("is:unread", "-is:seen"),
        ("-is:starred in:Work", "-is:flagged in:\"Work\""),
        ("label:Todo", "keyword:\"todo\""),
        ("before:2026-01-31", "before:2026-01-31T00:00:00Z"),
        ("after:2026/1/5", "after:2026-01-05T00:00:00Z"),
        ("-after:2026-01-01T10:00:00+02:00", "before:2026-01-01T10:00:00+02:00"),
        ("newer_than:2w", "after:2026-11-07T12:00:00Z"),
        ("larger:10M smaller:1GB", "larger:10485760 smaller:1073741824"),
        ("-larger:9", "smaller:10"),
        ("http://x.test/a 10:30", "(\"http://x.test/a\" \"10:30\")"),
        ("from: subject:", ""),
        ("--a", "\"a\""),
        ("((a) \"b", "(\"a\" \"b\")"),
        ("a) b", "(\"a\" \"b\")"),
        ("!!! - OR | NOT", ""),
        ("", ""),
    ] {
        assert_eq!(shown(text), meaning, "{text}");
    }
}

#[test]
fn what_cannot_be_meant_is_told() {
    for text in [
        "is:purple",
        "has:fun",
        "before:tomorrow",
        "before:2026-02-30",
        "after:26-01-01",
        "larger:ten",
        "larger:99999999999999999999G",
        "older_than:5",
        "a OR is:unread",
        "-(a in:x)",
    ] {
        assert_eq!(parse(text, NOW).unwrap_err().len(), 1, "{text}");
    }
    assert_eq!(parse("is:x before:y", NOW).unwrap_err().len(), 2);
    assert!(parse(&"a ".repeat(MAX_QUERY), NOW).is_err());
    assert!(parse(&"a ".repeat(101), NOW).is_err());
    assert!(parse(&"(".repeat(MAX_QUERY), NOW).is_ok());
}

fn words_of(text: &str) -> Vec<String> {
    words::Tokens::new(text).collect()
}

#[test]
fn words_are_compared_without_case_and_accents() {
    for (text, words) in [
        ("Crème BRÛLÉE", "creme brulee"),
        ("Straße STRASSE", "strasse strasse"),
        ("Łódź, Ærø", "lodz aero"),
        ("don't e-mail", "don t e mail"),
        ("ﬁle x² ＡＢＣ", "file x2 abc"),
        ("soft\u{ad}hyphen zero\u{200b}width", "softhyphen zerowidth"),
        ("ΟΔΟΣ οδος", "οδοσ οδοσ"),
        ("Ёлка", "елка"),
        ("日本語", "日本 本語 語"),
        ("日本語abc", "日本 本語 語 abc"),
        ("ガ ｶﾞ", "ガ ガ"),
        ("한국어", "한국 국어 어"),
        ("हिन्दी", "हिन्दी"),
    ] {
        assert_eq!(words_of(text).join(" "), words, "{text}");
    }
    assert_eq!(words_of(&"x".repeat(1000)), ["x".repeat(40)]);
}

/// Whether the index of a mail has the words of a leaf one after the other.
fn has(words: &Words, leaf: &Leaf) -> bool {
    let fits = |word: &str, index: usize| {
        let is_last = index + 1 == leaf.words.len();
        if leaf.prefix && is_last {
            word.starts_with(&leaf.words[index])
        } else {
            word == leaf.words[index]
        }
    };
    let all: Vec<_> = words.iter().filter(|(field, ..)| *field == leaf.field).collect();
    all.iter().any(|(_, word, start)| {
        fits(word, 0)
            && (1..leaf.words.len()).all(|index| {
                all.iter().any(|(_, word, at)| *at == start + index && fits(word, index))
            })
    })
}

fn finds(mail: &ParsedMail, text: &str) -> bool {
    let words = index(mail);
    match read(text).words.unwrap() {
        Expr::Leaf(leaf) => has(&words, &leaf),
        Expr::And(items) => {
            items.iter().all(|item| matches!(item, Expr::Leaf(leaf) if has(&words, leaf)))
        }
        other => panic!("{other}"),
    }
}

const MAIL: &str = "From: Bob Müller <Bob@Mail.Example.test>\r\nTo: alice@here.test\r\nCc: carol@here.test\r\n\
Subject: Your invoice\r\nList-Id: <x>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hello <b>there</b>, 日本語</p><style>hidden</style>\r\n\
--b\r\nContent-Type: application/octet-stream; name=\"Report 2026.PDF\"\r\n\
Content-Disposition: attachment\r\n\r\nx\r\n--b--\r\n";

#[test]
fn a_mail_is_found_by_what_it_says() {
    let mail = ParsedMail::parse(MAIL.as_bytes());
    for text in [
        "invoice",
        "subject:INVOICE",
        "muller",
        "from:bob",
        "from:bob@mail.example.test",
        "bob@MAIL.example.test",
        "from:@mail.example.test",
        "from:example.test",
        "from:bob@mail*",
        "to:carol",
        "cc:carol@here.test",
        "to:alice",
        "alice@here.test",
        "\"hello there\"",
        "\"your invoice\"",
        "inv*",
        "report",
        "filename:2026",
        "filename:2026.pdf",
        "has:pdf",
        "has:attachment",
        "is:list",
        "日本語",
        "日本",
        "本語",
        "日",
        "語",
        "there 日本",
    ] {
        assert!(finds(&mail, text), "{text}");
    }
    for text in [
        "from:alice",
        "to:bob",
        "cc:alice",
        "subject:hello",
        "\"there hello\"",
        "\"invoice bob\"",
        "hidden",
        "has:image",
        "is:dsn",
        "inv",
        "日語",
        "from:test@mail.example.test",
        "filename:hello",
    ] {
        assert!(!finds(&mail, text), "{text}");
    }
}

#[test]
fn words_of_a_mail_are_bounded() {
    let many = (0..100_000).fold(String::new(), |text, n| text + &format!("w{n} "));
    let addresses = "a@b.test, ".repeat(50_000);
    let mail = format!("To: {addresses}\r\nSubject: x\r\n\r\n{many}");
    let words = index(&ParsedMail::parse(mail.as_bytes()));
    assert!(words.size() < 400_000, "{}", words.size());
    assert!(words.iter().all(|(_, word, at)| at < 16_383 && word.len() <= 254));
    assert!(words.iter().any(|(_, word, _)| word == "w0"));
}

proptest! {
    #[test]
    fn any_query_is_read_and_spelled_again(text in query()) {
        if let Ok(query) = parse(&text, NOW) {
            let spelled = query.to_string();
            if spelled.len() <= MAX_QUERY {
                let again = parse(&spelled, NOW).unwrap();
                prop_assert_eq!(again.to_string(), spelled.clone(), "{} {}", text, spelled);
                prop_assert_eq!(again, query, "{}", spelled);
            }
        }
    }

    #[test]
    fn any_text_is_found_by_its_own_words(text in "\\PC{1,60}", wanted in 0_usize..8) {
        let mail = ParsedMail { text: Some(text.clone()), ..ParsedMail::default() };
        let words = index(&mail);
        let parts: Vec<&str> = text.split(['"', ' ']).filter(|part| !part.is_empty()).collect();
        if let Some(part) = parts.get(wanted)
            && let Some(leaf) = parse::leaf(Field::Any, part, false)
            && !leaf.words[0].contains('@')
        {
            prop_assert!(has(&words, &leaf), "{:?} {:?}", part, leaf);
        }
    }
}

fn query() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z日本é]{1,4}",
        2 => Just(" ".to_owned()),
        2 => prop::sample::select(vec![
            "-", "(", ")", "\"", "*", "|", " OR ", " AND ", " NOT ", "from:", "has:pdf", "is:read",
            "in:a", "keyword:b", "before:2026-01-01", "larger:1k", ":", "@", ".", "older_than:1d",
        ]).prop_map(str::to_owned),
        1 => "\\PC{1,3}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}
