//! Moves buckets to other gateways while the program runs.

use std::time::Duration;

use aya::maps::Array;
use causeway_steering::maps::Host;
use causeway_steering::{BUCKETS, Bucket};
use rustix::thread::{MembarrierCommand, membarrier};

use crate::entries::{read, write};
use crate::error::{ProgramError, in_map};
use crate::program::Program;
use crate::skew::{now, pause};

impl Program {
    /// Assigns buckets of a peering to a gateway at once, and waits about ten milliseconds until no
    /// CPU steers by the old entries. Every packet that the program redirected by them has then
    /// left this host.
    ///
    /// # Errors
    /// If the kernel refuses a write, or offers no way to wait.
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
        // This is an RCU grace period. The program runs, and its redirects are flushed, with softirqs
        // disabled.
        membarrier(MembarrierCommand::Global).map_err(ProgramError::GracePeriod)
    }

    /// Lets buckets of a peering move to a gateway, each once it has had no packet for the time of
    /// [`Program::set_skew`]. A bucket that already moves is redirected to this gateway. Such a bucket
    /// must not complete its move during this call, so the caller sets an unreachable skew first.
    ///
    /// # Errors
    /// If the kernel refuses a read or a write.
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

    /// Completes the moves of those `buckets` that are idle, and returns all of `buckets` that no
    /// longer move. The program would decide the same for the next packet of an idle bucket.
    ///
    /// # Errors
    /// If the kernel refuses a read or a write.
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

    /// Sets the skew: the largest difference in delay between two paths to the peer, at least
    /// [`LEAST_SKEW`](crate::skew::LEAST_SKEW). A bucket without a packet for this long is idle.
    ///
    /// # Errors
    /// If the kernel refuses the write.
    pub fn set_skew(&mut self, skew: Duration) -> Result<(), ProgramError> {
        let host = Host {
            skew: pause(skew),
            ..self.host()?
        };
        let mut map: Array<_, Host> = self.map("HOST")?;
        map.set(0, host, 0).map_err(in_map("HOST"))
    }

    /// The current entries of a peering's buckets.
    ///
    /// # Errors
    /// If the kernel refuses the read.
    pub fn buckets(&mut self, peering: u32) -> Result<Vec<Bucket>, ProgramError> {
        let entries = self.entries()?;
        let all = 0..BUCKETS;
        all.map(|bucket| read(&entries, peering, bucket)).collect()
    }

    fn host(&mut self) -> Result<Host, ProgramError> {
        let host: Array<_, Host> = self.map("HOST")?;
        host.get(&0, 0).map_err(in_map("HOST"))
    }
}
