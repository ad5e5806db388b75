//! The XDP program of a running role. All writes into its maps are in this file.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use causeway_api::status::XdpMode;
use causeway_demux::steering::Place;
use causeway_demux::{Counters, Mode, Program, ProgramError};
use causeway_esp::Spi;
use causeway_rescale::BucketSet;

use crate::rescale::{Buckets, Directory};
use crate::sas::Steer;

/// The time within which a redirected packet reaches its socket.
pub const IN_FLIGHT: Duration = Duration::from_millis(20);

/// The program and its tables, shared by the threads that change them.
pub struct ProgramTables {
    directory: Arc<Directory>,
    tables: Mutex<Tables>,
}

struct Tables {
    program: Program,
    mode: XdpMode,
    /// How long each peering's buckets must be idle before the program moves them.
    pauses: Vec<Pause>,
}

#[derive(Clone, Default)]
struct Pause {
    time: Duration,
    /// The peering's buckets that move when they are idle. The program has one pause for all peerings. It is the longest pause
    /// of the peerings with moving buckets, so that no bucket moves too early.
    moving: BucketSet,
}

impl ProgramTables {
    /// The tables of an attached program.
    pub fn new(program: Program, mode: Mode, peerings: usize, directory: Arc<Directory>) -> Self {
        let mode = match mode {
            Mode::Driver => XdpMode::Driver,
            Mode::Skb => XdpMode::Skb,
        };
        Self {
            directory,
            tables: Mutex::new(Tables {
                program,
                mode,
                pauses: vec![Pause::default(); peerings],
            }),
        }
    }

    /// The mode in which the program is attached.
    pub fn mode(&self) -> XdpMode {
        self.lock().mode
    }

    /// Detaches the program. The kernel then receives all packets of the NIC.
    pub fn detach(&self) -> anyhow::Result<()> {
        let mut tables = self.lock();
        tables.program.detach()?;
        Ok(())
    }

    /// Writes the placement of a gateway.
    pub fn set_placement(&self, index: u32, placement: Place) -> anyhow::Result<()> {
        let gateway = self.directory.names().swap_remove(index as usize);
        match placement {
            Place::Remote { mac: None, .. } => {
                tracing::warn!(
                    gateway,
                    "the gateway's MAC address is unknown: it does not answer ARP or neighbour discovery"
                );
            }
            _ => tracing::info!(gateway, "resolved the gateway's MAC address"),
        }
        Ok(self.lock().program.place(index, placement)?)
    }

    /// The program's counters.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn counters(&self) -> Result<Counters, ProgramError> {
        self.lock().program.counters()
    }

    /// Calls `read` with the program.
    pub fn with_program<T>(&self, read: impl FnOnce(&Program) -> T) -> T {
        read(&self.lock().program)
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Steer for ProgramTables {
    fn steer(&self, spi: Spi, worker: u32) -> anyhow::Result<()> {
        Ok(self.lock().program.steer_spi(spi.get(), worker)?)
    }

    fn unsteer(&self, spi: Spi) -> anyhow::Result<()> {
        Ok(self.lock().program.remove_spi(spi.get())?)
    }
}

impl Tables {
    fn set_settled(&mut self, peering: u32, buckets: impl IntoIterator<Item = u32>) {
        let moving = &mut self.pauses[peering as usize].moving;
        buckets.into_iter().for_each(|bucket| moving.remove(bucket));
    }

    fn set_skew(&mut self) -> anyhow::Result<()> {
        let moving = self.pauses.iter().filter(|pause| !pause.moving.is_empty());
        let longest = moving.map(|pause| pause.time).max();
        Ok(self.program.set_skew(longest.unwrap_or_default())?)
    }
}

impl Buckets for ProgramTables {
    fn assign(&self, peering: u32, buckets: &BucketSet, gateway: u32) -> anyhow::Result<()> {
        let mut tables = self.lock();
        tables.set_settled(peering, buckets.iter());
        Ok(tables.program.assign(peering, buckets.iter(), gateway)?)
    }

    fn assign_when_idle(
        &self,
        peering: u32,
        buckets: &BucketSet,
        gateway: u32,
    ) -> anyhow::Result<()> {
        let mut tables = self.lock();
        let moving = &mut tables.pauses[peering as usize].moving;
        buckets.iter().for_each(|bucket| moving.insert(bucket));
        // The pause is set before the first bucket can move.
        tables.set_skew()?;
        let program = &mut tables.program;
        program.assign_when_idle(peering, buckets.iter(), gateway)?;
        // Buckets that are with this gateway already do not move.
        let settled = program.settle(peering, buckets.iter())?;
        tables.set_settled(peering, settled);
        Ok(())
    }

    fn settle(&self, peering: u32, buckets: &BucketSet) -> anyhow::Result<BucketSet> {
        let mut tables = self.lock();
        let settled: BucketSet = {
            let settled = tables.program.settle(peering, buckets.iter())?;
            settled.into_iter().collect()
        };
        tables.set_settled(peering, settled.iter());
        Ok(settled)
    }

    fn set_skew(&self, peering: u32, skew: Duration) -> anyhow::Result<()> {
        let mut tables = self.lock();
        tables.pauses[peering as usize].time = skew;
        tables.set_skew()
    }
}
