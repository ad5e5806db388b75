//! The role's end of the control socket.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::MAX_LINE;
use super::protocol::{Answer, Request};

/// Connections at a time: whoever asks does so once and goes.
const CONNECTIONS: usize = 16;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 16;
/// A connection that says nothing for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process serves it.
    #[error(
        "{} is served by another process; give each role on this host a [control] socket of its own",
        path.display()
    )]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else stands there.
    #[error("{} exists and is no socket; remove it, or choose another path", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot listen on {} (control.socket): {error}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
}

/// The socket, listening; removed when dropped.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    listener: UnixListener,
}

impl Socket {
    /// Listens at `path`, open to this process's user only. A socket that nobody serves any more
    /// is replaced. The directory is made if it alone is missing.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |error: io::Error| SocketError::Io {
            path: path.to_owned(),
            error,
        };
        make_directory(path).map_err(failed)?;
        make_way(path)?;
        let listener = listen(path).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            listener,
        })
    }

    /// Answers requests, each connection's in turn. `answer` may wait for disk and workers.
    ///
    /// # Errors
    /// Those of the listener.
    pub async fn serve(
        &self,
        answer: impl Fn(Request) -> Answer + Send + Sync + 'static,
    ) -> io::Result<()> {
        let answer: Arc<Answerer> = Arc::new(answer);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    let (stream, _) = accepted?;
                    if connections.len() < CONNECTIONS {
                        connections.spawn(converse(stream, answer.clone()));
                    }
                    // One too many is closed at once, and its peer reads no answer.
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Whatever is left is found and replaced by the next start.
        let _ = fs::remove_file(&self.path);
    }
}

type Answerer = dyn Fn(Request) -> Answer + Send + Sync;

fn make_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent != Path::new("") && !parent.exists() => {
            DirBuilder::new().mode(0o700).create(parent)
        }
        _ => Ok(()),
    }
}

/// Removes the socket of a process that is gone.
fn make_way(path: &Path) -> Result<(), SocketError> {
    let failed = |error| SocketError::Io {
        path: path.to_owned(),
        error,
    };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NotASocket {
            path: path.to_owned(),
        });
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
        Ok(_) => Err(SocketError::InUse {
            path: path.to_owned(),
        }),
    }
}

/// A socket accepts nobody before it listens, so nobody gets in before its rights are set.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    rustix::net::listen(&socket, BACKLOG)?;
    UnixListener::from_std(socket.into())
}

/// A connection's life.
async fn converse(mut stream: UnixStream, answer: Arc<Answerer>) {
    if !is_authorised(&stream) {
        let refusal = "not authorised: this socket serves the user that the role runs as, and root";
        let _ = say(&mut stream, &Answer::Refused(refusal.to_owned())).await;
        return;
    }
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut stream).take(MAX_LINE as u64);
        match timeout(IDLE, bounded.read_until(b'\n', &mut line)).await {
            Ok(Ok(0)) | Ok(Err(_)) | Err(_) => return,
            Ok(Ok(_)) => {}
        }
        let whole = line.ends_with(b"\n");
        let answered = match (whole, serde_json::from_slice(&line)) {
            (false, _) => Answer::Refused(format!(
                "expected a request in one line of at most {MAX_LINE} bytes"
            )),
            (true, Err(error)) => {
                Answer::Refused(format!("the request is not understood: {error}"))
            }
            (true, Ok(request)) => {
                let answer = answer.clone();
                match spawn_blocking(move || answer(request)).await {
                    Ok(answered) => answered,
                    // The thread panicked, which the log has.
                    Err(_) => return,
                }
            }
        };
        if say(stream.get_mut(), &answered).await.is_err() || !whole {
            return;
        }
    }
}

/// The mode of the socket's file says the same; this holds also if somebody has changed that.
fn is_authorised(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

async fn say(stream: &mut UnixStream, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    timeout(IDLE, stream.write_all(&line)).await?
}
