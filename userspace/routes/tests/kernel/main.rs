//! The crate against a real kernel. These tests need root: each makes network namespaces of its
//! own and removes them, and touches nothing else on the machine.

mod interface;
mod ipv6;
mod namespaces;
mod silence;
mod watcher;
