//! Where a role is asked: over HTTP, or over its control socket.

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

use crate::config::Config;
use crate::control::{self, Answer, DEFAULT_SOCKET};
use crate::status::Status;

/// The port that the examples have, for those who leave it out.
const PORT: u16 = 9464;
/// The longest document: that of a host with thousands of SAs.
const LONGEST: usize = 64 << 20;

/// Where a role is asked for its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Host and port of its HTTP server.
    Http(String),
    /// Its control socket.
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
            Some(scheme) => return Err(format!("{expected}: {scheme} is not spoken")),
        }
        let Some(authority) = uri.authority() else {
            return Err(format!("{expected}, got {text:?}"));
        };
        let port = authority.port_u16().unwrap_or(PORT);
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

impl Endpoint {
    /// Where a role is asked if nothing else is said.
    pub fn usual() -> Self {
        Self::Socket(DEFAULT_SOCKET.into())
    }

    /// Where a role on this host is asked that runs with this configuration.
    ///
    /// # Errors
    /// The file is none, or has neither `[http]` nor `[control]`.
    pub fn of_config(file: &Path) -> anyhow::Result<Self> {
        let contacts = Config::contacts(file)?;
        match (contacts.http, contacts.control) {
            (Some(address), _) => Ok(Self::Http(reachable(address).to_string())),
            (None, Some(socket)) => Ok(Self::Socket(socket)),
            (None, None) => bail!(
                "{}: the role cannot be asked; it needs a section [http] or [control]",
                file.display()
            ),
        }
    }

    /// Asks for the status.
    ///
    /// # Errors
    /// Nobody answers there, or somebody else.
    pub async fn ask(&self) -> anyhow::Result<Status> {
        match self {
            Self::Http(authority) => over_http(authority).await,
            Self::Socket(path) => over_socket(path).await,
        }
    }
}

/// An address that stands for all of a host's is asked on the host itself.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

async fn over_socket(path: &Path) -> anyhow::Result<Status> {
    let answer = control::inquire(path, &control::Request::Status {}).await;
    match answer.map_err(|error| with_remedy(&error, "control"))? {
        Answer::Status(status) => Ok(*status),
        Answer::Refused(sentence) => bail!("{sentence}"),
        _ => bail!("the answer is none to what was asked"),
    }
}

async fn over_http(authority: &str) -> anyhow::Result<Status> {
    let stream = TcpStream::connect(authority).await;
    let stream = stream.map_err(|error| with_remedy(&error, "http"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/status")
        .header(HOST, authority)
        .body(Empty::<Bytes>::new())?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let code = answer.status();
        if !code.is_success() {
            bail!("GET /status was answered with {code}");
        }
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| anyhow!("no whole answer: {error}"))?;
        serde_json::from_slice(&body.to_bytes())
            .context("the answer is no status document of this version")
    };
    // Moves what the exchange waits for.
    let connection = tokio::spawn(connection);
    let status = exchange.await;
    connection.abort();
    status
}

/// What can be done about it where nobody listens, or where one may not ask.
fn with_remedy(error: &io::Error, section: &str) -> anyhow::Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            anyhow!("{error}: does the role run, with [{section}] in its configuration?")
        }
        ErrorKind::PermissionDenied => {
            anyhow!("{error}: only the user that the role runs as may ask, and root")
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
    fn an_address_for_all_is_asked_here() {
        let reached = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(reached("[::]:1"), "[::1]:1");
        assert_eq!(reached("10.1.0.100:1"), "10.1.0.100:1");
    }
}
