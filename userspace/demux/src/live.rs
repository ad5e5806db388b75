//! The tables in the kernel, for verdicts that change nothing.

use std::cell::RefCell;

use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, MapData, MapError};
use causeway_steering::maps::{Destination, Gateway, Host};
use causeway_steering::{Address, BUCKETS, Bucket, Tables};

use crate::entries;
use crate::error::{ProgramError, in_map};
use crate::program::Program;
use crate::skew;

/// The program's maps as `Tables`. Unlike the program, a verdict on them moves no bucket.
pub struct Live<'a> {
    host: Array<&'a MapData, Host>,
    workers: HashMap<&'a MapData, u32, u32>,
    destinations_v4: LpmTrie<&'a MapData, [u8; 4], u32>,
    destinations_v6: LpmTrie<&'a MapData, [u8; 16], u32>,
    buckets: Array<&'a MapData, u64>,
    gateways: Array<&'a MapData, Gateway>,
    queue: u32,
    failed: RefCell<Option<ProgramError>>,
}

impl Program {
    /// The current tables, for a packet that arrives on `queue`.
    ///
    /// # Errors
    /// If the object is not Causeway's program.
    pub fn live(&self, queue: u32) -> Result<Live<'_>, ProgramError> {
        Ok(Live {
            host: self.shared_map("HOST")?,
            workers: self.shared_map("WORKER_OF_SPI")?,
            destinations_v4: self.shared_map("DESTINATIONS_V4")?,
            destinations_v6: self.shared_map("DESTINATIONS_V6")?,
            buckets: self.shared_map(entries::MAP)?,
            gateways: self.shared_map("GATEWAYS")?,
            queue,
            failed: RefCell::new(None),
        })
    }
}

impl Live<'_> {
    /// Reports whether every read succeeded. An entry that could not be read counted as absent.
    ///
    /// # Errors
    /// The last error of a read.
    pub fn finish(self) -> Result<(), ProgramError> {
        self.failed.into_inner().map_or(Ok(()), Err)
    }

    pub fn entry(&self, peering: u32, bucket: u32) -> Option<Bucket> {
        let index = peering.checked_mul(BUCKETS)?.checked_add(bucket)?;
        self.read(entries::MAP, self.buckets.get(&index, 0))
            .map(Bucket::from)
    }

    fn read<V>(&self, map: &'static str, read: Result<V, MapError>) -> Option<V> {
        match read {
            Ok(value) => Some(value),
            // No element, or an index beyond the array: the program finds nothing either.
            Err(MapError::KeyNotFound | MapError::OutOfBounds { .. }) => None,
            Err(error) => {
                *self.failed.borrow_mut() = Some(in_map(map)(error));
                None
            }
        }
    }
}

impl Tables for Live<'_> {
    fn host(&self) -> Option<Host> {
        let host = self.read("HOST", self.host.get(&0, 0))?;
        // As in the program: the MAC address is zero until the tables are filled.
        (host.mac != [0; 3]).then_some(host)
    }

    fn worker_of(&self, spi: u32) -> Option<u32> {
        self.read("WORKER_OF_SPI", self.workers.get(&spi, 0))
    }

    fn destination(&self, address: Address) -> Option<Destination> {
        let value = match address.ipv4() {
            Some(address) => {
                let key = Key::new(32, address.octets());
                self.read("DESTINATIONS_V4", self.destinations_v4.get(&key, 0))
            }
            None => {
                let key = Key::new(128, address.bits().to_be_bytes());
                self.read("DESTINATIONS_V6", self.destinations_v6.get(&key, 0))
            }
        };
        value.map(Destination::from)
    }

    fn gateway_of(&self, peering: u32, bucket: u32, host: &Host) -> Option<u32> {
        let entry = self.entry(peering, bucket)?;
        Some(entry.route(skew::now, host.skew).gateway.into())
    }

    fn gateway(&self, index: u32) -> Option<Gateway> {
        self.read("GATEWAYS", self.gateways.get(&index, 0))
    }

    fn queue(&self) -> u32 {
        self.queue
    }
}
