//! `causeway tune` over made-up hosts: directories with a `/proc` and a `/sys`.

mod applying;
#[path = "../support/binary.rs"]
mod binary;
mod checks;
mod command;
mod laws;
#[path = "../support/mod.rs"]
mod support;
mod tree;
