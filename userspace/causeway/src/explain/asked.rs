//! Tables that note what a verdict asks of them.

use std::cell::RefCell;

use causeway_demux::Steering;
use causeway_steering::maps::{Destination, Gateway, Host};
use causeway_steering::{Address, Bucket, Tables};

/// Tables that can be looked into without moving anything.
pub trait Look: Tables {
    /// The entry of a bucket of a peering.
    fn entry(&self, peering: u32, bucket: u32) -> Option<Bucket>;
    /// What the program's clock says.
    fn now(&self) -> u32;
}

impl Look for Steering {
    fn entry(&self, peering: u32, bucket: u32) -> Option<Bucket> {
        let peering = self.peerings.get(peering as usize)?;
        peering.buckets.get(bucket as usize).copied()
    }

    fn now(&self) -> u32 {
        self.now
    }
}

/// What was asked for one packet, and what the tables said.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The host's own facts.
    pub host: Option<Host>,
    /// What an address stands for.
    pub destination: Option<(Address, Option<Destination>)>,
    /// Who has an SPI.
    pub worker: Option<(u32, Option<u32>)>,
    /// A bucket's entry.
    pub bucket: Option<Entry>,
    /// The gateway at an index.
    pub gateway: Option<(u32, Option<Gateway>)>,
    /// The receive queue.
    pub queue: Option<u32>,
}

/// A bucket, as it stood when it was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The peering's index.
    pub peering: u32,
    /// The bucket.
    pub bucket: u32,
    /// What stands there.
    pub entry: Option<Bucket>,
    /// The program's clock.
    pub now: u32,
}

/// The tables, noting. A bucket goes over here as it would in the kernel, but stays where it is.
pub struct Noting<'a, T> {
    tables: &'a T,
    asked: RefCell<Asked>,
}

impl<'a, T: Look> Noting<'a, T> {
    /// Notes what `tables` are asked from now on.
    pub fn new(tables: &'a T) -> Self {
        Self {
            tables,
            asked: RefCell::default(),
        }
    }

    /// What was asked.
    pub fn asked(self) -> Asked {
        self.asked.into_inner()
    }
}

impl<T: Look> Tables for Noting<'_, T> {
    fn host(&self) -> Option<Host> {
        let host = self.tables.host();
        self.asked.borrow_mut().host = host;
        host
    }

    fn worker_of(&self, spi: u32) -> Option<u32> {
        let worker = self.tables.worker_of(spi);
        self.asked.borrow_mut().worker = Some((spi, worker));
        worker
    }

    fn destination(&self, address: Address) -> Option<Destination> {
        let destination = self.tables.destination(address);
        self.asked.borrow_mut().destination = Some((address, destination));
        destination
    }

    fn gateway_of(&self, peering: u32, bucket: u32, host: &Host) -> Option<u32> {
        // One read serves the story and the verdict: the running program may write in between.
        let (entry, now) = (self.tables.entry(peering, bucket), self.tables.now());
        self.asked.borrow_mut().bucket = Some(Entry {
            peering,
            bucket,
            entry,
            now,
        });
        Some(entry?.route(|| now, host.skew).gateway.into())
    }

    fn gateway(&self, index: u32) -> Option<Gateway> {
        let gateway = self.tables.gateway(index);
        self.asked.borrow_mut().gateway = Some((index, gateway));
        gateway
    }

    fn queue(&self) -> u32 {
        let queue = self.tables.queue();
        self.asked.borrow_mut().queue = Some(queue);
        queue
    }
}
