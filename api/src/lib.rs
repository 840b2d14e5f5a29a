//! The HTTP door: JSON API, OpenAPI document, interactive reference, metrics and health.
//!
//! A handler extracts, calls one operation of the core and converts; no SQL, no policy, no retry.
//! Whatever goes wrong is answered as RFC 9457 problem details.
#![expect(unused_qualifications, reason = "utoipa's macros write qualified names")]

mod answer;
mod binary;
mod csv;
mod docs;
mod extract;
mod meta;
mod middleware;
mod openapi;
mod problem;
mod schema;
mod serve;
mod state;
mod unsubscribe;
mod v1;

use axum::{Router, extract::DefaultBodyLimit, routing::get};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

pub use openapi::{openapi, openapi_json};
pub use problem::errors_markdown;
pub use serve::serve;
pub use state::{ApiState, Limits};

/// All routes, with what surrounds every request.
pub fn router(state: ApiState) -> Router {
    let documented: Router<ApiState> = documented_routes(&state).split_for_parts().0;
    documented
        .merge(docs::router())
        .route("/", get(docs::to_docs))
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(axum::middleware::from_fn_with_state(state.clone(), middleware::observe))
        .with_state(state)
}

/// The routes that the OpenAPI document describes.
fn documented_routes(state: &ApiState) -> OpenApiRouter<ApiState> {
    let hasty = axum::middleware::from_fn_with_state(state.clone(), middleware::limit_time);
    // Only what waits on purpose is outside of the time limit.
    hasty_routes().layer(hasty).merge(v1::patient_router())
}

fn hasty_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(meta::router())
        .merge(unsubscribe::router())
        .merge(v1::well_known_router())
        .nest("/v1", v1::router())
}

/// The same routes without what surrounds them, for the document.
fn all_described() -> OpenApiRouter<ApiState> {
    hasty_routes().merge(v1::patient_router())
}
