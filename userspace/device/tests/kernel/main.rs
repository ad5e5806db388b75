//! Tests of AF_XDP over a veth pair in a separate network namespace. They need root and fail without it.

mod budget;
mod errors;
mod huge_pages;
mod namespace;
mod receive;
mod sockets;
mod transmit;
mod wire;
mod xdp;
