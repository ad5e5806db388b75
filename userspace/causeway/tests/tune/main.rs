//! `causeway tune` over made-up hosts: directories with a `/proc` and a `/sys`.

mod applying;
mod checks;
mod command;
mod laws;
#[path = "../support/mod.rs"]
mod support;
mod tree;
