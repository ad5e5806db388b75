//! `causeway tune` on fake hosts: directories with a `/proc` and a `/sys`.

mod apply;
#[path = "../support/binary.rs"]
mod binary;
mod checks;
mod command;
mod fake_host;
mod properties;
