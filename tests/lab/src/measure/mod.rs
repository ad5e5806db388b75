//! What is measured in a lab. Each measurement gives figures and the [`Fact`]
//! that follows from them; none is assumed.
//!
//! [`Fact`]: crate::Fact

pub mod busy;
pub mod capture;
pub mod clock;
pub mod echo;
pub mod flood;
pub mod frame;
pub mod iperf;
pub mod laws;
pub mod links;
pub mod load;
pub mod marker;
pub mod pairs;
pub mod pcap;
pub mod probe;
pub mod rekey;
pub mod rescale;
pub mod stream;
pub mod survey;
pub mod tally;
pub mod transfer;
pub mod window;

/// Requests of the pair check go here.
pub const ECHO_PORT: u16 = 7001;
/// The numbered probe goes here.
pub const PROBE_PORT: u16 = 7002;
/// The marker stream goes here, by UDP and TCP.
pub const STREAM_PORT: u16 = 7003;
/// The numbered flood goes here.
pub const FLOOD_PORT: u16 = 7004;
/// iperf3's own port.
pub const IPERF_PORT: u16 = 5201;
