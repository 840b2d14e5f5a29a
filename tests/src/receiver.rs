//! A receiver of webhooks: keeps every request and answers as the test says.

use std::{
    collections::VecDeque,
    future::pending,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{person::Person, wait::eventually};

/// How a request is answered.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    after: Option<Duration>,
    hangs: bool,
}

impl Reply {
    /// This status at once, with an empty body.
    pub const fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new(), after: None, hangs: false }
    }

    /// No answer at all.
    pub fn hang() -> Self {
        Self { hangs: true, ..Self::status(200) }
    }

    /// The same with a header field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn body(self, body: impl Into<String>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// The same, later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self { after: Some(wait), ..self }
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Path and query.
    pub target: String,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Received {
    /// A header field.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}"));
        value.to_str().unwrap()
    }

    /// The event.
    pub fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The type of the event.
    pub fn kind(&self) -> String {
        self.event()["type"].as_str().unwrap().to_owned()
    }

    /// The position of the event in the log.
    pub fn seq(&self) -> i64 {
        self.event()["seq"].as_i64().unwrap()
    }
}

#[derive(Default)]
struct Shared {
    usual: Mutex<Option<Reply>>,
    next: Mutex<VecDeque<Reply>>,
    received: Mutex<Vec<Received>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

/// A running receiver; it ends when dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

impl Receiver {
    /// Starts one on a free port of 127.0.0.1 that answers 200.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let router = Router::new().fallback(receive).with_state(shared.clone());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(stopped.run_until_cancelled_owned(async move {
            axum::serve(listener, router).await.unwrap();
        }));
        Self { address, shared, _stop: stop.drop_guard() }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The port of 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Answers like this from now on.
    pub fn always(&self, reply: Reply) {
        *lock(&self.shared.usual) = Some(reply);
    }

    /// Answers like this once, after what was said before.
    pub fn next(&self, reply: Reply) {
        lock(&self.shared.next).push_back(reply);
    }

    /// Everything that came, in order.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// The types of what came, in order.
    pub fn kinds(&self) -> Vec<String> {
        self.received().iter().map(Received::kind).collect()
    }

    /// Most requests that were in progress at a time.
    pub fn most_in_flight(&self) -> usize {
        self.shared.most_in_flight.load(Ordering::SeqCst)
    }

    /// Waits until so many requests came, and returns all.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        eventually(&format!("{count} webhook requests"), async || {
            let received = self.received();
            (received.len() >= count).then_some(received)
        })
        .await
    }

    /// Waits for an event of this type.
    pub async fn wait_for_kind(&self, kind: &str) -> Received {
        eventually(kind, async || self.received().into_iter().find(|one| one.kind() == kind)).await
    }
}

impl Person {
    /// Makes an endpoint at the receiver for these types of events, and returns the answer.
    pub async fn webhook(&self, receiver: &Receiver, types: &[&str]) -> crate::client::Answer {
        let webhook = json!({"url": receiver.url(), "event_types": types});
        self.http.post("/v1/webhooks", webhook).await.expect(201)
    }

    /// The calls of an endpoint, oldest first.
    pub async fn webhook_deliveries(&self, webhook_id: &str) -> Vec<Value> {
        let path = format!("/v1/webhooks/{webhook_id}/deliveries?limit=200");
        let mut deliveries = self.http.all(&path).await;
        deliveries.reverse();
        deliveries
    }

    /// Waits until an endpoint has been called so often, as its history says.
    pub async fn wait_for_webhook_deliveries(&self, webhook_id: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} calls of {webhook_id}"), async || {
            let deliveries = self.webhook_deliveries(webhook_id).await;
            (deliveries.len() >= count).then_some(deliveries)
        })
        .await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a request while it is in progress, also when the other side gives up.
struct InFlight(Arc<Shared>);

impl InFlight {
    fn begin(shared: &Arc<Shared>) -> Self {
        let now = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_in_flight.fetch_max(now, Ordering::SeqCst);
        Self(shared.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let _in_flight = InFlight::begin(&shared);
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let target = parts.uri.to_string();
    // Decided with the lock held, so that order of requests and of replies agree.
    let reply = {
        let mut received = lock(&shared.received);
        received.push(Received { target, headers: parts.headers, body });
        let next = lock(&shared.next).pop_front();
        next.or_else(|| lock(&shared.usual).clone()).unwrap_or_else(|| Reply::status(200))
    };
    if reply.hangs {
        pending::<()>().await;
    }
    if let Some(wait) = reply.after {
        tokio::time::sleep(wait).await;
    }
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap();
    for (name, value) in reply.headers {
        let value = HeaderValue::from_str(&value).unwrap();
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}
