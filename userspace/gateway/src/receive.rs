//! Receive: takes a burst from the receive rings.

use causeway_device::{Device, Diagnostics};

use crate::burst::Burst;
use crate::counters::Counters;
use crate::io::Io;
use crate::stages::Stage;
use crate::timer::Timer;

/// Receives at most `max` packets. Returns their number.
#[inline]
pub(crate) fn receive<D: Device + Diagnostics>(
    burst: &mut Burst<D::Frame>,
    max: usize,
    io: &mut Io<D>,
    timer: &mut Timer,
    counters: &Counters,
) -> usize {
    timer.lap(Stage::Control, 0);
    let count = io.device.receive(&mut burst.received, max);
    timer.lap(Stage::Receive, count);
    if count > 0 {
        counters.profile.burst(count);
        timer.sample_rings(count, || io.device.occupancy());
    }
    io.totals.received += count as u64;
    count
}
