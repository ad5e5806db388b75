//! The program's clock, and the pause after which an idle bucket changes its gateway.

use std::time::Duration;

use causeway_steering::bucket::clock;
use rustix::time::{ClockId, clock_gettime};

/// The shortest pause after which a bucket changes its gateway. A packet that the program has
/// redirected leaves this host only with the rest of its burst.
pub const LEAST_SKEW: Duration = Duration::from_millis(1);

/// The current time on the program's clock: see [`clock`].
pub fn now() -> u32 {
    let now = clock_gettime(ClockId::Monotonic);
    clock(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

/// A pause in units of the program's clock, at least [`LEAST_SKEW`].
pub(crate) fn pause(skew: Duration) -> u32 {
    // A pause of more than half the clock's range would count as a time in the future.
    let units = skew.max(LEAST_SKEW).as_nanos() >> 10;
    units.min(i32::MAX as u128) as u32
}
