//! Programs that other people wrote.

mod postfix;
mod python;
mod swaks;

use std::process::{Output, Stdio};

/// Runs a program to its end; its output is text.
async fn run(program: &str, arguments: &[&str], input: &str) -> String {
    use tokio::io::AsyncWriteExt as _;

    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is needed (apt-get install {program}): {error}"));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let Output { status, stdout, stderr } = child.wait_with_output().await.unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{program} {}: {status}\n{text}", arguments.join(" "));
    text
}
