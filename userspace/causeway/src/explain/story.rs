//! The steps of a packet's way, and its end.

use std::net::IpAddr;

use causeway_steering::headers::{
    ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, Headers, TAG, protocol,
};
use causeway_steering::maps::{Destination, Gateway};
use causeway_steering::{Address, BUCKETS, Bucket, FlowKey, Inbound, Verdict, decide};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::asked::{Asked, Entry, Look, Noting};
use super::names::{Names, Standing};

/// Where a packet goes, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Story {
    /// What was looked at, in this order.
    pub steps: Vec<Step>,
    /// What became of it: the verdict of the XDP program.
    pub end: End,
    /// The counter that counts it.
    pub counter: String,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "step",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case"
)]
pub enum Step {
    /// The frame's own header.
    Ethernet {
        /// Octets of the frame.
        octets: usize,
        /// Its destination.
        destination: String,
        /// The NIC's MAC address.
        nic: String,
        /// The VLANs of its tags, the outer one first.
        vlans: Vec<u16>,
        /// What it carries behind them.
        ethertype: u16,
    },
    /// The IP header, with the extension headers of IPv6.
    Ip {
        /// 4 or 6.
        version: u8,
        /// Source address.
        source: IpAddr,
        /// Destination address.
        destination: IpAddr,
        /// The payload's protocol.
        protocol: u8,
        /// Octets of the headers.
        header_octets: usize,
        /// Octets of the packet.
        octets: usize,
        /// Whether it is a fragment.
        fragment: bool,
    },
    /// What the longest prefix that covers the destination stands for.
    Destination {
        /// The address.
        address: IpAddr,
        /// Whether it is one of the NIC's.
        own: bool,
        /// The peering.
        peering: Option<String>,
        /// The peering's prefix.
        prefix: Option<IpNet>,
    },
    /// ESP for this host.
    Esp {
        /// Its SPI.
        spi: u32,
        /// Whether it is in UDP.
        in_udp: bool,
        /// The worker that has the SA.
        worker: Option<u32>,
    },
    /// The flow that it belongs to, whose ends stand in rising order.
    Flow {
        /// The lesser end.
        low: Port,
        /// The greater one.
        high: Port,
        /// The protocol.
        protocol: u8,
        /// Whether this is the flow of the packet that an ICMP error quotes.
        quoted: bool,
    },
    /// The flow's hash and bucket.
    Bucket {
        /// The hash.
        hash: String,
        /// The bucket.
        bucket: u32,
        /// How many there are.
        buckets: u32,
    },
    /// The bucket's entry in the peering's table.
    Entry {
        /// How the table stands.
        table: Option<Standing>,
        /// The gateway that carries it.
        gateway: Option<String>,
        /// Where it moves to, if it does.
        moves: Option<Moves>,
    },
    /// The gateway.
    Gateway {
        /// Its name.
        gateway: String,
        /// Where it is.
        place: Place,
    },
}

/// An address and what stands for a port: for an echo its identifier, for what has neither 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Port {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

/// A bucket on its way to another gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Moves {
    /// The gateway that carries it after a pause.
    pub to: String,
    /// Nanoseconds since its last packet.
    pub quiet_ns: u64,
    /// The pause after which it goes over, in nanoseconds.
    pub pause_ns: u64,
    /// Whether this packet goes over.
    pub now: bool,
}

/// Where a gateway is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Place {
    /// Workers of this host.
    Local {
        /// The first one.
        first_worker: u16,
        /// How many.
        workers: u16,
        /// The queue on which the packet came, which chooses among them.
        queue: u32,
    },
    /// Another host of the subnet.
    Remote {
        /// Its address.
        address: Option<IpAddr>,
        /// Its MAC address; none where the tables are those of a configuration.
        mac: Option<String>,
    },
    /// Another host of the subnet, which has not told its MAC address yet.
    Unresolved {
        /// Its address.
        address: Option<IpAddr>,
    },
    /// Nowhere.
    Absent,
}

/// What becomes of the packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum End {
    /// Given to the kernel.
    Kernel {
        /// By this name.
        reason: String,
        /// What the name means.
        because: String,
    },
    /// Dropped.
    Dropped {
        /// By this name.
        reason: String,
        /// What the name means.
        because: String,
    },
    /// To a worker that opens it.
    Opened {
        /// The worker's number on the host.
        worker: u32,
    },
    /// To a worker of a local gateway that seals it.
    Sealed {
        /// The worker's number on the host.
        worker: u32,
        /// Its gateway.
        gateway: String,
    },
    /// To another host.
    Sent {
        /// The gateway there.
        gateway: String,
        /// Its MAC address; none where the tables are those of a configuration.
        mac: Option<String>,
    },
}

/// Tells what becomes of `frame` under `tables`.
pub fn tell<T: Look>(frame: &[u8], tables: &T, names: &Names) -> Story {
    let noting = Noting::new(tables);
    let verdict = decide(frame, &noting);
    let (end, counter) = End::of(verdict, names);
    Story {
        steps: steps(frame, &noting.asked(), names),
        end,
        counter,
    }
}

fn steps(frame: &[u8], asked: &Asked, names: &Names) -> Vec<Step> {
    let mut steps = Vec::new();
    let (Some(host), Some(ethernet)) = (asked.host, Ethernet::parse(frame)) else {
        return steps;
    };
    steps.push(Step::Ethernet {
        octets: frame.len(),
        destination: mac(ethernet.destination),
        nic: mac(host.mac),
        vlans: vlans(&frame[ETHERNET..ethernet.l3]),
        ethertype: ethernet.ethertype,
    });
    let is_ip = matches!(ethernet.ethertype, ETHERTYPE_IPV4 | ETHERTYPE_IPV6);
    let headers = Headers::parse(frame, ethernet.l3);
    let (true, Ok(headers)) = (is_ip && ethernet.destination == host.mac, headers) else {
        return steps;
    };
    steps.push(Step::Ip {
        version: if headers.is_ipv4() { 4 } else { 6 },
        source: headers.source.into(),
        destination: headers.destination.into(),
        protocol: headers.protocol,
        header_octets: headers.l4 - headers.l3,
        octets: headers.total,
        fragment: headers.fragment,
    });
    steps.extend(
        asked
            .destination
            .map(|(address, stands_for)| destination(address, stands_for, names)),
    );
    if let (Some((spi, worker)), Inbound::Esp { .. }) = (asked.worker, Inbound::of(frame, &headers))
    {
        steps.push(Step::Esp {
            spi,
            in_udp: headers.protocol == protocol::UDP,
            worker,
        });
    }
    let Some(entry) = asked.bucket else {
        return steps;
    };
    let key = FlowKey::of(frame, &headers);
    let port = |(address, port): (Address, u16)| Port {
        address: address.into(),
        port,
    };
    steps.push(Step::Flow {
        low: port(key.low),
        high: port(key.high),
        protocol: key.protocol,
        quoted: FlowKey::quoted(frame, &headers).is_some(),
    });
    steps.push(Step::Bucket {
        hash: format!("{:#018x}", host.hash.hash(&key)),
        bucket: entry.bucket,
        buckets: BUCKETS,
    });
    steps.push(in_table(&entry, host.skew, names));
    steps.extend(asked.gateway.map(|(index, gateway)| Step::Gateway {
        gateway: names.gateway(index),
        place: place(index, gateway, asked, names),
    }));
    steps
}

/// The VLAN of each tag; behind the tag's type stands its control information.
fn vlans(behind_type: &[u8]) -> Vec<u16> {
    let tags = behind_type.chunks_exact(TAG);
    tags.map(|tag| u16::from_be_bytes([tag[0], tag[1]]) & 0xfff)
        .collect()
}

fn destination(address: Address, stands_for: Option<Destination>, names: &Names) -> Step {
    let (peering, prefix) = match stands_for {
        Some(Destination::Peering(index)) => {
            let (name, prefix) = names.peering(index, address);
            (Some(name), prefix)
        }
        _ => (None, None),
    };
    Step::Destination {
        address: address.into(),
        own: stands_for == Some(Destination::Own),
        peering,
        prefix,
    }
}

fn in_table(asked: &Entry, skew: u32, names: &Names) -> Step {
    let ns = |units: u32| u64::from(units) << 10;
    let moves = |entry: &Bucket| Moves {
        to: names.gateway(entry.next.into()),
        // A packet on another CPU may be a moment ahead.
        quiet_ns: ns(0.max(asked.now.wrapping_sub(entry.last) as i32) as u32),
        pause_ns: ns(skew),
        now: entry.is_idle(asked.now, skew),
    };
    Step::Entry {
        table: names.table(asked.peering),
        gateway: asked.entry.map(|entry| names.gateway(entry.gateway.into())),
        moves: asked
            .entry
            .filter(|entry| entry.is_moving())
            .as_ref()
            .map(moves),
    }
}

fn place(index: u32, gateway: Option<Gateway>, asked: &Asked, names: &Names) -> Place {
    let address = names.address(index);
    let gateway = gateway.unwrap_or_default();
    match gateway.kind {
        Gateway::REMOTE => Place::Remote {
            address,
            mac: names.learned(gateway.mac),
        },
        Gateway::UNRESOLVED => Place::Unresolved { address },
        Gateway::LOCAL => Place::Local {
            first_worker: gateway.first_worker,
            workers: gateway.workers,
            queue: asked.queue.unwrap_or(0),
        },
        _ => Place::Absent,
    }
}

impl End {
    /// A verdict's end, and the counter that counts it.
    pub fn of(verdict: Verdict, names: &Names) -> (Self, String) {
        match verdict {
            Verdict::Punt(reason) => (
                Self::Kernel {
                    reason: reason.name().to_owned(),
                    because: reason.help().to_owned(),
                },
                counter("punted", Some(reason.name())),
            ),
            Verdict::Drop(reason) => (
                Self::Dropped {
                    reason: reason.name().to_owned(),
                    because: reason.help().to_owned(),
                },
                counter("dropped", Some(reason.name())),
            ),
            Verdict::Open { worker } => (Self::Opened { worker }, counter("to_worker", None)),
            Verdict::Local { gateway, worker } => (
                Self::Sealed {
                    worker,
                    gateway: names.gateway(gateway),
                },
                counter("to_worker", None),
            ),
            Verdict::Remote {
                gateway,
                mac: words,
            } => (
                Self::Sent {
                    gateway: names.gateway(gateway),
                    mac: names.learned(words),
                },
                counter("to_gateway", None),
            ),
        }
    }
}

/// As `metrics::families` names it.
fn counter(what: &str, reason: Option<&str>) -> String {
    let reason = reason.map(|reason| format!("{{reason=\"{reason}\"}}"));
    format!(
        "causeway_steering_{what}_packets_total{}",
        reason.unwrap_or_default()
    )
}

/// A MAC address as people write it.
pub(super) fn mac(words: [u16; 3]) -> String {
    let octets = words.map(u16::to_be_bytes).concat();
    let digits: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    digits.join(":")
}
