//! One corpus of packets for the host's verdict and for the kernel program's, and what the verifier says of
//! the latter.

pub mod corpus;
pub mod packet;
pub mod verifier;
pub mod world;
