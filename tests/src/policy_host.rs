//! The web server of an MTA-STS policy: HTTPS at the address of `mta-sts.<domain>`. It also takes what
//! is posted to it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{app::App, certificates, dns::zone};

#[derive(Default)]
struct Shared {
    /// The whole answer; none: it hangs.
    answer: Mutex<Option<String>>,
    requests: Mutex<Vec<String>>,
    /// Media type and octets of what was posted.
    posted: Mutex<Vec<(String, Vec<u8>)>>,
}

/// A running web server; it ends when dropped.
pub struct PolicyHost {
    shared: Arc<Shared>,
    _stop: DropGuard,
}

/// A policy that holds for a day.
pub fn policy(mode: &str, mx: &[&str]) -> String {
    let mx = mx.iter().map(|host| format!("mx: {host}\r\n")).collect::<Vec<_>>().concat();
    format!("version: STSv1\r\nmode: {mode}\r\n{mx}max_age: 86400\r\n")
}

/// Says in DNS that `domain` has the policy `id`.
pub fn publish(app: &App, domain: &str, id: &str) {
    let record = format!("v=STSv1; id={id};");
    app.dns().set(zone(&format!("_mta-sts.{domain}")).txt("@", &record));
}

impl PolicyHost {
    /// Starts one with a good certificate that gives `policy`, and publishes it as `1`.
    pub async fn start(app: &App, domain: &str, policy: &str) -> Self {
        let tls = certificates::trusted(app, &format!("mta-sts.{domain}"));
        let host = Self::start_with(app, domain, tls).await;
        host.serve(policy);
        host
    }

    /// Starts one with another certificate that answers nothing, and publishes it as `1`.
    pub async fn start_with(app: &App, domain: &str, tls: Arc<ServerConfig>) -> Self {
        let address = app.add_host(&format!("mta-sts.{domain}"));
        let listener = TcpListener::bind((address, app.delivery_port())).await.unwrap();
        publish(app, domain, "1");
        let shared = Arc::<Shared>::default();
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(listen(
            listener,
            tls.into(),
            shared.clone(),
        )));
        Self { shared, _stop: stop.drop_guard() }
    }

    /// Gives this policy from now on.
    pub fn serve(&self, policy: &str) {
        self.answer("200 OK", "Content-Type: text/plain; charset=utf-8\r\n", policy);
    }

    /// Answers like this from now on.
    pub fn answer(&self, status: &str, fields: &str, body: &str) {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\n\r\n{body}");
        *self.shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    /// Does not answer from now on.
    pub fn hang(&self) {
        *self.shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The request lines that came.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl PolicyHost {
    /// What was posted to it.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        let posted = self.shared.posted.lock().unwrap_or_else(PoisonError::into_inner);
        posted.iter().map(|(_, body)| body.clone()).collect()
    }

    /// The media types of that.
    pub fn media_types(&self) -> Vec<String> {
        let posted = self.shared.posted.lock().unwrap_or_else(PoisonError::into_inner);
        posted.iter().map(|(kind, _)| kind.clone()).collect()
    }
}

async fn listen(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((tcp, _)): Result<(TcpStream, SocketAddr), _> = listener.accept().await else {
            continue;
        };
        connections.spawn(serve(tcp, tls.clone(), shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(tcp: TcpStream, tls: TlsAcceptor, shared: Arc<Shared>) {
    let Ok(mut stream) = tls.accept(tcp).await else { return };
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let Ok(read @ 1..) = stream.read(&mut buffer).await else { return };
        request.extend_from_slice(&buffer[..read]);
        let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&request[..end]).to_lowercase();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let length: usize = field("content-length: ").map_or(0, |text| text.parse().unwrap());
        let body = &request[end + 4..];
        if body.len() < length {
            continue;
        }
        if let Some(kind) = field("content-type: ") {
            let posted = (kind.to_owned(), body.to_vec());
            shared.posted.lock().unwrap_or_else(PoisonError::into_inner).push(posted);
        }
        let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
        shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        request.clear();
        let answer = shared.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(answer) = answer else { continue };
        if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}
