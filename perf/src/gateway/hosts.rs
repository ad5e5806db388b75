//! Three hosts: the gateway, the plain forwarder beside it, and the load, joined to each of them by a veth.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use causeway_esp::OutboundSa;
use causeway_lab::{Ground, Process, Status, Worker};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};

use super::Args;
use super::kernel::{Flood, Flooded, Kernel};
use super::packets::{self, Ends};
use super::tunnel;
use crate::engine::workload::Workload;

/// The namespace of the load, and its NICs towards the others.
const LOAD: &str = "load";
/// The NIC of gateway and forwarder.
pub const NIC: &str = "cwlab0";
const MTU: usize = 1500;
/// The load's MAC address on both of its NICs, and the other end's.
const NEAR: [u8; 6] = [2, 0, 0, 0, 0, 1];
const FAR: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 101);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
/// A host on the gateway's side and one on the peer's.
const OWN_HOST: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 10);
const FAR_HOST: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 10);
/// Sealed packets at a time: 300 MB of the kernel's memory.
const SEALED: u32 = 200_000;
const READY_WITHIN: Duration = Duration::from_secs(30);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Forwarder,
    Gateway,
    /// The gateway of another build.
    Other,
}

impl Subject {
    /// What runs.
    pub fn all(args: &Args) -> Vec<Self> {
        let mut all = vec![Subject::Forwarder, Subject::Gateway];
        all.extend(args.against.is_some().then_some(Subject::Other));
        all
    }

    /// Its namespace, and the load's NIC towards it.
    fn place(self) -> &'static str {
        match self {
            Subject::Gateway => "gateway",
            Subject::Forwarder => "forwarder",
            Subject::Other => "other",
        }
    }
}

/// Which way packets cross the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    Encrypt,
    Decrypt,
}

/// Everything that runs. Processes end before the namespaces go.
pub struct Hosts {
    processes: Vec<(Subject, Process)>,
    kernel: Kernel,
    /// The peer's end of the SA towards each gateway, whom the load plays.
    peer: OutboundSa,
    other_peer: OutboundSa,
    ground: Ground,
}

impl Hosts {
    /// Builds it all and waits until both are ready.
    pub fn new(args: &Args) -> Result<Self> {
        let ground = Ground::claim()?;
        let subjects = Subject::all(args);
        let nics: Vec<_> = subjects.iter().map(|subject| subject.place()).collect();
        wire(&ground, &nics)?;
        let mut kernel = Kernel::load(&args.load, SEALED)?;
        ground.inside(LOAD, || kernel.sink(&nics))?;
        let key = vec![0x5a; args.cipher.key_len()];
        let start = |subject| match subject {
            Subject::Forwarder => start_forwarder(args, &ground),
            Subject::Gateway => start_gateway(args, &ground, subject, &args.causeway, &key),
            Subject::Other => {
                let causeway = args.against.as_ref().context("another build")?;
                start_gateway(args, &ground, subject, causeway, &key)
            }
        };
        let processes = subjects
            .into_iter()
            .map(|subject| Ok((subject, start(subject)?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            processes,
            kernel,
            peer: tunnel::peer(args, &key)?,
            other_peer: tunnel::peer(args, &key)?,
            ground,
        })
    }

    /// The process of a subject.
    pub fn pid(&self, subject: Subject) -> Result<u32> {
        let mut processes = self.processes.iter();
        let found = processes.find(|(of, _)| *of == subject);
        Ok(found.context("a process of each subject")?.1.pid())
    }

    /// Readies packets for [`Hosts::flood`]: plaintext ones, or for the way that decrypts sealed ones.
    /// Tells how many there are, and how many of them may be sent.
    pub fn put(&mut self, subject: Subject, workload: Workload, way: Way) -> Result<(u32, u32)> {
        let (source, destination) = match way {
            Way::Encrypt => (OWN_HOST, FAR_HOST),
            Way::Decrypt => (FAR_HOST, OWN_HOST),
        };
        let ends = Ends {
            source_mac: NEAR,
            destination_mac: FAR,
            source,
            destination,
        };
        let kernel = &mut self.kernel;
        let peer = match subject {
            Subject::Other => &mut self.other_peer,
            _ => &mut self.peer,
        };
        match way {
            Way::Encrypt => {
                packets::put_plain(kernel, workload, ends)?;
                Ok((packets::PLAIN, u32::MAX))
            }
            Way::Decrypt => {
                packets::put_sealed(kernel, workload, ends, peer, SEALED)?;
                // A number is good for once.
                Ok((SEALED, SEALED))
            }
        }
    }

    /// Sends packets that were put to a subject, from the calling thread's core.
    pub fn flood(&mut self, subject: Subject, flood: Flood) -> Result<Flooded> {
        let kernel = &mut self.kernel;
        self.ground.inside(LOAD, || {
            let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
            let nic = name_to_index(&any, subject.place())?;
            kernel.flood(nic, flood)
        })
    }

    /// What the gateway's worker says of itself.
    pub fn worker(&self) -> Result<Worker> {
        let (_, body) = self.ground.get(Subject::Gateway.place(), "/status")?;
        let status: Status =
            serde_json::from_str(&body).context("the gateway's /status is not as expected")?;
        status.workers.into_iter().next().context("a worker")
    }
}

fn wire(ground: &Ground, places: &[&str]) -> Result<()> {
    let mac = |octets: [u8; 6]| octets.map(|octet| format!("{octet:02x}")).join(":");
    let (near, far) = (mac(NEAR), mac(FAR));
    let quiet = || {
        for scope in ["all", "default"] {
            let path = format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6");
            if Path::new(&path).exists() {
                std::fs::write(&path, "1").with_context(|| format!("cannot set {path}"))?;
            }
        }
        Ok(())
    };
    ground.add(LOAD)?;
    ground.inside(LOAD, quiet)?;
    for &place in places {
        ground.add(place)?;
        ground.inside(place, quiet)?;
        let there = ground.namespace(place);
        ground.ip(
            LOAD,
            &[
                format!(
                    "link add {place} mtu {MTU} address {near} type veth \
                     peer name {NIC} mtu {MTU} address {far} netns {there}"
                ),
                format!("link set {place} up"),
                format!("addr add {ROUTER}/24 dev {place}"),
                format!("addr add {OWN_HOST}/24 dev {place}"),
            ],
        )?;
        ground.ip(
            place,
            &[
                "link set lo up".to_owned(),
                format!("addr add {GATEWAY}/24 dev {NIC}"),
                format!("link set {NIC} up"),
                format!("route add 10.2.0.0/24 via {ROUTER}"),
            ],
        )?;
    }
    Ok(())
}

fn start_gateway(
    args: &Args,
    ground: &Ground,
    subject: Subject,
    causeway: &Path,
    key: &[u8],
) -> Result<Process> {
    let place = subject.place();
    let home = ground.folder().join(place);
    std::fs::create_dir(&home)?;
    tunnel::configure(args, &home, key)?;
    let mut command = Command::new(causeway);
    command
        .arg("gateway")
        .arg("--config")
        .arg(home.join("gateway.toml"))
        .env("CAUSEWAY_XDP_OBJECT", &args.object);
    let mut gateway = ground.spawn(place, place, &command)?;
    gateway.wait_until(READY_WITHIN, |_| {
        // Until it listens, the connection is refused: not an error yet.
        Ok(matches!(ground.get(place, "/healthz"), Ok((200, _))))
    })?;
    Ok(gateway)
}

fn start_forwarder(args: &Args, ground: &Ground) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["gateway-forwarder", "--nic", NIC, "--core"])
        .arg(args.core.to_string())
        .arg("--load")
        .arg(&args.load);
    let place = Subject::Forwarder.place();
    let mut forwarder = ground.spawn(place, "forwarder", &command)?;
    forwarder.wait_until(READY_WITHIN, |process| {
        Ok(process.stdout()?.contains("ready"))
    })?;
    Ok(forwarder)
}
