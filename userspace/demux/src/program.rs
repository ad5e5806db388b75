//! The XDP program in the kernel: loads it, fills its maps, attaches it and reads its counters.

use std::mem;
use std::net::IpAddr;
use std::os::fd::AsFd;

use aya::maps::lpm_trie::Key;
use aya::maps::{Array, DevMap, HashMap, LpmTrie, MapData, MapError, PerCpuArray, XskMap};
use aya::programs::Xdp;
use aya::programs::xdp::{XdpLinkId, XdpMode};
use aya::{Ebpf, EbpfLoader};
use aya_log::EbpfLogger;
use causeway_steering::maps::{Counts, Destination, Gateway, Host};
use causeway_steering::{BUCKETS, MAX_GATEWAYS, MAX_PEERINGS, MAX_WORKERS};
use ipnet::IpNet;

use crate::counters::Counters;
use crate::entries::{self, Entries};
use crate::error::{ProgramError, in_map};
use crate::steering::{Place, Steering};

const PROGRAM: &str = "causeway";

/// The modes in which the program may be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Attach {
    /// In the driver, or else in the kernel's generic path.
    #[default]
    Auto,
    /// In the driver only.
    Driver,
    /// In the generic path only.
    Skb,
}

/// The mode in which the program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the driver.
    Driver,
    /// In the kernel's generic path, after the kernel has allocated a socket buffer.
    Skb,
}

impl Mode {
    /// The mode's name in reports: `driver` or `skb`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Skb => "skb",
        }
    }
}

/// The loaded program. Dropping the value detaches the program, and so does the end of the process:
/// the kernel's link ends with its last file descriptor.
pub struct Program {
    ebpf: Ebpf,
    link: Option<XdpLinkId>,
    counters: PerCpuArray<MapData, Counts>,
    /// The addresses of gateways on other hosts, by index.
    gateway_addresses: Vec<Option<IpAddr>>,
}

impl Program {
    /// Loads the object file's bytes into the kernel. The tables are empty, so that the program
    /// passes every packet to the kernel's network stack until [`Program::fill`].
    ///
    /// # Errors
    /// If the object is not Causeway's program, or the kernel refuses it.
    pub fn load(object: &[u8]) -> Result<Self, ProgramError> {
        let mut ebpf = EbpfLoader::new()
            .load(object)
            .map_err(|source| ProgramError::Load(Box::new(source)))?;
        xdp(&mut ebpf)?
            .load()
            .map_err(|source| ProgramError::Verify(Box::new(source)))?;
        let counters = take(&mut ebpf, "COUNTERS")?;
        Ok(Self {
            ebpf,
            link: None,
            counters,
            gateway_addresses: Vec::new(),
        })
    }

    /// The reader of the program's rare log lines. It reads only while the value is alive. `None` if
    /// it was taken before.
    pub fn logger(&mut self) -> Option<EbpfLogger<&'static dyn log::Log>> {
        EbpfLogger::init(&mut self.ebpf).ok()
    }

    /// Writes the tables. The host's own parameters come last, because the program starts to steer
    /// when they are there.
    ///
    /// # Errors
    /// If the tables exceed the maps, or the kernel refuses a write.
    pub fn fill(&mut self, nic_index: u32, steering: &Steering) -> Result<(), ProgramError> {
        let too_many = |what, count: usize, room: u32| match count > room as usize {
            true => Err(ProgramError::TooMany { what, count, room }),
            false => Ok(()),
        };
        too_many("peerings", steering.peerings.len(), MAX_PEERINGS)?;
        too_many("gateways", steering.gateways.len(), MAX_GATEWAYS)?;

        for (&spi, &worker) in &steering.workers {
            self.steer_spi(spi, worker)?;
        }
        for (index, place) in steering.gateways.iter().enumerate() {
            self.place(index as u32, *place)?;
        }
        let mut entries = self.entries()?;
        for (index, peering) in (0..).zip(&steering.peerings) {
            for (bucket, entry) in (0..BUCKETS).zip(&peering.buckets) {
                entries::write(&mut entries, index, bucket, *entry)?;
            }
        }
        for (prefix, destination) in steering.destinations() {
            self.set_destination(prefix, Some(destination))?;
        }
        let mut nic: DevMap<_> = self.map("NIC")?;
        nic.set(0, nic_index, None, 0).map_err(in_map("NIC"))?;
        let mut host: Array<_, Host> = self.map("HOST")?;
        host.set(0, steering.host(), 0).map_err(in_map("HOST"))
    }

    fn set_destination(
        &mut self,
        prefix: IpNet,
        destination: Option<Destination>,
    ) -> Result<(), ProgramError> {
        let length = prefix.prefix_len().into();
        match prefix {
            IpNet::V4(net) => {
                let key = Key::new(length, net.network().octets());
                self.set_in_trie("DESTINATIONS_V4", &key, destination)
            }
            IpNet::V6(net) => {
                let key = Key::new(length, net.network().octets());
                self.set_in_trie("DESTINATIONS_V6", &key, destination)
            }
        }
    }

    fn set_in_trie<const OCTETS: usize>(
        &mut self,
        map: &'static str,
        key: &Key<[u8; OCTETS]>,
        destination: Option<Destination>,
    ) -> Result<(), ProgramError>
    where
        [u8; OCTETS]: aya::Pod,
    {
        let mut trie: LpmTrie<_, [u8; OCTETS], u32> = self.map(map)?;
        match destination {
            Some(destination) => trie.insert(key, u32::from(destination), 0),
            None => trie.remove(key),
        }
        .map_err(in_map(map))
    }

    /// Writes a gateway's placement, or replaces it.
    ///
    /// # Errors
    /// If the kernel refuses the write.
    pub fn place(&mut self, index: u32, place: Place) -> Result<(), ProgramError> {
        let index_of = index as usize;
        if self.gateway_addresses.len() <= index_of {
            self.gateway_addresses.resize(index_of + 1, None);
        }
        let before = mem::replace(&mut self.gateway_addresses[index_of], place.address());
        if before != place.address() {
            if let Some(before) = before
                && !self.gateway_addresses.contains(&Some(before))
            {
                self.set_destination(before.into(), None)?;
            }
            if let Some(address) = place.address() {
                self.set_destination(address.into(), Some(Destination::Gateway))?;
            }
        }
        let mut gateways: Array<_, Gateway> = self.map("GATEWAYS")?;
        gateways
            .set(index, Gateway::from(place), 0)
            .map_err(in_map("GATEWAYS"))
    }

    /// Steers ESP with an inbound SPI to a worker.
    ///
    /// # Errors
    /// If the kernel refuses the write, for example because the map is full.
    pub fn steer_spi(&mut self, spi: u32, worker: u32) -> Result<(), ProgramError> {
        let mut workers: HashMap<_, u32, u32> = self.map("WORKER_OF_SPI")?;
        workers
            .insert(spi, worker, 0)
            .map_err(in_map("WORKER_OF_SPI"))
    }

    /// Stops steering ESP with an inbound SPI. Packets that the program has already redirected may
    /// still reach the worker's socket.
    ///
    /// # Errors
    /// If the kernel refuses, for example because the SPI is unknown.
    pub fn remove_spi(&mut self, spi: u32) -> Result<(), ProgramError> {
        let mut workers: HashMap<_, u32, u32> = self.map("WORKER_OF_SPI")?;
        workers.remove(&spi).map_err(in_map("WORKER_OF_SPI"))
    }

    /// Lets the program redirect packets of `queue` to the AF_XDP socket of `worker`.
    ///
    /// # Errors
    /// If the kernel refuses the socket.
    pub fn bind(&mut self, queue: u32, worker: u32, socket: impl AsFd) -> Result<(), ProgramError> {
        let mut sockets: XskMap<_> = self.map("SOCKETS")?;
        sockets
            .set(queue * MAX_WORKERS + worker, socket.as_fd(), 0)
            .map_err(in_map("SOCKETS"))
    }

    /// Attaches the program to a NIC and returns the mode in force.
    ///
    /// # Errors
    /// If no permitted mode works.
    pub fn attach(
        &mut self,
        nic: &str,
        nic_index: u32,
        attach: Attach,
    ) -> Result<Mode, ProgramError> {
        let program = xdp(&mut self.ebpf)?;
        let refused = |mode: Mode| {
            move |source| ProgramError::Attach {
                nic: nic.to_owned(),
                mode: mode.name(),
                source: Box::new(source),
            }
        };
        if attach != Attach::Skb {
            match program.attach_to_if_index(nic_index, XdpMode::Driver) {
                Ok(link) => {
                    self.link = Some(link);
                    return Ok(Mode::Driver);
                }
                Err(error) if attach == Attach::Driver => return Err(refused(Mode::Driver)(error)),
                Err(error) => tracing::warn!(
                    nic,
                    %error,
                    "the driver does not accept the XDP program: falling back to SKB mode, which is slower"
                ),
            }
        }
        self.link = Some(
            program
                .attach_to_if_index(nic_index, XdpMode::Skb)
                .map_err(refused(Mode::Skb))?,
        );
        Ok(Mode::Skb)
    }

    /// Detaches the program, so that all of the NIC's packets go to the kernel's network stack.
    ///
    /// # Errors
    /// If the kernel refuses. The link then ends with the process.
    pub fn detach(&mut self) -> Result<(), ProgramError> {
        match self.link.take() {
            Some(link) => xdp(&mut self.ebpf)?
                .detach(link)
                .map_err(|source| ProgramError::Verify(Box::new(source))),
            None => Ok(()),
        }
    }

    /// Reads the counters.
    ///
    /// # Errors
    /// If the kernel refuses the read.
    pub fn counters(&self) -> Result<Counters, ProgramError> {
        let cpus = self.counters.get(&0, 0).map_err(in_map("COUNTERS"))?;
        Ok(Counters::sum(cpus.iter()))
    }

    /// The program itself, for BPF_PROG_TEST_RUN and for the kernel's information on it.
    ///
    /// # Errors
    /// If the object has no such program.
    pub fn xdp(&mut self) -> Result<&mut Xdp, ProgramError> {
        xdp(&mut self.ebpf)
    }

    pub(crate) fn entries(&mut self) -> Result<Entries<'_>, ProgramError> {
        self.map(entries::MAP)
    }

    pub(crate) fn shared_map<'a, M>(&'a self, name: &'static str) -> Result<M, ProgramError>
    where
        M: TryFrom<&'a aya::maps::Map, Error = MapError>,
    {
        let map = self.ebpf.map(name);
        map.ok_or(ProgramError::Missing("map", name))?
            .try_into()
            .map_err(in_map(name))
    }

    pub(crate) fn map<'a, M>(&'a mut self, name: &'static str) -> Result<M, ProgramError>
    where
        M: TryFrom<&'a mut aya::maps::Map, Error = MapError>,
    {
        let map = self.ebpf.map_mut(name);
        map.ok_or(ProgramError::Missing("map", name))?
            .try_into()
            .map_err(in_map(name))
    }
}

fn xdp(ebpf: &mut Ebpf) -> Result<&mut Xdp, ProgramError> {
    let program = ebpf.program_mut(PROGRAM);
    program
        .ok_or(ProgramError::Missing("program", PROGRAM))?
        .try_into()
        .map_err(|source| ProgramError::Verify(Box::new(source)))
}

fn take<M>(ebpf: &mut Ebpf, name: &'static str) -> Result<M, ProgramError>
where
    M: TryFrom<aya::maps::Map, Error = MapError>,
{
    let map = ebpf.take_map(name);
    map.ok_or(ProgramError::Missing("map", name))?
        .try_into()
        .map_err(in_map(name))
}
