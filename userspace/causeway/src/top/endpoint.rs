//! Reads the status of a role over HTTP or over its control socket.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, anyhow, bail};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use causeway_api::client;
use causeway_api::control::{Answer, DEFAULT_SOCKET, Request as ControlRequest};
use causeway_api::status::Status;
use causeway_config::Config;

/// The port of a URL without one, as in the examples of docs/configuration.md.
const DEFAULT_PORT: u16 = 9464;
/// Limit for a status document. That of a host with thousands of SAs is smaller.
const MAX_DOCUMENT: usize = 64 << 20;

/// The server of a role's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Host and port of an HTTP server.
    Http(String),
    /// The path of a control socket.
    Socket(PathBuf),
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            "expected a URL such as http://10.1.0.100:9464, or the path of a control socket";
        if text.starts_with(['/', '.']) {
            return Ok(Self::Socket(text.into()));
        }
        let uri: Uri = text
            .parse()
            .map_err(|_| format!("{expected}, got {text:?}"))?;
        match uri.scheme_str() {
            None | Some("http") => {}
            Some(scheme) => return Err(format!("{expected}; {scheme} is not supported")),
        }
        let Some(authority) = uri.authority() else {
            return Err(format!("{expected}, got {text:?}"));
        };
        let port = authority.port_u16().unwrap_or(DEFAULT_PORT);
        Ok(Self::Http(format!("{}:{port}", authority.host())))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(authority) => write!(f, "http://{authority}"),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        Self::Socket(DEFAULT_SOCKET.into())
    }
}

impl Endpoint {
    /// The endpoint of a role on this host, from its configuration.
    ///
    /// # Errors
    /// The file is invalid, or has neither `[http]` nor `[control]`.
    pub fn from_config(file: &Path) -> anyhow::Result<Self> {
        let endpoints = Config::endpoints(file)?;
        match (endpoints.http, endpoints.control) {
            (Some(address), _) => Ok(Self::Http(reachable(address).to_string())),
            (None, Some(socket)) => Ok(Self::Socket(socket)),
            (None, None) => bail!(
                "{}: has no endpoint; add a section [http] or [control]",
                file.display()
            ),
        }
    }

    /// Reads the status.
    ///
    /// # Errors
    /// No server answers, or the server is not a role.
    pub async fn status(&self) -> anyhow::Result<Status> {
        match self {
            Self::Http(authority) => status_over_http(authority).await,
            Self::Socket(path) => status_over_socket(path).await,
        }
    }
}

/// The address to connect to: loopback if the server listens on all addresses.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

async fn status_over_socket(path: &Path) -> anyhow::Result<Status> {
    let answer = client::request_async(path, &ControlRequest::Status {}).await;
    match answer.map_err(|error| with_advice(&error, "control"))? {
        Answer::Status(status) => Ok(*status),
        Answer::Refused(reason) => bail!("{reason}"),
        _ => bail!("expected a status document, got another answer"),
    }
}

async fn status_over_http(authority: &str) -> anyhow::Result<Status> {
    let stream = TcpStream::connect(authority).await;
    let stream = stream.map_err(|error| with_advice(&error, "http"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/status")
        .header(HOST, authority)
        .body(Empty::<Bytes>::new())?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let code = answer.status();
        if !code.is_success() {
            bail!("expected success of GET /status, got {code}");
        }
        let body = Limited::new(answer.into_body(), MAX_DOCUMENT)
            .collect()
            .await;
        let body = body.map_err(|error| anyhow!("incomplete answer: {error}"))?;
        serde_json::from_slice(&body.to_bytes())
            .context("the answer is not a status document of this version")
    };
    // The connection's task moves the bytes of the exchange.
    let connection = tokio::spawn(connection);
    let status = exchange.await;
    connection.abort();
    status
}

/// The error, with advice if no role listens or access is denied.
fn with_advice(error: &io::Error, section: &str) -> anyhow::Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            anyhow!("{error}; check that the role runs and that its configuration has [{section}]")
        }
        ErrorKind::PermissionDenied => {
            anyhow!("{error}; only the role's user and root have access")
        }
        _ => anyhow!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_urls_or_paths() {
        let http = |authority: &str| Ok(Endpoint::Http(authority.to_owned()));
        let socket = |path: &str| Ok(Endpoint::Socket(path.into()));
        for (text, endpoint) in [
            ("http://10.1.0.100:9464", http("10.1.0.100:9464")),
            ("http://10.1.0.100:9464/", http("10.1.0.100:9464")),
            ("http://demux.example", http("demux.example:9464")),
            ("10.1.0.100:80", http("10.1.0.100:80")),
            ("http://[fd00::1]:9464", http("[fd00::1]:9464")),
            ("localhost", http("localhost:9464")),
            (
                "/run/causeway/control.sock",
                socket("/run/causeway/control.sock"),
            ),
            ("./control.sock", socket("./control.sock")),
        ] {
            assert_eq!(text.parse(), endpoint, "{text}");
        }
        for text in ["https://10.1.0.100", "", "http://", "a b"] {
            let refused = text.parse::<Endpoint>().unwrap_err();
            assert!(refused.starts_with("expected a URL"), "{text}: {refused}");
        }
    }

    #[test]
    fn the_unspecified_address_becomes_loopback() {
        let reached = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(reached("[::]:1"), "[::1]:1");
        assert_eq!(reached("10.1.0.100:1"), "10.1.0.100:1");
    }
}
