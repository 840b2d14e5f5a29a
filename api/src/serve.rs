//! Serving HTTP/1.1 (RFC 9112) and HTTP/2 (RFC 9113), in the clear or over TLS, with bounds on
//! everything a client may hold on to (THREATS 27).

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::ConnectInfo, response::Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;

/// Most connections at a time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 10_000;
/// A TLS handshake, or the first request of a connection, takes at most this long.
const FIRST_REQUEST: Duration = Duration::from_secs(30);
/// The header of a request takes at most this long; so long may a kept connection also be idle.
const HEADER: Duration = Duration::from_secs(30);
/// Requests that are under way when the server stops have this long.
const DRAIN: Duration = Duration::from_secs(30);
/// Largest header section.
const MAX_HEADER_BYTES: u32 = 64 * 1024;
/// Most header fields.
const MAX_HEADERS: usize = 100;
/// Streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// Streams that a client may reset before they are answered (RUSTSEC-2024-0003).
const MAX_RESET_STREAMS: usize = 50;
/// Data of one HTTP/2 stream or connection that may be under way.
const WINDOW: u32 = 1024 * 1024;

/// Serves until `shutdown`, then lets requests that are under way end.
///
/// A TLS configuration should offer `h2` and `http/1.1` by ALPN.
///
/// # Errors
/// None for now; faults of single connections are logged.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Arc<ServerConfig>>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let server = Arc::new(Server {
        router,
        tls: tls.map(TlsAcceptor::from),
        builder: builder(),
        shutdown: shutdown.clone(),
        abort: CancellationToken::new(),
    });
    let connections = TaskTracker::new();
    let accepting = accept(listener, &server, &connections);
    if shutdown.run_until_cancelled(accepting).await.is_none() {
        tracing::debug!("no more HTTP connections are taken");
    }
    connections.close();
    if tokio::time::timeout(DRAIN, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "HTTP connections are cut off");
        server.abort.cancel();
        connections.wait().await;
    }
    Ok(())
}

struct Server {
    router: Router,
    tls: Option<TlsAcceptor>,
    builder: auto::Builder<TokioExecutor>,
    shutdown: CancellationToken,
    abort: CancellationToken,
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER)
        .max_headers(MAX_HEADERS)
        .max_buf_size(usize::try_from(MAX_HEADER_BYTES).unwrap_or(usize::MAX));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_RESET_STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

async fn accept(listener: TcpListener, server: &Arc<Server>, connections: &TaskTracker) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let server = Arc::clone(server);
                connections.spawn(async move {
                    connection(&server, stream, peer).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: some will come free.
                tracing::warn!(%error, "an HTTP connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(server: &Server, stream: TcpStream, peer: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the HTTP client is gone already");
        return;
    }
    let Some(tls) = &server.tls else {
        return talk(server, stream, peer).await;
    };
    match tokio::time::timeout(FIRST_REQUEST, tls.accept(stream)).await {
        Ok(Ok(stream)) => talk(server, stream, peer).await,
        Ok(Err(error)) => tracing::debug!(%error, %peer, "HTTP: the TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "HTTP: the TLS handshake took too long"),
    }
}

async fn talk<S>(server: &Server, stream: S, peer: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let started = Arc::new(AtomicBool::new(false));
    let service = {
        let (router, started) = (server.router.clone(), Arc::clone(&started));
        service_fn(move |request| {
            started.store(true, Ordering::Relaxed);
            answer(router.clone(), request, peer)
        })
    };
    let connection = server.builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut patience = std::pin::pin!(tokio::time::sleep(FIRST_REQUEST));
    let (mut stopping, mut waiting) = (false, true);
    let result = loop {
        tokio::select! {
            result = connection.as_mut() => break result,
            () = server.shutdown.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = &mut patience, if waiting => {
                waiting = false;
                if !started.load(Ordering::Relaxed) {
                    return;
                }
            }
            () = server.abort.cancelled() => return,
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, %peer, "an HTTP connection broke");
    }
}

async fn answer(
    router: Router,
    mut request: hyper::Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response, Infallible> {
    request.extensions_mut().insert(ConnectInfo(peer));
    router.oneshot(request.map(axum::body::Body::new)).await
}
