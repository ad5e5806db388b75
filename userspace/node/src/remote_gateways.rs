//! Resolves the MAC addresses of the gateways on other hosts.

use std::net::IpAddr;

use causeway_demux::steering::Place;
use causeway_routes::{Snapshot, Watcher};

use crate::program_tables::ProgramTables;
use crate::rescale::Directory;

/// The gateways on other hosts, with their MAC addresses in the program's table.
#[derive(Default)]
pub struct RemoteGateways(Vec<Remote>);

struct Remote {
    index: u32,
    address: IpAddr,
    mac: Option<[u8; 6]>,
    /// Whether the watcher accepted a request to resolve the address. It refreshes only requested addresses.
    requested: bool,
}

impl RemoteGateways {
    /// Calls `set_placement` for each gateway of the directory whose MAC address has changed, and requests the resolution of
    /// unknown addresses.
    ///
    /// # Errors
    /// Those of `set_placement`.
    pub fn resolve(
        &mut self,
        directory: &Directory,
        snapshot: &Snapshot,
        watcher: &Watcher,
        mut set_placement: impl FnMut(u32, Place) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.refresh_list(directory);
        for remote in &mut self.0 {
            let mac = snapshot.neighbour(remote.address);
            if mac.is_none() || !remote.requested {
                // If the queue of the watcher is full, the next call requests it again.
                remote.requested = watcher.resolve(remote.address);
            }
            if mac != remote.mac {
                let address = remote.address;
                set_placement(remote.index, Place::Remote { address, mac })?;
                remote.mac = mac;
                // The program has the address before the directory reports it.
                directory.set_resolved(remote.index, mac.is_some());
            }
        }
        Ok(())
    }

    /// Like [`Self::resolve`], for the tables of the running program.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn update(
        &mut self,
        directory: &Directory,
        snapshot: &Snapshot,
        watcher: &Watcher,
        program: &ProgramTables,
    ) -> anyhow::Result<()> {
        self.resolve(directory, snapshot, watcher, |index, placement| {
            program.set_placement(index, placement)
        })
    }

    /// Adds new gateways of the directory, and updates indices that another gateway has taken.
    fn refresh_list(&mut self, directory: &Directory) {
        for (index, address) in directory.remote_gateways() {
            let known = self.0.iter_mut().find(|remote| remote.index == index);
            match known {
                Some(known) if known.address == address => {}
                Some(known) => {
                    known.address = address;
                    known.requested = false;
                }
                None => self.0.push(Remote {
                    index,
                    address,
                    mac: None,
                    requested: false,
                }),
            }
        }
    }
}
