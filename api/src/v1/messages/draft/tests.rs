//! Every field against everything that breaks out of a header (THREATS 10).

use serde_json::{Value, json};

use super::*;
use crate::{extract::parse_json, problem::Problem};

fn base() -> Value {
    json!({"from": "Alice <alice@example.test>", "to": ["bob@example.net"], "subject": "Hi",
           "text": "Hello"})
}

fn read(value: &Value) -> Result<input::NewMessage, Problem> {
    parse_json(value.to_string().as_bytes())
}

/// Converts, with the faults that the composer finds; the core adds those of its own.
fn checked(value: &Value) -> Result<NewMessage, Vec<FieldError>> {
    let Converted { new, mut faults, single } = convert(read(value).unwrap(), Vec::new());
    let Content::Composed(draft) = &new.content else { panic!("not composed") };
    for fault in draft.faults() {
        faults.push(single.fit(FieldError::new(fault.pointer, fault.code, fault.detail)));
    }
    if faults.is_empty() { Ok(new) } else { Err(faults) }
}

fn pointers(value: &Value) -> Vec<String> {
    let faults = checked(value).err().unwrap_or_default();
    faults.into_iter().map(|fault| fault.pointer).collect()
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
    let value = json!({"to": [7, {"email": "a@b.test", "nam": "x"}], "subject": false, "colour": 1,
                       "attachments": [{"disposition": "up"}], "scheduled_at": "tomorrow"});
    let problem = serde_json::to_value(read(&value).unwrap_err().faults()).unwrap();
    let found: Vec<_> = problem
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| (fault["pointer"].as_str().unwrap(), fault["code"].as_str().unwrap()))
        .collect();
    for expected in [
        ("/from", "missing_field"),
        ("/to/0", "wrong_type"),
        ("/to/1/nam", "unknown_field"),
        ("/subject", "wrong_type"),
        ("/colour", "unknown_field"),
        ("/attachments/0/disposition", "invalid_value"),
        ("/attachments/0/content", "missing_field"),
        ("/scheduled_at", "invalid_value"),
    ] {
        assert!(found.contains(&expected), "{expected:?} is not in {found:?}");
    }
    assert_eq!(found.len(), 8, "{found:?}");
}

#[test]
fn what_is_not_json_is_told_where() {
    for text in ["", "{", "{\"from\": \"\\ud800\"}", "{\"from\": 01}", "[]]", "\u{feff}{}"] {
        let problem = parse_json::<input::NewMessage>(text.as_bytes()).unwrap_err();
        assert!(problem.is_unreadable() || text == "[]]", "{text}");
    }
    assert!(parse_json::<input::NewMessage>(b"{\"from\": \"\xff\"}").unwrap_err().is_unreadable());
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(parse_json::<Value>(deep.as_bytes()).unwrap_err().is_unreadable());
}
