//! What the OpenAPI document says is what happens: Schemathesis makes requests from it, good ones
//! and bad ones, and compares the answers with it. <https://schemathesis.io>

use std::{path::Path, process::Stdio};

use posthouse_core::Scope;
use posthouse_tests::app::App;
use serde_json::json;
use tokio::process::Command;

/// Refusals of what fits the schema are left out: that a time has passed or an address is taken is
/// not in a schema. So is whether strangers are refused: `strangers` looks closer at that, and here
/// the guard against guessing would answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,\
    missing_required_header,unsupported_method,use_after_free";

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_the_document() {
    #[expect(clippy::disallowed_methods, reason = "scripts/test says where it is")]
    let python = std::env::var("POSTHOUSE_TEST_PYTHON")
        .expect("POSTHOUSE_TEST_PYTHON names a Python with scripts/requirements.txt: `make test`");
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    alice.send(&["bob@remote.test"], "Hello").await;
    // Somebody with everything.
    let account = json!({"name": "carol", "role": "admin", "addresses": ["carol@example.test"]});
    let account = app.admin().post("/v1/accounts", account).await.expect(201);
    let scopes: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    let key = json!({"name": "all", "scopes": scopes, "account_id": account.id()});
    let key = app.admin().post("/v1/api-keys", key).await.expect(201);
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(Path::new(&python).with_file_name("st"))
        .args(["run", &format!("{}/openapi.json", app.http_url())])
        .args(["--header", &format!("Authorization: Bearer {}", key["key"].as_str().unwrap())])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--seed", "1"])
        .args(["--checks", CHECKS, "--request-timeout", "30", "--no-color"])
        // These do not end by themselves: `stream` and `mail` test them.
        .args(["--exclude-path-regex", "/(stream|wait)$"])
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONPATH", env!("CARGO_MANIFEST_DIR"))
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{wrong}");
    app.stop().await;
}
