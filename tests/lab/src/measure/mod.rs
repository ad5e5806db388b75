//! The measurements in a lab. Each gives figures, and a [`Fact`] that is judged by them.
//!
//! [`Fact`]: crate::Fact

pub mod capture;
pub mod cpu_time;
pub mod direction;
pub mod echo;
pub mod flood;
pub mod frame;
pub mod invariants;
pub mod iperf;
pub mod links;
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
pub mod under_load;
pub mod volumes;
pub mod window;

/// Destination port of the requests of [`pairs`].
pub const ECHO_PORT: u16 = 7001;
/// Destination port of the numbered probe.
pub const PROBE_PORT: u16 = 7002;
/// Destination port of the marked stream, by UDP and TCP.
pub const STREAM_PORT: u16 = 7003;
/// Destination port of the numbered flood.
pub const FLOOD_PORT: u16 = 7004;
/// Port of an iperf3 server.
pub const IPERF_PORT: u16 = 5201;
