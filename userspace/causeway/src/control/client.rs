//! The asking end: one request, one answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as AsyncBufReader};
use tokio::net;

use super::protocol::{Answer, Request};

/// A role answers within a few seconds, whatever its disk does.
const PATIENCE: Duration = Duration::from_secs(30);
/// A change of a cluster is answered when it is done. Each of its steps has a limit of its own, and
/// most take milliseconds; this one is for a role that hangs.
const PATIENCE_WITH_CHANGE: Duration = Duration::from_secs(600);
/// The longest answer: a list of all the SAs that a host can have.
const MAX_ANSWER: u64 = 64 << 20;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no role serves {}: {error}. Does one run, with [control] in its configuration? Another \
         path is given with --socket",
        path.display()
    )]
    NobodyThere {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// The socket belongs to somebody else.
    #[error(
        "not authorised: {} is open only to the user that the role runs as, and to root",
        path.display()
    )]
    NotAuthorised {
        /// The socket.
        path: PathBuf,
    },
    /// The connection broke off.
    #[error("no whole answer from {}: {error}; the role's log may say more", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
}

/// Asks the role that serves `path`.
///
/// # Errors
/// [`ClientError`]; a refusal is an [`Answer`].
pub fn ask(path: &Path, request: &Request) -> Result<Answer, ClientError> {
    Conversation::with(path)?.ask(request)
}

fn patience(request: &Request) -> Duration {
    match request {
        Request::GatewayAdd(_)
        | Request::GatewayDrain(_)
        | Request::GatewayRemove(_)
        | Request::GatewayWeight(_) => PATIENCE_WITH_CHANGE,
        Request::Status {}
        | Request::SaList {}
        | Request::SaInstall(_)
        | Request::SaSwitch(_)
        | Request::SaRetire { .. }
        | Request::GatewayList {}
        | Request::Explain(_) => PATIENCE,
    }
}

/// A connection, over which one question follows another.
#[derive(Debug)]
pub struct Conversation {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Conversation {
    /// Connects to the role that serves `path`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn with(path: &Path) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(path).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => ClientError::NotAuthorised {
                path: path.to_owned(),
            },
            _ => ClientError::NobodyThere {
                path: path.to_owned(),
                error,
            },
        })?;
        Ok(Self {
            path: path.to_owned(),
            stream: BufReader::new(stream),
        })
    }

    /// Asks once more.
    ///
    /// # Errors
    /// [`ClientError::Broken`]; a refusal is an [`Answer`].
    pub fn ask(&mut self, request: &Request) -> Result<Answer, ClientError> {
        exchange(&mut self.stream, request).map_err(|error| ClientError::Broken {
            path: self.path.clone(),
            error,
        })
    }
}

/// As [`ask`], without keeping the thread, and as long as the caller waits.
///
/// # Errors
/// Those of the connection; a refusal is an [`Answer`].
pub async fn inquire(path: &Path, request: &Request) -> io::Result<Answer> {
    let mut stream = net::UnixStream::connect(path).await?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    let mut answer = String::new();
    let mut stream = AsyncBufReader::new(stream.take(MAX_ANSWER));
    stream.read_line(&mut answer).await?;
    Ok(serde_json::from_str(&answer)?)
}

fn exchange(stream: &mut BufReader<UnixStream>, request: &Request) -> io::Result<Answer> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    let socket = stream.get_mut();
    socket.set_read_timeout(Some(patience(request)))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.write_all(&line)?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}
