//! The load that iperf3 generates.

/// The load of one run.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// TCP connections.
    pub streams: u16,
    /// Duration in seconds, without the warm-up.
    pub duration: u32,
    /// Seconds at the start that do not count.
    pub warm_up: u32,
    /// TCP's congestion control; absent: the machine's default.
    pub congestion: Option<&'static str>,
    /// Maximum bytes in flight of all connections together; absent: TCP decides, and fills the queues until they drop.
    pub window: Option<u32>,
}

impl Load {
    /// Connections without a warm-up, as fast as TCP sends.
    pub fn new(streams: u16, duration: u32) -> Self {
        Self {
            streams,
            duration,
            warm_up: 0,
            congestion: None,
            window: None,
        }
    }
}
