//! Tests of the crate with a real kernel. They need root. Each test creates its own network namespaces, removes
//! them at its end, and changes nothing else on the host.

mod guard;
mod interface;
mod ipv6;
mod namespaces;
mod retries;
mod watcher;
