//! The serde types that cross a process boundary, and the client of the control socket.
//!
//! - [`status`]: the status document.
//! - [`control`]: requests and answers of the control socket.
//! - [`explain`] and [`packet`]: query and trace of `causeway explain`.
//! - [`client`]: sends a request and reads the answer.

#![warn(missing_docs)]

pub mod client;
pub mod control;
pub mod explain;
pub mod packet;
pub mod status;
