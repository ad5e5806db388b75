//! The log of refused datagrams. Its rate is limited, because any host can send datagrams.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The least time between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

/// Logs refused datagrams, at most one line per [`INTERVAL`].
#[derive(Debug, Default)]
pub struct RateLimitedLog {
    last_line: Option<Instant>,
    /// Datagrams that were refused since the last line.
    refused: u64,
}

impl RateLimitedLog {
    /// Counts a refused datagram, and logs it if a line is due.
    pub fn refused(&mut self, from: SocketAddr, error: &dyn Display) {
        self.refused += 1;
        if self.last_line.is_some_and(|last| last.elapsed() < INTERVAL) {
            return;
        }
        tracing::warn!(%from, %error, datagrams = self.refused, "refused datagrams on the port of demuxes and gateways");
        self.last_line = Some(Instant::now());
        self.refused = 0;
    }
}
