//! Tables that record the lookups of a verdict.

use std::cell::RefCell;

use causeway_demux::Steering;
use causeway_steering::maps::{Destination, Gateway, Host};
use causeway_steering::{Address, Bucket, Tables};

/// Tables whose bucket entries can be read without moving a bucket.
pub trait BucketEntries: Tables {
    fn entry(&self, peering: u32, bucket: u32) -> Option<Bucket>;
    /// The time of the program's clock.
    fn now(&self) -> u32;
}

impl BucketEntries for Steering {
    fn entry(&self, peering: u32, bucket: u32) -> Option<Bucket> {
        let peering = self.peerings.get(peering as usize)?;
        peering.buckets.get(bucket as usize).copied()
    }

    fn now(&self) -> u32 {
        self.now
    }
}

/// The lookups for one packet, with their results.
#[derive(Clone, Debug, Default)]
pub struct Lookups {
    pub host: Option<Host>,
    pub destination: Option<(Address, Option<Destination>)>,
    /// The worker that has an SPI.
    pub worker: Option<(u32, Option<u32>)>,
    pub bucket: Option<BucketLookup>,
    pub gateway: Option<(u32, Option<Gateway>)>,
    pub queue: Option<u32>,
}

/// A bucket at the time of its lookup.
#[derive(Clone, Copy, Debug)]
pub struct BucketLookup {
    pub peering: u32,
    pub bucket: u32,
    pub entry: Option<Bucket>,
    /// The program's clock.
    pub now: u32,
}

/// Records the lookups in the tables. The result for a moving bucket is the one that the kernel would get, but the bucket does not
/// move.
pub struct Recorder<'a, T> {
    tables: &'a T,
    lookups: RefCell<Lookups>,
}

impl<'a, T: BucketEntries> Recorder<'a, T> {
    pub fn new(tables: &'a T) -> Self {
        Self {
            tables,
            lookups: RefCell::default(),
        }
    }

    pub fn lookups(self) -> Lookups {
        self.lookups.into_inner()
    }
}

impl<T: BucketEntries> Tables for Recorder<'_, T> {
    fn host(&self) -> Option<Host> {
        let host = self.tables.host();
        self.lookups.borrow_mut().host = host;
        host
    }

    fn worker_of(&self, spi: u32) -> Option<u32> {
        let worker = self.tables.worker_of(spi);
        self.lookups.borrow_mut().worker = Some((spi, worker));
        worker
    }

    fn destination(&self, address: Address) -> Option<Destination> {
        let destination = self.tables.destination(address);
        // The first lookup is that of the destination, a second one that of the source.
        let recorded = &mut self.lookups.borrow_mut().destination;
        recorded.get_or_insert((address, destination));
        destination
    }

    fn gateway_of(&self, peering: u32, bucket: u32, host: &Host) -> Option<u32> {
        // One read for both the trace and the verdict, because the running program may write in between.
        let (entry, now) = (self.tables.entry(peering, bucket), self.tables.now());
        self.lookups.borrow_mut().bucket = Some(BucketLookup {
            peering,
            bucket,
            entry,
            now,
        });
        Some(entry?.route(|| now, host.skew).gateway.into())
    }

    fn gateway(&self, index: u32) -> Option<Gateway> {
        let gateway = self.tables.gateway(index);
        self.lookups.borrow_mut().gateway = Some((index, gateway));
        gateway
    }

    fn queue(&self) -> u32 {
        let queue = self.tables.queue();
        self.lookups.borrow_mut().queue = Some(queue);
        queue
    }
}
