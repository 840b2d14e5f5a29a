//! `posthouse localserve` as its user meets it: a process, its files, its doors, its end.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A directory that the user of Postgres may enter.
fn open_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// A base above which all ports that we need are free.
fn free_base() -> u16 {
    let start = u16::try_from(std::process::id() % 20_000).unwrap() + 20_000;
    let free = |base: &u16| {
        [25, 80, 465, 587].iter().all(|port| TcpListener::bind(("127.0.0.1", base + port)).is_ok())
    };
    (start..60_000).step_by(7).find(free).unwrap()
}

fn command(data: &Path, base: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthouse"));
    command.arg("localserve").arg("--data").arg(data);
    command.args(["--port-base", &base.to_string()]);
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

struct Running {
    child: Child,
    data: PathBuf,
    json: Value,
}

impl Running {
    fn start(data: &Path, base: u16) -> Self {
        let mut command = command(data, base);
        command.arg("--json").stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let json = serde_json::from_str(&line).unwrap();
        Self { child, data: data.to_owned(), json }
    }

    fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap()
    }

    fn postgres_pid(&self) -> Pid {
        let file = self.data.join("postgres/data/postmaster.pid");
        let text = fs::read_to_string(file).unwrap();
        Pid::from_raw(text.lines().next().unwrap().parse().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    fn stop(mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A test that fails leaves nothing running.
impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::SIGTERM);
            self.child.wait().unwrap();
        }
    }
}

fn refusal(data: &Path, base: u16) -> String {
    let output = command(data, base).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn alive(pid: Pid) -> bool {
    let zombie =
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z"));
    !zombie && kill(pid, None).is_ok()
}

async fn get(server: &Running, path: &str) -> Value {
    let url = format!("{}{path}", server.text("http_url"));
    let request = reqwest::Client::new().get(url).bearer_auth(server.text("api_key"));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.unwrap()
}

async fn post_message(server: &Running) -> String {
    let body = json!({
        "from": "Posthouse <posthouse@localhost>",
        "to": ["someone@example.com"],
        "subject": "Hello",
        "text": "My first message.",
    });
    let url = format!("{}/v1/messages", server.text("http_url"));
    let request = reqwest::Client::new().post(url).bearer_auth(server.text("api_key"));
    let response = request.json(&body).send().await.unwrap();
    assert_eq!(response.status(), 202);
    let message: Value = response.json().await.unwrap();
    message["id"].as_str().unwrap().to_owned()
}

/// What `posthouse cid` tells of the id in the Received field of a mail, while the server runs.
async fn cid_of(server: &Running, mail: &Value) -> String {
    let url = format!("{}/v1/mail/{}/raw", server.text("http_url"), mail["id"].as_str().unwrap());
    let request = reqwest::Client::new().get(url).bearer_auth(server.text("api_key"));
    let raw = request.send().await.unwrap().text().await.unwrap();
    let field = raw.split("\r\nReceived: ").nth(1).unwrap();
    let id = field.split(" id ").nth(1).unwrap().split([';', '\r']).next().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthouse"));
    let output = command.args(["cid", id, "--data"]).arg(&server.data).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn wait_for_delivery(server: &Running, message: &str) {
    let path = format!("/v1/messages/{message}/deliveries");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let deliveries = get(server, &path).await;
        if deliveries["data"][0]["status"] == "delivered" {
            return;
        }
        assert!(Instant::now() < deadline, "{deliveries:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn check_files(server: &Running) {
    let path = server.data.join("localserve.json");
    let file: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(file, server.json);
    for name in ["localserve.json", "secrets.json", "master.key", "tls/key.pem"] {
        let mode = fs::metadata(server.data.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let mode = fs::metadata(server.data.join("blobs")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let authority = fs::read_to_string(server.text("tls_ca_file")).unwrap();
    assert!(authority.contains("BEGIN CERTIFICATE"));
    assert_eq!(server.json["account"]["address"], "posthouse@localhost");
    assert!(server.text("api_key").starts_with("phk_"));
    assert!(server.text("admin_api_key").starts_with("phk_"));
}

#[tokio::test]
async fn a_message_is_delivered_and_the_next_start_has_the_same_keys() {
    let dir = open_dir();
    let data = dir.path().join("data");
    let base = free_base();
    let server = Running::start(&data, base);
    check_files(&server);
    assert_eq!(server.text("http_url"), format!("http://127.0.0.1:{}", base + 80));
    let message = post_message(&server).await;
    wait_for_delivery(&server, &message).await;
    let mail = get(&server, "/v1/mail").await;
    let mail = mail["data"].as_array().unwrap().iter().find(|mail| mail["subject"] == "Hello");
    let told = cid_of(&server, mail.unwrap()).await;
    assert!(told.starts_with(&format!("message {message} accepted 20")), "{told}");

    let refused = refusal(&data, base + 1);
    assert!(refused.contains(&format!("(process {}) is running", server.child.id())), "{refused}");
    let refused = refusal(&dir.path().join("other"), base);
    assert!(refused.contains(&format!("127.0.0.1:{} for HTTP", base + 80)), "{refused}");
    assert!(refused.contains("--port-base"), "{refused}");

    let before = server.json.clone();
    let postgres = server.postgres_pid();
    assert!(alive(postgres));
    assert!(server.stop(Signal::SIGINT).success());
    assert!(!alive(postgres));
    assert!(!data.join("localserve.json").exists());

    let server = Running::start(&data, base);
    for name in ["api_key", "admin_api_key", "account", "tls_ca_file", "database_url"] {
        assert_eq!(server.json[name], before[name], "{name}");
    }
    wait_for_delivery(&server, &message).await;
    assert!(server.stop(Signal::SIGTERM).success());
}

#[tokio::test]
async fn the_summary_shows_a_request_to_try() {
    let dir = open_dir();
    let data = dir.path().join("data");
    let mut child = command(&data, free_base() + 3).stdout(Stdio::piped()).spawn().unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("My first message.") {
        assert_ne!(reader.read_line(&mut text).unwrap(), 0, "{text}");
    }
    let json = fs::read_to_string(data.join("localserve.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    for name in ["http_url", "docs_url", "api_key", "admin_api_key"] {
        assert!(text.contains(json[name].as_str().unwrap()), "{name}: {text}");
    }
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGHUP).unwrap();
    reader.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Sends a message of `size` octets by SMTP.
fn send_large(port: u16, recipient: &str, size: usize) {
    let line = |number: usize| format!("{:062x}\r\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut tcp = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    tcp.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut replies = BufReader::new(tcp.try_clone().unwrap()).lines();
    let mut expect = |code: &str| {
        let reply = replies.next().unwrap().unwrap();
        assert!(reply.starts_with(code), "{reply}");
    };
    expect("220 ");
    tcp.write_all(b"HELO client.test\r\n").unwrap();
    expect("250 ");
    for (command, code) in [
        ("MAIL FROM:<bob@friend.test>".to_owned(), "250 "),
        (format!("RCPT TO:<{recipient}>"), "250 "),
        ("DATA".to_owned(), "354 "),
    ] {
        tcp.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        expect(code);
    }
    tcp.write_all(b"From: bob@friend.test\r\nSubject: Large\r\n\r\n").unwrap();
    for block in 0..size / 64 / 1024 {
        let text: String = (0..1024).map(|at| line(block * 1024 + at)).collect();
        tcp.write_all(text.as_bytes()).unwrap();
    }
    tcp.write_all(b".\r\n").unwrap();
    expect("250 ");
}

/// Most octets that a process has had in memory.
fn peak_memory(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Sixteen at a time would take two gigabytes if each were in memory in all its forms.
#[test]
fn large_messages_at_a_time_take_the_memory_that_is_set_aside() {
    const MIB: usize = 1024 * 1024;
    let dir = open_dir();
    let server = Running::start(&dir.path().join("data"), free_base());
    let port = server.json["smtp"].as_u64().unwrap().try_into().unwrap();
    let recipient = server.json["account"]["address"].as_str().unwrap();
    std::thread::scope(|threads| {
        for _ in 0..16 {
            threads.spawn(|| send_large(port, recipient, 40 * MIB));
        }
    });
    let peak = peak_memory(server.child.id());
    assert!(peak < 450 * MIB, "{} MiB", peak / MIB);
    println!("{} MiB at most", peak / MIB);
    assert!(server.stop(Signal::SIGINT).success());
}
