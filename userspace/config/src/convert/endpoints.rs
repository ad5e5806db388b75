//! The endpoints of a role: HTTP and the control socket.

use std::net::SocketAddr;
use std::path::PathBuf;

use causeway_api::control::DEFAULT_SOCKET;
use toml::Spanned;

use crate::file::{self, File};
use crate::report::Report;

/// The endpoints that a role serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// The address of the HTTP server.
    pub http: Option<SocketAddr>,
    /// The path of the control socket.
    pub control: Option<PathBuf>,
}

pub(crate) fn convert(file: &File, report: &mut Report<'_>) -> Option<Endpoints> {
    let http = match &file.http {
        Some(http) => listen(&http.listen, report).map(Some),
        None => Some(None),
    };
    let control = match &file.control {
        Some(control) => socket(control, report).map(Some),
        None => Some(None),
    };
    Some(Endpoints {
        http: http?,
        control: control?,
    })
}

fn listen(text: &Spanned<String>, report: &mut Report<'_>) -> Option<SocketAddr> {
    let listen = text.get_ref().parse();
    if listen.is_err() {
        report.error(
            text.span(),
            "http.listen",
            format_args!(
                "{:?} is not an address and a port; write it as \"127.0.0.1:9464\"",
                text.get_ref()
            ),
        );
    }
    listen.ok()
}

/// The longest path of a UNIX socket: `sun_path` with its closing zero.
const MAX_SOCKET_PATH: usize = 107;

fn socket(control: &file::Control, report: &mut Report<'_>) -> Option<PathBuf> {
    let Some(written) = &control.socket else {
        return Some(DEFAULT_SOCKET.into());
    };
    let path = report.source().resolve(written.get_ref());
    let length = path.as_os_str().len();
    if written.get_ref().is_empty() || length > MAX_SOCKET_PATH {
        report.error(
            written.span(),
            "control.socket",
            format_args!(
                "expected a path of 1 to {MAX_SOCKET_PATH} bytes, its directory included, got {length}"
            ),
        );
        return None;
    }
    Some(path)
}
