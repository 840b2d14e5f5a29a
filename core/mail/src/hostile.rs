//! Bytes nobody wrote on purpose: no parser panics, none takes more than linear time (THREATS 8 and 9).

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use time::macros::datetime;

use crate::{
    address::{Address, LocalPartRules, NamedAddress, parse_address_list, suppression_base},
    date, dkim, domain, encoded_word,
    message::{
        has_bare_cr_or_lf, header_fields, inspect, normalise_line_ends, split_header,
        strip_header_fields,
    },
    params,
    parse::{ParsedMail, Part, base_subject, decode_part},
    report::Report,
};

/// Pieces that mail is made of, so that random messages reach beyond the first line.
const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    " ",
    "\t",
    "--b",
    "--b--",
    "--",
    "From: ",
    "To: ",
    "Subject: ",
    "Date: ",
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "Content-Type: message/rfc822\r\n",
    "Content-Type: text/html; charset=utf-7\r\n",
    "Content-Type: text/plain; charset=utf-16\r\n",
    "Content-Type: text/plain; charset=iso-2022-jp\r\n",
    "Content-Type: multipart/digest; boundary=\"b\"\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "Content-Transfer-Encoding: quoted-printable\r\n",
    "Content-Disposition: attachment; filename*0*=utf-8''%",
    "=?utf-8?q?",
    "=?utf-16?b?",
    "?=",
    "=",
    "=3D",
    "%41",
    "<",
    ">",
    "@",
    ",",
    ";",
    ":",
    "\"",
    "\\",
    "(",
    ")",
    "*",
    "'",
    "[",
    "]",
    "Re: ",
    "[fwd: ",
    "(fwd)",
    "é",
    "\0",
    "Sat, 31 Feb 2026 25:61:99 +9999",
    "<p>",
    "<!--",
    "&#x110000;",
    "&amp",
    "<script",
    "+AGE-",
    "Content-Type: message/delivery-status\r\n\r\n",
    "Content-Type: message/feedback-report\r\n\r\n",
    "Final-Recipient: utf-8; \\x{",
    "Action: failed\r\n",
    "Original-Rcpt-To: ",
    "X-Failed-Recipients: a@b,",
    "From: MAILER-DAEMON@x\r\n",
    "Subject: failure notice\r\n\r\n",
    "<a@b>: 550 5.1.1 ",
    "--- Below this line is a copy of the message.",
    "\u{1b}$B",
];

fn mailish() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn walk(message: &[u8], part: &Part) {
    assert!(part.header_offset + part.header_length <= message.len());
    assert!(part.body_offset + part.body_length <= message.len());
    let size = decode_part(message, part).len();
    if !part.content_type.starts_with("multipart/") {
        assert_eq!(size, part.decoded_size);
    }
    part.children.iter().for_each(|child| walk(message, child));
}

fn try_everything(bytes: &[u8]) {
    let mail = ParsedMail::parse(bytes);
    walk(bytes, &mail.structure);
    let json = serde_json::to_string(&mail).unwrap();
    assert!(!json.contains("\\u0000"), "{json}");
    assert!(mail.preview.chars().count() <= 256);
    try_report(bytes, &mail);
    black_box(inspect(bytes).ok());
    black_box(has_bare_cr_or_lf(bytes));
    if let Ok(normal) = normalise_line_ends(bytes.to_vec()) {
        assert!(!has_bare_cr_or_lf(&normal));
    }
    black_box(parse_address_list(bytes));
    black_box(params::parse(bytes));
    black_box(date::parse(bytes));
    black_box(encoded_word::decode_text(bytes));
    black_box(dkim::body_hash(dkim::Canonicalization::Relaxed, bytes));
    black_box(dkim::body_hash(dkim::Canonicalization::Simple, bytes));
    black_box(header_fields(bytes).count());
    let stripped = strip_header_fields(bytes, &["To"]);
    if let Some((header, _)) = split_header(&stripped) {
        assert!(!header_fields(header).any(|(name, _)| name.eq_ignore_ascii_case("to")));
    }
    try_texts(&String::from_utf8_lossy(bytes));
}

fn try_report(bytes: &[u8], mail: &ParsedMail) {
    let Some(Report::Delivery(report)) = Report::read(bytes, mail) else { return };
    for recipient in &report.recipients {
        assert!(recipient.diagnostic.len() <= 3 * 1000, "replacements may be longer");
        assert!(!recipient.diagnostic.contains(['\r', '\n', '\0']));
    }
}

fn try_texts(text: &str) {
    black_box(base_subject(text));
    if let Ok(named) = NamedAddress::parse(text) {
        assert_eq!(NamedAddress::parse(&named.to_string()).unwrap(), named);
    }
    if let Ok(address) = Address::parse(text) {
        assert_eq!(Address::parse(&address.as_smtp()).unwrap(), address);
        let rules = LocalPartRules { separators: vec!["+".into()], case_sensitive: false };
        let canonical = rules.canonical(address.local());
        assert_eq!(rules.canonical(&canonical), canonical);
        black_box(suppression_base(&address, &rules.separators));
    }
    if let Ok(name) = domain::normalise(text) {
        assert_eq!(domain::normalise(&name).as_deref(), Ok(name.as_str()));
        assert_eq!(domain::normalise(&domain::to_unicode(&name)).as_deref(), Ok(name.as_str()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_panics_on_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        try_everything(&bytes);
    }

    #[test]
    fn nothing_panics_on_almost_mail(bytes in mailish()) {
        try_everything(&bytes);
    }

    /// A stored message is parsed without the fields that each recipient's copy has before it.
    #[test]
    fn fields_before_a_message_only_move_its_parts(message in mailish()) {
        let prefix = b"Return-Path: <>\r\nReceived: from a by b;\r\n\tMon, 1 Jan 2024 00:00:00 +0000\r\n";
        let whole = ParsedMail::parse(&[prefix, message.as_slice()].concat());
        let mut parsed = ParsedMail::parse(&message);
        parsed.structure = parsed.structure.behind(prefix.len());
        prop_assert_eq!(parsed, whole);
    }

    #[test]
    fn addresses_survive(text in "[a-zA-Z0-9.+\"\\\\ é@-]{1,20}@[a-zA-Z0-9.é例-]{1,20}") {
        try_texts(&text);
    }

    #[test]
    fn encoded_words_survive(text in "\\PC{0,200}", room in 0_usize..100) {
        let words = encoded_word::encode(&text, room);
        prop_assert!(words.iter().all(|word| word.len() <= 75));
        prop_assert_eq!(encoded_word::decode_str(&words.join("\r\n ")), text);
    }
}

/// The best of three runs.
fn time_of(input: &[u8], run: fn(&[u8])) -> Duration {
    let once = || {
        let start = Instant::now();
        run(input);
        start.elapsed()
    };
    once().min(once()).min(once())
}

#[test]
fn ten_times_the_input_takes_about_ten_times_as_long() {
    let all: fn(&[u8]) = |bytes| {
        black_box(Report::read(bytes, &ParsedMail::parse(bytes)));
        black_box(inspect(bytes).ok());
        black_box(parse_address_list(bytes));
        black_box(params::parse(bytes));
        black_box(encoded_word::decode_text(bytes));
        black_box(base_subject(&String::from_utf8_lossy(bytes)));
        black_box(header_fields(bytes).count());
        black_box(dkim::body_hash(dkim::Canonicalization::Relaxed, bytes));
    };
    let floods = [
        ("To: ", "a@b,"),
        ("To: ", "a@b,\r\n "),
        ("", "To: a@b\r\n"),
        ("To: ", "=?utf-8?q?"),
        ("To: ", "=?utf-8?q?a?= "),
        ("Subject: ", "=?u"),
        ("Subject: ", "Re: [x]"),
        ("To: ", "("),
        ("To: ", "\""),
        ("To: ", "<"),
        ("To: ", "\\"),
        ("To: ", "G:"),
        ("References: ", "<a@b> "),
        ("References: ", "<"),
        ("Content-Type: a/b", "; a*0=b"),
        ("Content-Type: a/b", "; a=\"b"),
        ("Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n"),
        (
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n",
            "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n",
        ),
        ("", "Content-Type: message/rfc822\r\n\r\n"),
        ("Content-Type: text/html\r\n\r\n", "<div><!--"),
        ("Content-Type: text/html\r\n\r\n", "&#"),
        ("\r\n", " \r\n"),
        ("Content-Type: message/delivery-status\r\n\r\n", "Final-Recipient: a\r\n\r\n"),
        ("Content-Type: message/delivery-status\r\n\r\n", "Action: \\x{\r\n \\x{"),
        ("Content-Type: message/feedback-report\r\n\r\n", "Original-Rcpt-To: a@b\r\n\r\n"),
        ("From: postmaster@x\r\nSubject: failure notice\r\n\r\n", "<a@b>:\r\n"),
        ("From: postmaster@x\r\nSubject: failure notice\r\n\r\n", "a@b... 550 "),
        ("X-Failed-Recipients: ", "a@b, "),
    ];
    for (start, unit) in floods {
        let input =
            |size: usize| [start.as_bytes(), &unit.as_bytes().repeat(size / unit.len())].concat();
        let ratio = || {
            let small = time_of(&input(30_000), all).max(Duration::from_millis(2));
            time_of(&input(300_000), all).as_secs_f64() / small.as_secs_f64()
        };
        // Others may have had the processor meanwhile; what takes the square takes it each time.
        assert!((0..4).any(|_| ratio() < 30.0), "{start:?} {unit:?}");
    }
}

#[test]
fn signing_survives_odd_headers() {
    let der = dkim::SigningKey::generate_ed25519().unwrap();
    let key = dkim::SigningKey::from_pkcs8(dkim::Algorithm::Ed25519Sha256, &der).unwrap();
    let signer = dkim::Signer { domain: "x".into(), selector: "y".into(), key: key.into() };
    let now = datetime!(2026-01-01 00:00:00 UTC);
    for header in
        [&b""[..], b"From", b"From:", b"From: a\r\n \r\n\t", b"\xff: x", b"From: a\r\nFrom : b"]
    {
        for form in [dkim::Canonicalization::Relaxed, dkim::Canonicalization::Simple] {
            let settings = dkim::Settings { header: form, body: form, ..Default::default() };
            let signers = std::slice::from_ref(&signer);
            assert!(dkim::sign(signers, header, b"", now, &settings).is_ok());
        }
    }
}
