//! The asking end: one request, one answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    let stream = UnixStream::connect(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => ClientError::NotAuthorised {
            path: path.to_owned(),
        },
        _ => ClientError::NobodyThere {
            path: path.to_owned(),
            error,
        },
    })?;
    exchange(stream, request).map_err(|error| ClientError::Broken {
        path: path.to_owned(),
        error,
    })
}

fn patience(request: &Request) -> Duration {
    match request {
        Request::GatewayAdd(_)
        | Request::GatewayDrain(_)
        | Request::GatewayRemove(_)
        | Request::GatewayWeight(_) => PATIENCE_WITH_CHANGE,
        Request::SaList {}
        | Request::SaInstall(_)
        | Request::SaSwitch(_)
        | Request::SaRetire { .. }
        | Request::GatewayList {} => PATIENCE,
    }
}

fn exchange(mut stream: UnixStream, request: &Request) -> io::Result<Answer> {
    stream.set_read_timeout(Some(patience(request)))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream.take(MAX_ANSWER)).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}
