//! The hosts as network namespaces: gateway, plain forwarder, and the load with a veth to each of them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use causeway_esp::OutboundSa;
use causeway_lab::status::{Status, Worker};
use causeway_lab::{Process, Sandbox};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};

use super::addresses::{FAR, FAR_HOST, GATEWAY, MTU, NEAR, NIC, OWN_HOST, ROUTER};
use super::args::Args;
use super::kernel::{Flood, FloodResult, Kernel};
use super::packets::{self, Ends};
use super::tunnel;
use crate::engine::workload::Workload;

/// The namespace of the load.
const LOAD: &str = "load";
/// Sealed packets of one turn: 300 MB of kernel memory.
const SEALED: u32 = 200_000;
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The measured process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Forwarder,
    Gateway,
    /// The gateway of another build.
    OtherBuild,
}

impl Subject {
    /// All subjects of a measurement.
    pub fn all(args: &Args) -> Vec<Self> {
        let mut all = vec![Subject::Forwarder, Subject::Gateway];
        all.extend(args.against.is_some().then_some(Subject::OtherBuild));
        all
    }

    /// The namespace of the subject, which is also the name of the load's NIC towards it.
    fn namespace(self) -> &'static str {
        match self {
            Subject::Gateway => "gateway",
            Subject::Forwarder => "forwarder",
            Subject::OtherBuild => "other",
        }
    }
}

/// The direction in which packets cross the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Encrypt,
    Decrypt,
}

/// All processes, kernel programs and namespaces. Fields drop in order: processes before their namespaces.
pub struct Hosts {
    processes: Vec<(Subject, Process)>,
    kernel: Kernel,
    /// The peer's end of the SA towards each gateway. The load simulates the peer.
    peer: OutboundSa,
    other_build_peer: OutboundSa,
    ground: Sandbox,
}

impl Hosts {
    /// Sets up the namespaces, starts the processes and waits until all are ready.
    pub fn new(args: &Args) -> Result<Self> {
        let ground = Sandbox::claim()?;
        let subjects = Subject::all(args);
        let nics: Vec<_> = subjects.iter().map(|subject| subject.namespace()).collect();
        set_up_network(&ground, &nics)?;
        let mut kernel = Kernel::load(&args.load, SEALED)?;
        ground.inside(LOAD, || kernel.sink(&nics))?;
        let key = vec![0x5a; args.cipher.key_len()];
        let start = |subject| match subject {
            Subject::Forwarder => start_forwarder(args, &ground),
            Subject::Gateway => start_gateway(args, &ground, subject, &args.built.causeway, &key),
            Subject::OtherBuild => {
                let causeway = args.against.as_ref().context("--against names no build")?;
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
            other_build_peer: tunnel::peer(args, &key)?,
            ground,
        })
    }

    /// The process ID of a subject.
    pub fn pid(&self, subject: Subject) -> Result<u32> {
        let mut processes = self.processes.iter();
        let found = processes.find(|(of, _)| *of == subject);
        let pid = found.context("the subject has no process")?.1.pid();
        Ok(pid.as_raw_nonzero().get().cast_unsigned())
    }

    /// Prepares packets for [`Hosts::flood`]: plaintext to encrypt, or sealed packets to decrypt.
    /// Returns the number of distinct packets, and the number of packets that may be sent.
    pub fn prepare(
        &mut self,
        subject: Subject,
        workload: Workload,
        direction: Direction,
    ) -> Result<(u32, u32)> {
        let (source, destination) = match direction {
            Direction::Encrypt => (OWN_HOST, FAR_HOST),
            Direction::Decrypt => (FAR_HOST, OWN_HOST),
        };
        let ends = Ends {
            source_mac: NEAR,
            destination_mac: FAR,
            source,
            destination,
        };
        let kernel = &mut self.kernel;
        let peer = match subject {
            Subject::OtherBuild => &mut self.other_build_peer,
            _ => &mut self.peer,
        };
        match direction {
            Direction::Encrypt => {
                packets::put_plain(kernel, workload, ends)?;
                Ok((packets::PLAIN, u32::MAX))
            }
            Direction::Decrypt => {
                packets::put_sealed(kernel, workload, ends, peer, SEALED)?;
                // A replay window accepts each sequence number once.
                Ok((SEALED, SEALED))
            }
        }
    }

    /// Sends the prepared packets to a subject, from the calling thread's core.
    pub fn flood(&mut self, subject: Subject, flood: Flood) -> Result<FloodResult> {
        let kernel = &mut self.kernel;
        self.ground.inside(LOAD, || {
            let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
            let nic = name_to_index(&any, subject.namespace())?;
            kernel.flood(nic, flood)
        })
    }

    /// The status of the gateway's worker.
    pub fn worker(&self) -> Result<Worker> {
        let (_, body) = self.ground.get(Subject::Gateway.namespace(), "/status")?;
        let status: Status =
            serde_json::from_str(&body).context("cannot read the gateway's /status")?;
        status
            .workers
            .into_iter()
            .next()
            .context("the gateway's /status lists no worker")
    }
}

fn set_up_network(ground: &Sandbox, namespaces: &[&str]) -> Result<()> {
    let mac = |octets: [u8; 6]| octets.map(|octet| format!("{octet:02x}")).join(":");
    let (near, far) = (mac(NEAR), mac(FAR));
    let disable_ipv6 = || {
        for scope in ["all", "default"] {
            let path = format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6");
            if Path::new(&path).exists() {
                std::fs::write(&path, "1").with_context(|| format!("cannot set {path}"))?;
            }
        }
        Ok(())
    };
    ground.add(LOAD)?;
    ground.inside(LOAD, disable_ipv6)?;
    for &namespace in namespaces {
        ground.add(namespace)?;
        ground.inside(namespace, disable_ipv6)?;
        let there = ground.namespace(namespace);
        ground.ip(
            LOAD,
            &[
                format!(
                    "link add {namespace} mtu {MTU} address {near} type veth \
                     peer name {NIC} mtu {MTU} address {far} netns {there}"
                ),
                format!("link set {namespace} up"),
                format!("addr add {ROUTER}/24 dev {namespace}"),
                format!("addr add {OWN_HOST}/24 dev {namespace}"),
            ],
        )?;
        ground.ip(
            namespace,
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
    ground: &Sandbox,
    subject: Subject,
    causeway: &Path,
    key: &[u8],
) -> Result<Process> {
    let namespace = subject.namespace();
    let home = ground.folder().join(namespace);
    std::fs::create_dir(&home)?;
    tunnel::configure(args, &home, key)?;
    let mut command = Command::new(causeway);
    command
        .arg("gateway")
        .arg("--config")
        .arg(home.join("gateway.toml"))
        .env("CAUSEWAY_XDP_OBJECT", &args.built.object);
    let mut gateway = ground.spawn(namespace, namespace, &command)?;
    gateway.wait_until(READY_WITHIN, |_| {
        // The connection is refused until the gateway listens, which is no error.
        Ok(matches!(ground.get(namespace, "/healthz"), Ok((200, _))))
    })?;
    Ok(gateway)
}

fn start_forwarder(args: &Args, ground: &Sandbox) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["gateway-forwarder", "--nic", NIC, "--core"])
        .arg(args.core.to_string())
        .arg("--load")
        .arg(&args.load);
    let namespace = Subject::Forwarder.namespace();
    let mut forwarder = ground.spawn(namespace, "forwarder", &command)?;
    forwarder.wait_until(READY_WITHIN, |process| {
        Ok(process.stdout()?.contains("ready"))
    })?;
    Ok(forwarder)
}
