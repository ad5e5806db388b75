//! The client of the control socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::control::{Answer, Request};

/// The timeout of most requests. A role answers within a few seconds, even with a slow disk.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The timeout of a cluster change, which is answered after its last step. Each step has its own
/// timeout, and most take milliseconds. This one ends the wait for a role that hangs.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(600);
/// The longest answer: the list of all SAs of a host.
const MAX_ANSWER: u64 = 64 << 20;

/// A request failed without an answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No role listens on the socket.
    #[error(
        "no role serves {}: {error}. Start a role with [control] in its configuration, or give the \
         path of its socket with --socket",
        path.display()
    )]
    NotServed {
        /// The socket.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
    /// The socket does not belong to this user.
    #[error(
        "not authorised: only root and the user of the role can use {}",
        path.display()
    )]
    NotAuthorised {
        /// The socket.
        path: PathBuf,
    },
    /// The connection ended before the answer was complete.
    #[error("incomplete answer from {}: {error}; the log of the role may have the cause", path.display())]
    Interrupted {
        /// The socket.
        path: PathBuf,
        /// The error of the system.
        error: io::Error,
    },
}

/// Sends a request to the role that serves `path`, and waits for the answer.
///
/// # Errors
/// [`ClientError`]. A refusal is not an error but [`Answer::Refused`].
pub fn request(path: &Path, request: &Request) -> Result<Answer, ClientError> {
    Connection::open(path)?.request(request)
}

fn timeout(request: &Request) -> Duration {
    match request {
        Request::GatewayAdd(_)
        | Request::GatewayDrain(_)
        | Request::GatewayRemove(_)
        | Request::GatewayWeight(_) => CHANGE_TIMEOUT,
        Request::Status {}
        | Request::SaList {}
        | Request::SaInstall(_)
        | Request::SaSwitch(_)
        | Request::SaRetire { .. }
        | Request::GatewayList {}
        | Request::Explain(_) => TIMEOUT,
    }
}

/// A connection to a control socket for any number of requests.
#[derive(Debug)]
pub struct Connection {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Connection {
    /// Connects to the role that serves `path`.
    ///
    /// # Errors
    /// [`ClientError::NotServed`] or [`ClientError::NotAuthorised`].
    pub fn open(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => ClientError::NotAuthorised {
                path: path.to_owned(),
            },
            _ => ClientError::NotServed {
                path: path.to_owned(),
                error,
            },
        })?;
        Ok(Self {
            path: path.to_owned(),
            stream: BufReader::new(stream),
        })
    }

    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// [`ClientError::Interrupted`]. A refusal is not an error but [`Answer::Refused`].
    pub fn request(&mut self, request: &Request) -> Result<Answer, ClientError> {
        exchange(&mut self.stream, request).map_err(|error| ClientError::Interrupted {
            path: self.path.clone(),
            error,
        })
    }
}

/// Like [`request`], without blocking the thread and without a timeout.
///
/// # Errors
/// Errors of the connection. A refusal is not an error but [`Answer::Refused`].
#[cfg(feature = "tokio")]
pub async fn request_async(path: &Path, request: &Request) -> io::Result<Answer> {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::net;

    let mut stream = net::UnixStream::connect(path).await?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = String::new();
    let mut stream = BufReader::new(stream.take(MAX_ANSWER));
    stream.read_line(&mut answer).await?;
    Ok(serde_json::from_str(&answer)?)
}

fn exchange(stream: &mut BufReader<UnixStream>, request: &Request) -> io::Result<Answer> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    let socket = stream.get_mut();
    socket.set_read_timeout(Some(timeout(request)))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    socket.write_all(&line)?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}
