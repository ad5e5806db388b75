//! The server of the control socket.

use std::convert::Infallible;
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
use tokio::time::{sleep, timeout};

use causeway_api::control::{Answer, MAX_REQUEST, Request};

use crate::transient::{RETRY_DELAY, Transient};

/// Simultaneous connections. A client needs one only for its request.
const CONNECTIONS: usize = 16;
const BACKLOG: i32 = 16;
/// The time after which an idle connection is closed.
const IDLE: Duration = Duration::from_secs(60);

/// Why the control socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error(
        "another process serves {}; configure a different [control] socket for each role on this host",
        path.display()
    )]
    InUse { path: PathBuf },
    #[error("{} exists and is no socket; remove it, or choose another path", path.display())]
    NotASocket { path: PathBuf },
    #[error("cannot listen on {} (control.socket): {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
}

/// The listening socket. It is removed when dropped.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    listener: UnixListener,
}

impl Socket {
    /// Listens at `path`. Only the user of this process can connect. A socket that no process serves is replaced. The directory
    /// is created if its parent exists.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |error: io::Error| SocketError::Io {
            path: path.to_owned(),
            error,
        };
        make_directory(path).map_err(failed)?;
        remove_stale(path)?;
        let listener = listen(path).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            listener,
        })
    }

    /// Answers requests. Those of one connection are answered in order. `answer` may wait for the disk and for workers.
    /// Failures of the listener are counted.
    pub async fn serve(
        &self,
        answer: impl Fn(Request) -> Answer + Send + Sync + 'static,
        failures: Transient,
    ) -> Infallible {
        let answer: Arc<Answerer> = Arc::new(answer);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        if connections.len() < CONNECTIONS {
                            connections.spawn(serve_connection(stream, answer.clone()));
                        }
                        // A connection beyond the limit is closed without an answer.
                    }
                    Err(error) => {
                        failures.count("cannot accept a connection of the control socket", &error);
                        sleep(RETRY_DELAY).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The next start replaces a socket that could not be removed.
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

/// Removes the socket of a process that has ended.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
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

/// Sets the permissions before the socket listens, so that no other user can connect in between.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    rustix::net::listen(&socket, BACKLOG)?;
    UnixListener::from_std(socket.into())
}

/// Answers the requests of a connection until it is closed.
async fn serve_connection(mut stream: UnixStream, answer: Arc<Answerer>) {
    if !is_authorised(&stream) {
        let refusal = "not authorised: this socket serves the user that the role runs as, and root";
        let _ = send(&mut stream, &Answer::Refused(refusal.to_owned())).await;
        return;
    }
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut stream).take(MAX_REQUEST as u64);
        match timeout(IDLE, bounded.read_until(b'\n', &mut line)).await {
            Ok(Ok(0)) | Ok(Err(_)) | Err(_) => return,
            Ok(Ok(_)) => {}
        }
        let complete = line.ends_with(b"\n");
        let answered = match (complete, serde_json::from_slice(&line)) {
            (false, _) => Answer::Refused(format!(
                "expected a request in one line of at most {MAX_REQUEST} bytes"
            )),
            (true, Err(error)) => Answer::Refused(format!("invalid request: {error}")),
            (true, Ok(request)) => {
                let answer = answer.clone();
                match spawn_blocking(move || answer(request)).await {
                    Ok(answered) => answered,
                    // The thread panicked; its message is in the log.
                    Err(_) => return,
                }
            }
        };
        if send(stream.get_mut(), &answered).await.is_err() || !complete {
            return;
        }
    }
}

/// Checks the user of a connection. The mode of the socket has the same effect, unless it was changed.
fn is_authorised(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

async fn send(stream: &mut UnixStream, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    timeout(IDLE, stream.write_all(&line)).await?
}
