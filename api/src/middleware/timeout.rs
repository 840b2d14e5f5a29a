//! The time limit of requests. It starts anew with every piece of the body that comes, so that
//! slow lines can upload and stalled ones are cut off.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use axum::{
    body::{Body, HttpBody as _},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::{StreamExt as _, stream};
use posthouse_core::Error;
use tokio::sync::Notify;

use crate::{
    problem::{HttpCode, Problem},
    state::ApiState,
};

/// No request takes longer than this, however steadily its body drips.
const AT_MOST: Duration = Duration::from_mins(15);

#[derive(Default)]
struct Progress {
    moved: Notify,
    complete: AtomicBool,
}

/// Answers for a handler that takes too long.
pub(crate) async fn limit_time(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Response {
    let progress = Arc::new(Progress::default());
    let request = request.map(|body| watched(body, &progress));
    let mut work = std::pin::pin!(next.run(request));
    let deadline = tokio::time::sleep(AT_MOST);
    let mut deadline = std::pin::pin!(deadline);
    loop {
        tokio::select! {
            answer = &mut work => return answer,
            () = progress.moved.notified() => {}
            () = &mut deadline => return too_late(&progress),
            () = tokio::time::sleep(state.limits.request_timeout) => return too_late(&progress),
        }
    }
}

/// The same body, telling of every piece that comes.
fn watched(body: Body, progress: &Arc<Progress>) -> Body {
    if body.is_end_stream() {
        progress.complete.store(true, Ordering::Relaxed);
        return body;
    }
    let (moving, ending) = (Arc::clone(progress), Arc::clone(progress));
    let pieces = body.into_data_stream().inspect(move |_| moving.moved.notify_one());
    let end = stream::poll_fn(move |_| {
        ending.complete.store(true, Ordering::Relaxed);
        Poll::Ready(None)
    });
    Body::from_stream(pieces.chain(end))
}

fn too_late(progress: &Progress) -> Response {
    if progress.complete.load(Ordering::Relaxed) {
        Problem::from(Error::unavailable("the handler took too long")).into_response()
    } else {
        let detail = "the request body stopped coming";
        Problem::http(HttpCode::RequestTimeout, detail).into_response()
    }
}
