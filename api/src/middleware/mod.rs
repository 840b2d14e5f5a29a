//! What surrounds every request: request id, span, problems, headers, metrics, access log, time.

mod facts;
mod headers;
mod timeout;

use std::time::Instant;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use tracing::Instrument as _;

pub(crate) use timeout::limit_time;

use crate::{
    extract::{AllowanceNote, RequestId, RequestMemory},
    problem,
    state::ApiState,
};
use facts::Facts;

/// Counts a request as long as it lives, also when the client goes away in between.
struct InFlight;

impl InFlight {
    fn enter() -> Self {
        metrics::gauge!("posthouse_http_requests_in_flight").increment(1.0);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!("posthouse_http_requests_in_flight").decrement(1.0);
    }
}

/// The outermost layer.
pub(crate) async fn observe(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Response {
    let facts = Facts::of(&request, state.platform.now());
    request.extensions_mut().insert(RequestId(facts.id));
    let memory = RequestMemory::default();
    request.extensions_mut().insert(memory.clone());
    let allowance = AllowanceNote::default();
    request.extensions_mut().insert(allowance.clone());
    let span = facts.span();
    let in_flight = InFlight::enter();
    let started = Instant::now();
    let answer = next.run(request).instrument(span.clone()).await;
    drop((in_flight, memory));
    span.in_scope(|| {
        let mut answer = problem::render(answer, facts.id);
        headers::complete(&mut answer, facts.id);
        headers::tell(&mut answer, allowance.get());
        facts.record(answer.status(), started.elapsed());
        answer
    })
}
