//! kill -9 under load: what was acknowledged is delivered after the restart, all of it.
//!
//! The real binary with its real Postgres is killed again and again while clients post by HTTP and
//! by SMTP. A client remembers a message only when it was told 202 or 250.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{
    collections::HashMap,
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use posthouse_tests::{
    dns::DnsServer,
    sink::{Script, Sink},
    smtp_client::{Reply, SmtpClient},
};
use serde_json::{Value, json};

const KILLS: usize = 10;
const LEAST_MESSAGES: usize = 1000;
const HTTP_CLIENTS: usize = 8;
const SMTP_CLIENTS: usize = 3;
/// Lines of a message by HTTP.
const LINES: usize = 50;
/// What a crash may repeat, on average: what was in progress on the 20 connections that a node has
/// to one destination, and the results of the last 20 ms.
const REPEATED_PER_KILL: usize = 100;

/// A running `posthouse localserve`, ended with the test.
struct Localserve {
    child: Child,
    announced: Value,
}

impl Localserve {
    async fn start(data: &Path, options: &[String]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_posthouse"))
            .args(["localserve", "--data"])
            .arg(data)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(data.with_extension("log")).unwrap())
            .spawn()
            .unwrap();
        let mut server = Self { child, announced: Value::Null };
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let text = fs::read_to_string(data.join("localserve.json")).unwrap_or_default();
            let announced: Value = serde_json::from_str(&text).unwrap_or_default();
            // A killed process leaves its announcement behind.
            if announced["pid"] == server.child.id() {
                server.announced = announced;
                return server;
            }
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{}", log(data));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as Ctrl-C does.
    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Localserve {
    fn drop(&mut self) {
        // An error means that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn log(data: &Path) -> String {
    fs::read_to_string(data.with_extension("log")).unwrap_or_default()
}

/// What the clients share.
struct Load {
    next: AtomicUsize,
    acknowledged: Mutex<Vec<usize>>,
    http_url: String,
    api_key: String,
    submission: SocketAddr,
    address: String,
    password: String,
}

impl Load {
    fn number(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn acknowledge(&self, number: usize) {
        self.acknowledged.lock().unwrap().push(number);
    }

    fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }
}

async fn post(load: Arc<Load>) {
    let http =
        reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
    loop {
        let number = load.number();
        let message = json!({
            "from": load.address, "to": [format!("n{number}@remote.test")],
            "subject": format!("Number {number}"), "text": "All work and no play.\n".repeat(LINES),
        });
        let request = http
            .post(format!("{}/v1/messages", load.http_url))
            .bearer_auth(&load.api_key)
            .json(&message);
        match request.send().await {
            Ok(answer) if answer.status() == 202 => load.acknowledge(number),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn submit(load: Arc<Load>) {
    loop {
        if submit_until_broken(&load).await.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn submit_until_broken(load: &Load) -> Option<()> {
    let mut client = SmtpClient::try_connect(load.submission).await.ok()?;
    client.try_reply().await?;
    for line in ["EHLO client.test", ""] {
        let line = if line.is_empty() { plain(load) } else { line.to_owned() };
        client.try_send(format!("{line}\r\n")).await.ok()?;
        client.try_reply().await.filter(Reply::is_positive)?;
    }
    loop {
        let number = load.number();
        let (from, to) = (&load.address, format!("n{number}@remote.test"));
        let commands = [
            format!("MAIL FROM:<{from}>\r\n"),
            format!("RCPT TO:<{to}>\r\n"),
            "DATA\r\n".to_owned(),
            format!("From: {from}\r\nTo: {to}\r\nSubject: Number {number}\r\n\r\nHello.\r\n.\r\n"),
        ];
        let mut last = None;
        for command in commands {
            client.try_send(command).await.ok()?;
            last = Some(client.try_reply().await.filter(Reply::is_positive)?);
        }
        if last.is_some_and(|reply| reply.code == 250) {
            load.acknowledge(number);
        }
    }
}

fn plain(load: &Load) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    let secret = format!("\0{}\0{}", load.address, load.password);
    format!("AUTH PLAIN {}", STANDARD.encode(secret))
}

/// A base that leaves all the ports of a local server free.
fn port_base() -> u16 {
    let start = 20_000 + u16::try_from(std::process::id() % 200).unwrap() * 40;
    let free = |base: &u16| {
        let mut ports = [80, 25, 587, 465, 143, 993].iter();
        ports.all(|port| TcpListener::bind(("127.0.0.1", base + port)).is_ok())
    };
    (start..60_000).step_by(1000).find(free).unwrap()
}

fn load(server: &Localserve) -> Arc<Load> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let announced = &server.announced;
    let port = u16::try_from(announced["submission"].as_u64().unwrap()).unwrap();
    Arc::new(Load {
        next: AtomicUsize::new(0),
        acknowledged: Mutex::default(),
        http_url: text(&announced["http_url"]),
        api_key: text(&announced["api_key"]),
        submission: SocketAddr::from(([127, 0, 0, 1], port)),
        address: text(&announced["account"]["address"]),
        password: text(&announced["account"]["password"]),
    })
}

/// How often each message arrived; each time whole and in the right envelope.
fn arrivals(sink: &Sink) -> HashMap<usize, usize> {
    let mut arrivals = HashMap::new();
    for message in sink.messages() {
        assert_eq!(message.rcpt_to.len(), 1);
        let recipient = &message.rcpt_to[0];
        let number = recipient.trim_start_matches('n').split('@').next().unwrap();
        let text = message.text();
        assert!(text.contains(&format!("Subject: Number {number}\r\n")), "{recipient}: {text}");
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        let whole = body == "Hello.\r\n" || body.matches("no play.").count() == LINES;
        assert!(whole, "{recipient}: {body}");
        *arrivals.entry(number.parse().unwrap()).or_default() += 1;
    }
    arrivals
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_message_is_lost_by_ten_kills_under_load() {
    // Postgres runs as another user when the test is run by root.
    let dir =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let sink = Sink::start(Script::new());
    let dns = DnsServer::start([]).await;
    dns.add_host("mx.remote.test", sink.addr().ip());
    let options = [
        ("--port-base", port_base().to_string()),
        ("--deliver", "real".to_owned()),
        ("--resolver", dns.address().to_string()),
        ("--delivery-port", sink.addr().port().to_string()),
        ("--retry-schedule", "1,1,2,2,4,4,8,8".to_owned()),
    ];
    let options = options.map(|(name, value)| [name.to_owned(), value]).concat();

    let mut server = Localserve::start(&data, &options).await;
    let load = load(&server);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..HTTP_CLIENTS {
        clients.spawn(post(load.clone()));
    }
    for _ in 0..SMTP_CLIENTS {
        clients.spawn(submit(load.clone()));
    }
    for kill in 1..=KILLS {
        // Never at the same moment of what goes on inside, and never before there is a load.
        let before = load.acknowledged();
        let share = LEAST_MESSAGES.div_ceil(KILLS);
        let deadline = Instant::now() + Duration::from_secs(30);
        while load.acknowledged() < before + share {
            assert!(Instant::now() < deadline, "no load after kill {kill}:\n{}", log(&data));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(u64::try_from(kill * 37 % 100).unwrap())).await;
        server.kill();
        server = Localserve::start(&data, &options).await;
    }
    clients.shutdown().await;

    let acknowledged = load.acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() >= LEAST_MESSAGES, "{} acknowledged", acknowledged.len());
    let deadline = Instant::now() + Duration::from_mins(1);
    let missing = loop {
        let arrived = arrivals(&sink);
        let missing: Vec<_> =
            acknowledged.iter().filter(|number| !arrived.contains_key(number)).collect();
        if missing.is_empty() || Instant::now() > deadline {
            break missing.len();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let repeated: usize = arrivals(&sink).values().map(|times| times - 1).sum();
    println!(
        "{} messages acknowledged, {missing} lost, {repeated} repeated by {KILLS} kills",
        acknowledged.len()
    );
    assert_eq!(missing, 0, "of {} acknowledged:\n{}", acknowledged.len(), log(&data));
    assert!(repeated <= KILLS * REPEATED_PER_KILL, "{repeated} repeated");
    server.stop();
}
