//! The load programs of `xdp-ebpf/program/src/load.rs`: packet generator, sink and counters in the kernel.

use std::path::Path;

use anyhow::{Context, Result};
use aya::maps::{Array, DevMap, Map, PerCpuArray, XskMap};
use aya::programs::xdp::XdpMode;
use aya::programs::{ProgramError, RawTracePoint, TestRun, TestRunAttrs, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use causeway_device::AfXdp;

/// 64-bit words of a packet in the map: the length, then the bytes.
const WORDS: usize = 192;
/// The longest packet that fits, Ethernet header included.
pub const LONGEST: usize = (WORDS - 1) * 8;
const SECOND: f64 = 1e9;

/// The object's programs and maps. Dropping the value detaches the programs.
pub struct Kernel(Ebpf);

/// The packets to send.
#[derive(Clone, Copy)]
pub struct Flood {
    /// Number of packets of the map, which are sent in turn.
    pub packets: u32,
    /// Number of packets to send in all.
    pub count: u32,
    /// Maximum rate in packets per second.
    pub rate: u64,
    /// Packets of one batch.
    pub batch: u32,
}

#[derive(Clone, Copy)]
pub struct FloodResult {
    /// Packets per second: sent, and received by the sink.
    pub offered: f64,
    pub delivered: f64,
    /// Number of packets that the sink received.
    pub arrived: u64,
}

impl Kernel {
    /// Loads the object file with room for `packets` packets. No program runs yet.
    pub fn load(object: &Path, packets: u32) -> Result<Self> {
        let octets = std::fs::read(object).with_context(|| {
            let object = object.display();
            format!("cannot read {object}; build it with `cargo xtask build`")
        })?;
        let mut loader = EbpfLoader::new();
        loader.map_max_entries("PACKETS", packets);
        Ok(Self(loader.load(&octets)?))
    }

    /// Attaches the sink, which counts and drops packets, to NICs of the calling thread's network namespace.
    pub fn sink(&mut self, nics: &[&str]) -> Result<()> {
        let program: &mut Xdp = self.program("sink")?;
        program.load()?;
        for nic in nics {
            program
                .attach(nic, XdpMode::Driver)
                .with_context(|| format!("cannot attach the sink to {nic}"))?;
        }
        Ok(())
    }

    /// Stores a packet at a place of the map of packets to send.
    pub fn put(&mut self, place: u32, packet: &[u8]) -> Result<()> {
        let mut words = [0; WORDS];
        words[0] = packet.len() as u64;
        for (word, octets) in words[1..].iter_mut().zip(packet.chunks(8)) {
            let mut whole = [0; 8];
            whole[..octets.len()].copy_from_slice(octets);
            *word = u64::from_ne_bytes(whole);
        }
        let mut packets: Array<_, [u64; WORDS]> = self.map_mut("PACKETS")?.try_into()?;
        packets.set(place, words, 0)?;
        Ok(())
    }

    /// Sends packets from the kernel out of a NIC of the calling thread's namespace. This needs no socket
    /// buffer and no system call per packet, so the rate is many times the capacity of a gateway.
    pub fn flood(&mut self, nic: u32, flood: Flood) -> Result<FloodResult> {
        let Flood {
            packets,
            count,
            rate,
            batch,
        } = flood;
        let mut target: DevMap<_> = self.map_mut("NIC")?.try_into()?;
        target.set(0, nic, None, 0)?;
        let mut flood: Array<_, [u64; 5]> = self.map_mut("FLOOD")?.try_into()?;
        flood.set(0, [packets.into(), rate, 0, 0, 0], 0)?;
        let mut sunk: PerCpuArray<_, [u64; 5]> = self.map_mut("SUNK")?.try_into()?;
        let cpus = sunk.get(&0, 0)?.len();
        sunk.set(0, vec![[0; 5]; cpus].try_into()?, 0)?;

        let program: &mut Xdp = self.program("flood")?;
        match program.load() {
            Err(ProgramError::AlreadyLoaded) => {}
            result => result?,
        }
        program.test_run(TestRunOptions {
            data_in: Some(&[0; LONGEST]),
            repeat: count,
            attrs: TestRunAttrs::new().xdp_live_frames(batch),
            ..TestRunOptions::new()
        })?;
        self.flood_result()
    }

    fn flood_result(&self) -> Result<FloodResult> {
        let flood: Array<_, [u64; 5]> = self.map("FLOOD")?.try_into()?;
        let [_, _, first, last, sent] = flood.get(&0, 0)?;
        let sunk: PerCpuArray<_, [u64; 5]> = self.map("SUNK")?.try_into()?;
        let per_second = |count: u64, first: u64, last: u64| {
            SECOND * count as f64 / last.saturating_sub(first).max(1) as f64
        };
        let cpus = sunk.get(&0, 0)?;
        let timed = cpus.iter().filter(|cpu| cpu[4] > 0);
        Ok(FloodResult {
            offered: per_second(sent, first, last),
            delivered: timed.map(|cpu| per_second(cpu[4], cpu[2], cpu[3])).sum(),
            arrived: cpus.iter().map(|cpu| cpu[0]).sum(),
        })
    }

    /// Redirects all packets of a NIC to the device's socket on queue 0.
    pub fn feed(&mut self, nic: &str, device: &AfXdp) -> Result<()> {
        let (_, socket) = device
            .sockets()
            .next()
            .context("the device has no socket")?;
        let mut sockets: XskMap<_> = self.map_mut("SOCKETS")?.try_into()?;
        sockets.set(0, socket, 0)?;
        let program: &mut Xdp = self.program("to_socket")?;
        program.load()?;
        program
            .attach(nic, XdpMode::Driver)
            .with_context(|| format!("cannot attach the forwarder's program to {nic}"))?;
        Ok(())
    }

    /// Starts to count the system calls of a process.
    pub fn count_calls(&mut self, process: u32) -> Result<()> {
        let mut of: Array<_, u32> = self.map_mut("PROCESS")?.try_into()?;
        of.set(0, process, 0)?;
        let program: &mut RawTracePoint = self.program("system_call")?;
        program.load()?;
        program
            .attach("sys_enter")
            .context("cannot attach to the tracepoint of system calls")?;
        Ok(())
    }

    /// The number of system calls since [`Kernel::count_calls`].
    pub fn calls(&self) -> Result<u64> {
        let calls: PerCpuArray<_, u64> = self.map("CALLS")?.try_into()?;
        Ok(calls.get(&0, 0)?.iter().sum())
    }

    fn program<'a, P>(&'a mut self, name: &str) -> Result<&'a mut P>
    where
        &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = ProgramError>,
    {
        let program = self.0.program_mut(name);
        let program = program.with_context(|| format!("the object has no program {name:?}"))?;
        Ok(program.try_into()?)
    }

    fn map(&self, name: &str) -> Result<&Map> {
        let map = self.0.map(name);
        map.with_context(|| format!("the object has no map {name:?}"))
    }

    fn map_mut(&mut self, name: &str) -> Result<&mut Map> {
        let map = self.0.map_mut(name);
        map.with_context(|| format!("the object has no map {name:?}"))
    }
}
