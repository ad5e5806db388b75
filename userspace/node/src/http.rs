//! The HTTP server: `/metrics`, `/status` and `/healthz`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{Id, JoinSet};
use tokio::time::{sleep, timeout};

use crate::metrics;
use crate::transient::{RETRY_DELAY, Transient};
use causeway_api::status::{NotReady, Status};

/// Simultaneous connections. Further ones are closed without an answer.
const CONNECTIONS: usize = 64;
/// Simultaneous connections from one source, so that no source takes the places of the others.
const CONNECTIONS_OF_A_SOURCE: usize = 16;
/// The life of a connection. It carries one request, so this also ends those that send no request or read no answer.
const LIFE: Duration = Duration::from_secs(10);

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

/// Serves the status that `source` returns. Failures of the listener are counted.
pub async fn serve(
    listener: TcpListener,
    source: impl Fn() -> Status + Send + Sync + 'static,
    failures: Transient,
) -> Infallible {
    let source: Source = Arc::new(source);
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/healthz", get(health))
        .with_state(source);
    let mut connections = JoinSet::new();
    let mut sources: HashMap<Id, IpAddr> = HashMap::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let from = network(peer.ip());
                    let of_source = sources.values().filter(|&&source| source == from).count();
                    if sources.len() < CONNECTIONS && of_source < CONNECTIONS_OF_A_SOURCE {
                        let task = connections.spawn(serve_connection(stream, router.clone()));
                        sources.insert(task.id(), from);
                    }
                }
                Err(error) => {
                    failures.count("cannot accept an HTTP connection", &error);
                    sleep(RETRY_DELAY).await;
                }
            },
            Some(ended) = connections.join_next_with_id() => {
                let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                sources.remove(&id);
            }
        }
    }
}

/// What counts as one source: an IPv4 address, or the 64 bits of an IPv6 address that a network assigns.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        ipv4 => ipv4,
    }
}

async fn serve_connection(stream: TcpStream, router: Router) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that sends no valid request, or is too slow, has no other use for the error than its closed connection.
    let _ = timeout(LIFE, connection).await;
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

async fn health(State(source): State<Source>) -> (StatusCode, String) {
    let status = source();
    if status.ready {
        return (StatusCode::OK, String::from("ready\n"));
    }
    let mut text = String::from("not ready\n");
    for NotReady { reason, detail } in &status.not_ready {
        text.push_str(&format!("{}: {detail}\n", reason.name()));
    }
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

fn failure(error: &dyn std::error::Error) -> Response {
    let text = format!("{error}\n");
    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}
