//! One corpus of packets for the host's verdict and for the kernel program's.

pub mod corpus;
pub mod packet;
pub mod world;
