//! The bodies of administration: faults of shape never hide those of the content.

use super::{
    account, accounts, api_keys, app_passwords, auth, domains, limits, templates, webhook_replays,
    webhook_secrets, webhooks,
};
use crate::{
    extract::{Input, Parsed, parse_json, survives_wrong_types},
    problem::Problem,
};

#[test]
fn the_rest_of_a_body_is_read_whatever_is_wrong() {
    survives_wrong_types::<accounts::NewAccountBody>();
    survives_wrong_types::<accounts::AccountPatchBody>();
    survives_wrong_types::<account::OwnAccountPatchBody>();
    survives_wrong_types::<account::PasswordChangeBody>();
    survives_wrong_types::<auth::TokenRequestBody>();
    survives_wrong_types::<auth::TokenRevocationBody>();
    survives_wrong_types::<app_passwords::NewAppPasswordBody>();
    survives_wrong_types::<api_keys::NewApiKeyBody>();
    survives_wrong_types::<api_keys::ApiKeyPatchBody>();
    survives_wrong_types::<domains::NewDomainBody>();
    survives_wrong_types::<limits::LimitsPatchBody>();
    survives_wrong_types::<domains::DomainPatchBody>();
    survives_wrong_types::<webhooks::NewWebhookBody>();
    survives_wrong_types::<webhooks::WebhookPatchBody>();
    survives_wrong_types::<webhook_replays::NewReplayBody>();
    survives_wrong_types::<webhook_secrets::RotationBody>();
    survives_wrong_types::<templates::NewTemplateBody>();
    survives_wrong_types::<templates::NewVersionBody>();
    survives_wrong_types::<templates::TemplatePatchBody>();
    survives_wrong_types::<templates::PublishBody>();
    survives_wrong_types::<templates::RenderBody>();
}

fn told<T: Input>(text: &str) -> Vec<(String, &'static str)> {
    let Parsed { value, faults } = parse_json::<T>(text.as_bytes()).unwrap();
    assert!(value.is_some(), "{faults:?}");
    Problem::invalid(faults).told()
}

#[test]
fn numbers_out_of_range_are_told() {
    let text = r#"{"name": "a", "retention_seconds": -1, "quota_bytes": 9223372036854775808}"#;
    let mut faults = told::<accounts::NewAccountBody>(text);
    faults.sort_unstable();
    let expected = [("/quota_bytes", "out_of_range"), ("/retention_seconds", "out_of_range")];
    assert_eq!(faults, expected.map(|(pointer, code)| (pointer.to_owned(), code)));
    for (number, code) in [
        ("-9223372036854775809", "out_of_range"),
        ("1e30", "out_of_range"),
        ("18446744073709551616", "out_of_range"),
        ("1.5", "wrong_type"),
        ("1e3", "wrong_type"),
        ("\"1\"", "wrong_type"),
    ] {
        let faults = told::<accounts::AccountPatchBody>(&format!("{{\"quota_bytes\": {number}}}"));
        assert_eq!(faults, [("/quota_bytes".to_owned(), code)], "{number}");
    }
    let problem =
        parse_json::<accounts::AccountPatchBody>(b"{\"quota_bytes\": 1e999}").unwrap_err();
    assert!(problem.is_unreadable());
}

#[test]
fn lists_are_not_objects() {
    let text = r#"{"name": "a.test", "dkim": [["ed25519"]]}"#;
    let faults = told::<domains::NewDomainBody>(text);
    assert_eq!(faults, [("/dkim".to_owned(), "wrong_type")]);
}

#[test]
fn what_no_schema_tells_is_told_beside_the_rest() {
    let text = r#"{"name": 7, "scopes": ["send"], "account_id": "acc_x", "expires_at": "soon"}"#;
    let mut faults = told::<api_keys::NewApiKeyBody>(text);
    faults.sort_unstable();
    let expected = [
        ("/account_id", "invalid_value"),
        ("/expires_at", "invalid_value"),
        ("/name", "wrong_type"),
    ];
    assert_eq!(faults, expected.map(|(pointer, code)| (pointer.to_owned(), code)));
}
