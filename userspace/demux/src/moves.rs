//! Buckets that go over to another gateway while the program runs.

use std::time::Duration;

use aya::maps::{Array, MapData};
use causeway_steering::bucket::clock;
use causeway_steering::maps::Host;
use causeway_steering::{BUCKETS, Bucket};
use rustix::thread::{MembarrierCommand, membarrier};
use rustix::time::{ClockId, clock_gettime};

use crate::program::{Program, ProgramError, in_map};

pub(crate) const MAP: &str = "BUCKETS";

/// The least pause after which a bucket goes over. A packet that the program has redirected leaves
/// this host only with the rest of its burst.
pub const LEAST_SKEW: Duration = Duration::from_millis(1);

/// What the program's clock says now: see [`clock`].
pub fn now() -> u32 {
    let now = clock_gettime(ClockId::Monotonic);
    clock(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

/// A pause in the program's units, at least [`LEAST_SKEW`].
pub(crate) fn pause(skew: Duration) -> u32 {
    // Half the clock's round: beyond it a pause would pass for the future.
    let units = skew.max(LEAST_SKEW).as_nanos() >> 10;
    units.min(i32::MAX as u128) as u32
}

impl Program {
    /// Gives buckets of a peering to a gateway, at once, and returns when no CPU steers by what was
    /// there before: whatever the program redirected so far has left for its gateway. Waits for that
    /// some ten milliseconds.
    ///
    /// # Errors
    /// Where the kernel refuses a write, or to wait.
    pub fn assign(
        &mut self,
        peering: u32,
        buckets: impl IntoIterator<Item = u32>,
        gateway: u32,
    ) -> Result<(), ProgramError> {
        let mut entries = self.entries()?;
        for bucket in buckets {
            write(
                &mut entries,
                peering,
                bucket,
                Bucket::direct(gateway as u16),
            )?;
        }
        // An RCU grace period: the program runs, and its redirects are flushed, with softirqs off.
        membarrier(MembarrierCommand::Global).map_err(ProgramError::GracePeriod)
    }

    /// Lets buckets of a peering go over to a gateway, each as soon as nothing came for it for the
    /// time of [`Program::set_skew`]. One that already moves, moves to this gateway instead; it must not go
    /// over in between, so a skew that no pause reaches has to be set before.
    ///
    /// # Errors
    /// Where the kernel refuses to be read or written.
    pub fn assign_when_idle(
        &mut self,
        peering: u32,
        buckets: impl IntoIterator<Item = u32>,
        gateway: u32,
    ) -> Result<(), ProgramError> {
        let mut entries = self.entries()?;
        for bucket in buckets {
            let carried_by = read(&entries, peering, bucket)?.gateway;
            let moving = Bucket::moving(carried_by, gateway as u16, now());
            write(&mut entries, peering, bucket, moving)?;
        }
        Ok(())
    }

    /// Those of `buckets` that have gone over, or never moved. One that is idle and of which the
    /// program has not seen a packet since goes over here: the program would decide the same at any
    /// later time.
    ///
    /// # Errors
    /// Where the kernel refuses to be read or written.
    pub fn settle(
        &mut self,
        peering: u32,
        buckets: impl IntoIterator<Item = u32>,
    ) -> Result<Vec<u32>, ProgramError> {
        let skew = self.host()?.skew;
        let mut entries = self.entries()?;
        let mut settled = Vec::new();
        for bucket in buckets {
            let entry = read(&entries, peering, bucket)?;
            if entry.is_moving() {
                if !entry.is_idle(now(), skew) {
                    continue;
                }
                write(&mut entries, peering, bucket, Bucket::direct(entry.next))?;
            }
            settled.push(bucket);
        }
        Ok(settled)
    }

    /// Sets how much longer than another one way to the peer may be, at least [`LEAST_SKEW`]: a
    /// bucket without a packet for so long is idle.
    ///
    /// # Errors
    /// Where the kernel refuses the write.
    pub fn set_skew(&mut self, skew: Duration) -> Result<(), ProgramError> {
        let host = Host {
            skew: pause(skew),
            ..self.host()?
        };
        let mut map: Array<_, Host> = self.map("HOST")?;
        map.set(0, host, 0).map_err(in_map("HOST"))
    }

    /// A peering's buckets as they stand.
    ///
    /// # Errors
    /// Where the kernel refuses to be read.
    pub fn buckets(&mut self, peering: u32) -> Result<Vec<Bucket>, ProgramError> {
        let entries = self.entries()?;
        let all = 0..BUCKETS;
        all.map(|bucket| read(&entries, peering, bucket)).collect()
    }

    fn host(&mut self) -> Result<Host, ProgramError> {
        let host: Array<_, Host> = self.map("HOST")?;
        host.get(&0, 0).map_err(in_map("HOST"))
    }

    pub(crate) fn entries(&mut self) -> Result<Array<&mut MapData, u64>, ProgramError> {
        self.map(MAP)
    }
}

fn read(
    entries: &Array<&mut MapData, u64>,
    peering: u32,
    bucket: u32,
) -> Result<Bucket, ProgramError> {
    let entry = entries.get(&(peering * BUCKETS + bucket), 0);
    entry.map(Bucket::from).map_err(in_map(MAP))
}

pub(crate) fn write(
    entries: &mut Array<&mut MapData, u64>,
    peering: u32,
    bucket: u32,
    entry: Bucket,
) -> Result<(), ProgramError> {
    entries
        .set(peering * BUCKETS + bucket, u64::from(entry), 0)
        .map_err(in_map(MAP))
}
