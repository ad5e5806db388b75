//! Configuration, keys, status and metrics of the `causeway` binary.
//!
//! The binary wires the other crates together and has no logic of its own; what stands here is
//! what people write and read: [`config`] and [`key`] files, [`status`] and [`metrics`].

pub mod check;
pub mod config;
pub mod control;
pub mod explain;
pub mod host;
pub mod http;
pub mod key;
pub mod local;
pub mod metrics;
pub mod privileges;
pub mod reverse_path;
pub mod run;
pub mod sequence;
pub mod state;
pub mod status;
pub mod top;
pub mod tune;
pub mod wire;
