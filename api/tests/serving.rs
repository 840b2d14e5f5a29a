//! The bounds of [`posthouse_api::serve`], tried over real connections (THREATS 27).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::time::Duration;

use axum::{Router, routing::get};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

struct Server {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn start() -> Self {
        let router = Router::new()
            .route("/", get(|| async { "here" }).post(|body: String| async { body }))
            .route(
                "/slow",
                get(|| async {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    "done"
                }),
            );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(posthouse_api::serve(listener, router, None, stop.clone()));
        Self { address, stop, task }
    }

    /// Sends octets and reads until the server closes or nothing more comes.
    async fn talk(&self, octets: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may close before it has read everything.
        drop(stream.write_all(octets).await);
        read(&mut stream).await
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    // A kept connection stays open; what has come until now is the answer.
    drop(tokio::time::timeout(Duration::from_secs(1), reading).await);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn requests_are_answered_on_one_connection() {
    let server = Server::start().await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = server.talk(format!("{request}{request}").as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2, "{answer}");
}

#[tokio::test]
async fn too_many_and_too_large_header_fields_are_refused() {
    let server = Server::start().await;
    let many = "X-Many: y\r\n".repeat(200);
    let answer = server.talk(format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    let large = "y".repeat(200_000);
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {large}\r\n\r\n");
    let answer = server.talk(request.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn two_lengths_are_one_too_many() {
    let server = Server::start().await;
    for fields in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\nhello!");
        let answer = server.talk(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{fields:?}: {answer}");
    }
}

#[tokio::test]
async fn a_hidden_second_request_is_not_answered() {
    let server = Server::start().await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\
                   Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = server.talk(request.as_bytes()).await;
    // RFC 9112 §6.1: refused, or the chunked form counts and the connection is closed after it.
    assert!(answer.matches("HTTP/1.1 200").count() <= 1, "{answer}");
    assert!(!answer.contains("done"), "{answer}");
}

#[tokio::test]
async fn requests_under_way_end_when_the_server_stops() {
    let server = Server::start().await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.cancel();
    let answer = read(&mut slow).await;
    assert!(answer.ends_with("done"), "{answer}");
    tokio::time::timeout(Duration::from_secs(5), server.task).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
