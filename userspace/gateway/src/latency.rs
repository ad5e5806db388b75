//! The histogram of the time from receive to transmit.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest time that is distinguished. A packet that waits for a neighbour waits up to a second.
const LONGEST: Duration = Duration::from_secs(10);

/// An empty histogram of nanoseconds, from 1 ns to 10 s with a resolution of 1 %. It allocates all of its memory here, so
/// that recording does not; longer times count as the longest.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 2)
        .expect("bounds that hdrhistogram accepts: low >= 1, high >= 2 * low, 0 to 5 digits")
}
