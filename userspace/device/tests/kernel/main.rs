//! AF_XDP over a veth pair in a network namespace of the test's own. These tests need root, and
//! fail without it.

mod budget;
mod errors;
mod huge_pages;
mod namespace;
mod receive;
mod sockets;
mod transmit;
mod wire;
mod xdp;
