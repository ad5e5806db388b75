//! The HTTP server: `/metrics`, `/status` and `/healthz`.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics;
use causeway_api::status::Status;

type Source = Arc<dyn Fn() -> Status + Send + Sync>;

/// Binds the configured address.
///
/// # Errors
/// The address cannot be bound.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (http.listen)"))
}

/// Serves the status that `source` returns. Returns only with an error.
///
/// # Errors
/// Those of the listener.
pub async fn serve(
    listener: TcpListener,
    source: impl Fn() -> Status + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let source: Source = Arc::new(source);
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/healthz", get(health))
        .with_state(source);
    axum::serve(listener, router)
        .await
        .context("the HTTP server failed")
}

async fn metrics(State(source): State<Source>) -> Response {
    match metrics::text(&source()) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => failure(&error),
    }
}

async fn status(State(source): State<Source>) -> Response {
    match serde_json::to_string(&source()) {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(error) => failure(&error),
    }
}

async fn health(State(source): State<Source>) -> (StatusCode, &'static str) {
    if source().ready {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

fn failure(error: &dyn std::error::Error) -> Response {
    let text = format!("{error}\n");
    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}
