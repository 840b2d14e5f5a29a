//! Every field against everything that breaks out of a header (THREATS 10).

use serde_json::{Value, json};

use super::*;
use crate::{
    extract::{Parsed, parse_json, survives_wrong_types},
    problem::Problem,
};

fn base() -> Value {
    json!({"from": "Alice <alice@example.test>", "to": ["bob@example.net"], "subject": "Hi",
           "text": "Hello"})
}

fn read(text: &str) -> Parsed<input::NewMessage> {
    parse_json(text.as_bytes()).unwrap()
}

/// Converts, with the faults that the composer finds; the core adds those of its own.
fn convert_all(input: input::NewMessage) -> (NewMessage, Vec<FieldError>) {
    let Converted { new, mut faults, single } = convert(input, Vec::new());
    let Content::Composed(draft) = &new.content else { panic!("not composed") };
    for fault in draft.faults() {
        faults.push(single.fit(FieldError::new(fault.pointer, fault.code, fault.detail)));
    }
    (new, faults)
}

fn checked(value: &Value) -> Result<NewMessage, Problem> {
    let input = read(&value.to_string()).whole(Vec::new(), |input| convert_all(input).1)?;
    let (new, faults) = convert_all(input);
    if faults.is_empty() { Ok(new) } else { Err(Problem::invalid(faults)) }
}

/// Pointers and codes of all faults in a text, in order of the pointers.
fn faults(text: &str) -> Vec<(String, String)> {
    let problem = read(text).whole(Vec::new(), |input| convert_all(input).1).unwrap_err();
    let told = problem.told().into_iter();
    let mut told: Vec<_> = told.map(|(pointer, code)| (pointer, code.to_owned())).collect();
    told.sort();
    told
}

fn pointers(value: &Value) -> Vec<String> {
    let told = checked(value).err().map(|problem| problem.told()).unwrap_or_default();
    told.into_iter().map(|(pointer, _)| pointer).collect()
}

#[test]
fn addresses_may_be_strings_or_objects_or_lists() {
    let mut value = base();
    value["to"] = json!({"email": "bob@example.net", "name": "Bob"});
    value["cc"] = json!("Carol <carol@example.net>");
    value["bcc"] = json!(["dave@example.net", {"email": "eve@example.net"}]);
    value["reply_to"] = Value::Null;
    let new = checked(&value).unwrap();
    let recipients: Vec<_> = new.recipients.iter().map(ToString::to_string).collect();
    let expected = ["bob@example.net", "carol@example.net", "dave@example.net", "eve@example.net"];
    assert_eq!(recipients, expected);
    let Content::Composed(draft) = new.content else { panic!("not composed") };
    assert_eq!(draft.to.first().unwrap().name.as_deref(), Some("Bob"));
    assert!(draft.faults().is_empty());
}

#[test]
fn all_faults_come_at_once_with_their_pointers() {
    let value = json!({
        "from": "nobody", "to": ["ok@example.net", "bad", {"email": "x@", "name": "X"}],
        "cc": "a@b c", "reply_to": "A\r\nBcc: x <a@b.test>", "mail_from": "x y",
        "subject": "a\nb", "text": "t",
        "attachments": [{"content": "AA=="}, {"content": "!", "filename": "a\r\nb"}],
        "headers": {"X-A\r\nBcc": "x", "To": "y", "X/B": "a\u{85}b"},
        "in_reply_to": "no brackets", "references": ["<a@b>", "<a b>"],
    });
    let expected = [
        "/from",
        "/to/1",
        "/to/2/email",
        "/cc",
        "/reply_to",
        "/attachments/1/content",
        "/mail_from",
        "/subject",
        "/in_reply_to",
        "/references/1",
        "/headers/X-A\r\nBcc",
        "/headers/To",
        "/headers/X~1B",
        "/attachments/1/filename",
    ];
    let mut found = pointers(&value);
    found.sort();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn nothing_breaks_out_of_any_field() {
    let evil = [
        "\r\n",
        "\n",
        "\r",
        "\0",
        "\u{2028}",
        "\u{85}",
        "\u{b}",
        "\u{7f}",
        "=?utf-8?q?=0d=0aBcc:_x?=",
        "=?utf-8?b?DQpCY2M6IHg=?=",
    ];
    let fields: [(&str, &str); 16] = [
        ("/from", "Al{}ice <alice@example.test>"),
        ("/from/name", "Al{}ice"),
        ("/from/email", "al{}ice@example.test"),
        ("/sender", "{} <alice@example.test>"),
        ("/to/0", "b{}ob@example.net"),
        ("/cc", "c{} <c@example.net>"),
        ("/bcc/0", "bob@exam{}ple.net"),
        ("/reply_to/0/name", "R{}"),
        ("/subject", "H{}i"),
        ("/mail_from", "a{}b@example.test"),
        ("/message_id", "<a{}@b>"),
        ("/in_reply_to", "<a{}@b>"),
        ("/references/0", "<a{}@b>"),
        ("/headers/X-A", "a{}b"),
        ("/attachments/0/filename", "a{}.txt"),
        ("/attachments/0/content_id", "a{}b"),
    ];
    for (pointer, pattern) in fields {
        for text in evil {
            let in_address =
                pattern.contains("{}b@") || pattern.contains("{}ice@") || pattern.contains("{}ob@");
            if in_address && text.starts_with("=?") {
                // Plain characters of a local part: RFC 2047 §5 (3) decodes nothing there.
                continue;
            }
            let value = with(pointer, &pattern.replace("{}", text));
            let found = pointers(&value);
            assert!(
                found.iter().any(|found| pointer.starts_with(found.as_str()) && !found.is_empty()),
                "{pointer} with {text:?}: {found:?}"
            );
        }
    }
}

/// The base message with `text` at `pointer`.
fn with(pointer: &str, text: &str) -> Value {
    let mut value = base();
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    let field = steps.first().copied().unwrap();
    value[field] = match steps.as_slice() {
        [_] => json!(text),
        ["from", key] => json!({"email": "alice@example.test", *key: text}),
        ["headers", key] => json!({*key: text}),
        [_, "0"] => json!([text]),
        ["attachments", "0", key] => json!([{"content": "AA==", *key: text}]),
        [_, "0", key] => json!([{"email": "alice@example.test", *key: text}]),
        other => panic!("{other:?}"),
    };
    value
}

#[test]
fn long_and_odd_values_are_refused() {
    let long = "x".repeat(10_240);
    for pointer in
        ["/from/name", "/subject", "/headers/X-A", "/attachments/0/filename", "/message_id"]
    {
        assert!(!pointers(&with(pointer, &long)).is_empty(), "{pointer}");
    }
    for (pointer, text) in [
        ("/attachments/0/content_type", "text/plain; name=\"a\r\nb\""),
        ("/attachments/0/content_type", "multipart/mixed"),
        ("/attachments/0/content_type", "text"),
        ("/mail_from", "<a@b.test>"),
        ("/to/0", "a@b.test, c@d.test"),
        ("/to/0", "friends: a@b.test;"),
        ("/to/0", "a@[192.0.2.1]"),
    ] {
        assert_eq!(pointers(&with(pointer, text)), [pointer], "{text}");
    }
}

#[test]
fn base64_comes_in_lines_and_without_padding() {
    for text in ["SGVsbG8=", "SGVsbG8", "SGVs\r\nbG8=\n"] {
        assert_eq!(decode(text).as_deref(), Some(b"Hello".as_slice()), "{text:?}");
    }
    assert_eq!(decode("SGVsbG8=="), None);
    assert_eq!(decode("SGVsb-8="), None);
}

#[test]
fn faults_of_shape_come_at_once() {
    let text = r#"{"to": [7, {"email": "a@b.test", "nam": "x"}], "subject": false, "colour": 1,
        "attachments": [{"disposition": "up"}, {"content": 7, "filename": ["a"]}, 7],
        "scheduled_at": "tomorrow", "metadata": {"a": 1, "b": "x"}, "sandbox": "yes"}"#;
    let expected = [
        ("/attachments/0/content", "missing_field"),
        ("/attachments/0/disposition", "invalid_value"),
        ("/attachments/1/content", "wrong_type"),
        ("/attachments/1/filename", "wrong_type"),
        ("/attachments/2", "wrong_type"),
        ("/colour", "unknown_field"),
        ("/from", "missing_field"),
        ("/metadata/a", "wrong_type"),
        ("/sandbox", "wrong_type"),
        ("/scheduled_at", "invalid_value"),
        ("/subject", "wrong_type"),
        ("/to/0", "wrong_type"),
        ("/to/1/nam", "unknown_field"),
    ];
    assert_eq!(faults(text), expected.map(|(pointer, code)| (pointer.into(), code.into())));
}

#[test]
fn faults_of_shape_and_content_come_at_once() {
    let text = r#"{"from": "x", "to": ["a@b.test", 7, "bad", {"email": "y", "nam": 1}],
        "subjet": "..", "a/~1b": 1, "tags": 5, "cc": {"name": "only"}, "subject": "a\nb",
        "attachments": [{"content": "?"}, {"contents": "AA=="}, {"content": "", "filename": "\r"}],
        "headers": {"X-A": 1, "To": "x", "X-B": "a\u0000"}, "references": ["<a@b>", 1, "x"],
        "mail_from": "a b"}"#;
    let expected = [
        ("/attachments/0/content", "invalid_base64"),
        ("/attachments/1/content", "missing_field"),
        ("/attachments/1/contents", "unknown_field"),
        ("/attachments/2/filename", "control_character"),
        ("/a~1~01b", "unknown_field"),
        ("/cc/email", "missing_field"),
        ("/from", "invalid_address"),
        ("/headers/To", "reserved_header"),
        ("/headers/X-A", "wrong_type"),
        ("/headers/X-B", "control_character"),
        ("/mail_from", "invalid_address"),
        ("/references/1", "wrong_type"),
        ("/references/2", "malformed_message_id"),
        ("/subject", "control_character"),
        ("/subjet", "unknown_field"),
        ("/tags", "wrong_type"),
        ("/to/1", "wrong_type"),
        ("/to/2", "invalid_address"),
        ("/to/3/email", "invalid_address"),
        ("/to/3/nam", "unknown_field"),
    ];
    assert_eq!(faults(text), expected.map(|(pointer, code)| (pointer.into(), code.into())));
}

#[test]
fn nothing_lacks_because_of_its_wrong_shape() {
    for (text, pointer) in [
        (r#"{"from": 7, "to": "a@b.test", "text": ""}"#, "/from"),
        (r#"{"from": "a@b.test", "to": "a@b.test", "text": []}"#, "/text"),
        (r#"{"from": "a@b.test", "to": "a@b.test", "html": 7}"#, "/html"),
        (r#"{"from": "a@b.test", "to": "a@b.test", "attachments": [7]}"#, "/attachments/0"),
        (r#"{"from": "a@b.test", "to": "a@b.test", "attachments": {}}"#, "/attachments"),
        // Not a list of the fields of a file either.
        (
            r#"{"from": "a@b.test", "to": "a@b.test",
                "attachments": [[null, null, "AA==", null, null]]}"#,
            "/attachments/0",
        ),
    ] {
        assert_eq!(faults(text), [(pointer.to_owned(), "wrong_type".to_owned())], "{text}");
    }
    // What really lacks is told beside the rest.
    let told = faults(r#"{"from": "a@b.test", "to": "a@b.test", "tags": 5}"#);
    let expected = [("", "missing_body"), ("/tags", "wrong_type")];
    assert_eq!(told, expected.map(|(pointer, code)| (pointer.into(), code.into())));
    let filled = read(r#"{"from": 1, "to": 7, "cc": 7, "bcc": {}, "text": 1}"#).value.unwrap();
    assert_eq!(convert(filled, Vec::new()).new.recipients.len(), 3);
}

#[test]
fn fields_that_stand_twice_are_all_told() {
    let text = r#"{"from": "a@b.test", "from": "x", "to": [{"email": "a@b.test", "email": "c"}],
        "text": "", "tags": ["a"], "tags": 7, "metadata": {"a": "1", "a": "2"},
        "headers": {"X-A": "1", "X-A": "2"}, "attachments": [{"content": "", "content": ""}],
        "colour": {"a": 1, "a": 2}, "colour": 1}"#;
    let expected = [
        ("/attachments/0/content", "duplicate_field"),
        ("/colour", "unknown_field"),
        ("/from", "duplicate_field"),
        ("/tags", "duplicate_field"),
        ("/tags", "wrong_type"),
        ("/to/0/email", "duplicate_field"),
    ];
    assert_eq!(faults(text), expected.map(|(pointer, code)| (pointer.into(), code.into())));
}

#[test]
fn too_many_addresses_are_one_fault() {
    let value = json!({"from": "x", "to": vec!["a@b.test"; 5001], "text": "t", "x": 1});
    let expected = [("/from", "invalid_address"), ("/to", "too_many"), ("/x", "unknown_field")];
    let expected = expected.map(|(pointer, code)| (pointer.into(), code.into()));
    assert_eq!(faults(&value.to_string()), expected);
}

#[test]
fn the_rest_of_a_message_is_read_whatever_is_wrong() {
    survives_wrong_types::<input::NewMessage>();
    survives_wrong_types::<super::super::batch::MessageBatch>();
}

#[test]
fn what_is_not_json_is_told_where() {
    let deep = format!("{{\"tags\": {}1{}}}", "[".repeat(200), "]".repeat(200));
    let texts =
        ["", "{", "{\"from\": \"\\ud800\"}", "{\"from\": 01}", "[]]", "\u{feff}{}", &deep, "{} {}"];
    for text in texts {
        let problem = parse_json::<input::NewMessage>(text.as_bytes()).unwrap_err();
        assert!(problem.is_unreadable(), "{text}");
    }
    // Also after a fault of shape.
    let problem = parse_json::<input::NewMessage>(b"{\"tags\": 5, \"to\": [1,").unwrap_err();
    assert!(problem.is_unreadable());
    assert_eq!(problem.told(), [("/to/1".to_owned(), "malformed_json")]);
    assert!(parse_json::<input::NewMessage>(b"{\"from\": \"\xff\"}").unwrap_err().is_unreadable());
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(parse_json::<Value>(deep.as_bytes()).unwrap_err().is_unreadable());
}
