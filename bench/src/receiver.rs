//! An HTTP server that takes every webhook call and keeps nothing, or never answers one.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// A running receiver.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    calls: Arc<AtomicU64>,
}

impl Receiver {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) async fn start(answers: bool) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let receiver = Self { address: listener.local_addr()?, calls: Arc::default() };
        let calls = Arc::clone(&receiver.calls);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&calls), answers));
            }
        });
        Ok(receiver)
    }

    /// How many calls came.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

async fn serve(stream: TcpStream, calls: Arc<AtomicU64>, answers: bool) {
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request: Request<Incoming>| {
        let calls = Arc::clone(&calls);
        async move {
            // What breaks off is not counted.
            if request.into_body().collect().await.is_ok() {
                calls.fetch_add(1, Ordering::Relaxed);
            }
            if !answers {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

/// Waits until each receiver has had so many calls, as long as there is progress; returns when the
/// last one came.
pub(crate) async fn wait_for(receivers: &[Receiver], calls: u64, patience: Duration) -> Instant {
    let total = || receivers.iter().map(Receiver::calls).sum::<u64>();
    let is_over = || receivers.iter().all(|receiver| receiver.calls() >= calls);
    let mut last = (total(), Instant::now());
    while !is_over() && last.1.elapsed() < patience {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let now = total();
        if now != last.0 {
            last = (now, Instant::now());
        }
    }
    last.1
}
