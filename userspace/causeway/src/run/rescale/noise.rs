//! What comes to the port and is none of ours: logged at a limited rate, since anybody can send it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use std::fmt::Display;

/// At most one line in this time.
const EVERY: Duration = Duration::from_secs(10);

/// What was heard since the last line.
#[derive(Debug, Default)]
pub struct Noise {
    said: Option<Instant>,
    unsaid: u64,
}

impl Noise {
    /// A datagram was refused.
    pub fn heard(&mut self, from: SocketAddr, error: &dyn Display) {
        self.unsaid += 1;
        if self.said.is_some_and(|said| said.elapsed() < EVERY) {
            return;
        }
        tracing::warn!(%from, %error, datagrams = self.unsaid, "refused what is no message of a demux or gateway");
        self.said = Some(Instant::now());
        self.unsaid = 0;
    }
}
