//! The control socket of a running role: a UNIX stream socket, a request a line, an answer a line,
//! both JSON. `protocol` has what goes over it, `server` the role's end, `client` that of
//! `causeway local`.

mod client;
mod protocol;
mod server;

pub use client::{ClientError, Conversation, ask, inquire};
pub use protocol::{Answer, Listed, NewGateway, NewSa, NewWeight, Request, Which};
pub use server::{Socket, SocketError};

/// Where the socket is if nothing else is written.
pub const DEFAULT_SOCKET: &str = "/run/causeway/control.sock";
/// The longest line, its newline included: a path of the longest kind and some names.
const MAX_LINE: usize = 8192;
