//! The larger commands of the `causeway` binary, which is `main.rs`. Roles run in `causeway-node`; `causeway-config`
//! reads configurations.

pub mod explain;
pub mod local;
pub mod top;
pub mod tune;
