//! A trace as text.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, SocketAddr};

use causeway_steering::headers::protocol::{self, has_ports};
use causeway_steering::headers::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6};

use super::{BucketMove, End, FlowEnd, Place, Step, TableState, Trace};
use crate::status::PeerTable;

/// The names of protocols in flows and traces.
pub const PROTOCOLS: [(&str, u8); 9] = [
    ("icmp", protocol::ICMP),
    ("tcp", protocol::TCP),
    ("udp", protocol::UDP),
    ("dccp", protocol::DCCP),
    ("gre", 47),
    ("esp", protocol::ESP),
    ("icmpv6", protocol::ICMPV6),
    ("sctp", protocol::SCTP),
    ("udp-lite", protocol::UDP_LITE),
];

/// The name of a protocol, or its number.
pub fn protocol_name(protocol: u8) -> String {
    let known = PROTOCOLS
        .into_iter()
        .find(|(_, number)| *number == protocol);
    known.map_or_else(|| protocol.to_string(), |(name, _)| name.to_owned())
}

impl Display for Trace {
    /// One line for each step, for the verdict, and for its counter.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{}", step.line())?;
        }
        writeln!(f, "  {:<12} {}", "end", self.end)?;
        write!(f, "  {:<12} {}", "counted in", self.counter)
    }
}

impl Trace {
    /// A short description of the packet.
    pub fn subject(&self) -> String {
        let ends = |source: IpAddr, destination: IpAddr, protocol: u8| {
            format!("{source} > {destination} {}", protocol_name(protocol))
        };
        let mut subject = "no Ethernet header".to_owned();
        for step in &self.steps {
            match step {
                Step::Ethernet { ethertype, .. } => subject = ethertype_name(*ethertype),
                Step::Ip {
                    source,
                    destination,
                    protocol,
                    fragment,
                    ..
                } => {
                    subject = ends(*source, *destination, *protocol);
                    if *fragment {
                        subject += " fragment";
                    }
                }
                Step::Esp { spi, .. } => subject += &format!(" spi {spi:#x}"),
                Step::Flow {
                    low,
                    high,
                    protocol,
                    quoted,
                } => match (quoted, self.source()) {
                    (true, _) => {
                        subject += &format!(" quotes {} {low} {high}", protocol_name(*protocol));
                    }
                    (false, Some(source)) if has_ports(*protocol) && low.port | high.port != 0 => {
                        let (from, to) = match low.address == source {
                            true => (low, high),
                            false => (high, low),
                        };
                        subject = format!("{from} > {to} {}", protocol_name(*protocol));
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        subject
    }

    /// A short description of the verdict.
    pub fn summary(&self) -> String {
        let bucket = self.steps.iter().find_map(|step| match step {
            Step::Bucket { bucket, .. } => Some(format!("bucket {bucket}, ")),
            _ => None,
        });
        let end = match &self.end {
            End::Kernel { reason, .. } => format!("kernel: {reason}"),
            End::Dropped { reason, .. } => format!("dropped: {reason}"),
            End::Opened { worker } => format!("worker {worker} opens it"),
            End::Sealed { worker, gateway } => format!("{gateway}, worker {worker} seals it"),
            End::Sent { gateway, .. } => gateway.clone(),
        };
        bucket.unwrap_or_default() + &end
    }

    /// Whether the verdict depends on a bucket.
    pub fn is_steered(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| matches!(step, Step::Bucket { .. }))
    }

    /// The state of the own table if the peer is known to have a different table.
    pub fn differing_table(&self) -> Option<&TableState> {
        let differs = |table: &&TableState| {
            use PeerTable::{Same, Unknown};
            !matches!(table.peer, None | Some(Same | Unknown))
        };
        self.steps.iter().find_map(|step| match step {
            Step::Entry { table, .. } => table.as_ref().filter(differs),
            _ => None,
        })
    }

    /// The gateway of the bucket.
    pub fn gateway(&self) -> Option<&str> {
        self.steps.iter().find_map(|step| match step {
            Step::Gateway { gateway, .. } => Some(gateway.as_str()),
            _ => None,
        })
    }

    fn source(&self) -> Option<IpAddr> {
        self.steps.iter().find_map(|step| match step {
            Step::Ip { source, .. } => Some(*source),
            _ => None,
        })
    }
}

impl Step {
    /// The step as one line.
    pub fn line(&self) -> String {
        format!("  {:<12} {self}", self.name())
    }

    /// Whether the step is the same in both VPCs.
    pub fn is_shared(&self) -> bool {
        matches!(
            self,
            Self::Flow { .. } | Self::Bucket { .. } | Self::Entry { .. }
        )
    }

    /// The label of the step.
    fn name(&self) -> &'static str {
        match self {
            Self::Ethernet { .. } => "ethernet",
            Self::Ip { .. } => "ip",
            Self::Destination { .. } => "destination",
            Self::Esp { .. } => "esp",
            Self::Flow { .. } => "flow",
            Self::Bucket { .. } => "bucket",
            Self::Entry { .. } => "table",
            Self::Gateway { .. } => "gateway",
        }
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ethernet {
                octets,
                destination,
                nic,
                vlans,
                ethertype,
            } => {
                write!(f, "{octets} octets to {destination}, ")?;
                match destination == nic {
                    true => f.write_str("the NIC's own; ")?,
                    false => write!(f, "not the NIC's {nic}; ")?,
                }
                for vlan in vlans {
                    write!(f, "VLAN {vlan}; ")?;
                }
                f.write_str(&ethertype_name(*ethertype))
            }
            Self::Ip {
                version,
                source,
                destination,
                protocol,
                header_octets,
                octets,
                fragment,
            } => {
                let name = protocol_name(*protocol);
                write!(
                    f,
                    "IPv{version}, {source} > {destination}, {name}; {octets} octets, {header_octets} of \
                     them headers"
                )?;
                match fragment {
                    true => f.write_str("; a fragment"),
                    false => Ok(()),
                }
            }
            Self::Destination {
                address, own: true, ..
            } => write!(f, "{address} is an address of this host"),
            Self::Destination {
                address,
                peering: Some(peering),
                prefix,
                ..
            } => {
                write!(f, "{address} belongs to peering {peering}")?;
                match prefix {
                    Some(prefix) => write!(f, ", prefix {prefix}"),
                    None => Ok(()),
                }
            }
            Self::Destination { address, .. } => {
                write!(f, "{address} is in no prefix of a peering")
            }
            Self::Esp {
                spi,
                in_udp,
                worker,
            } => {
                let encapsulation = if *in_udp { ", in UDP" } else { "" };
                write!(f, "SPI {spi:#010x}{encapsulation}; ")?;
                match worker {
                    Some(worker) => write!(f, "worker {worker} has its SA"),
                    None => f.write_str("no worker on this host has its SA"),
                }
            }
            Self::Flow {
                low,
                high,
                protocol,
                quoted,
            } => flow(f, (low, high), *protocol, *quoted),
            Self::Bucket {
                hash,
                bucket,
                buckets,
            } => write!(f, "{bucket} of {buckets}, by the keyed hash {hash}"),
            Self::Entry {
                table,
                gateway,
                moves,
            } => {
                if let Some(table) = table {
                    write!(f, "{table}: ")?;
                }
                entry(f, gateway.as_deref(), moves.as_ref())
            }
            Self::Gateway { gateway, place } => {
                write!(f, "{gateway}, ")?;
                placement(f, place)
            }
        }
    }
}

impl Display for TableState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}, digest {}", self.epoch, self.digest)?;
        if let Some(epoch) = self.changing_to {
            write!(f, ", changing to {epoch}")?;
        }
        match self.peer {
            None => Ok(()),
            Some(PeerTable::Unknown) => f.write_str(", the peer's table is not known"),
            Some(PeerTable::Same) => f.write_str(", the peer has the same table"),
            Some(PeerTable::Ahead) => f.write_str(", the peer is one change ahead"),
            Some(PeerTable::Behind) => f.write_str(", the peer is one change behind"),
            Some(PeerTable::Differs) => f.write_str(", TABLES DIFFER: the peer has another table"),
        }
    }
}

fn flow(
    f: &mut Formatter<'_>,
    (low, high): (&FlowEnd, &FlowEnd),
    number: u8,
    quoted: bool,
) -> fmt::Result {
    if quoted {
        f.write_str("of the packet in the ICMP error: ")?;
    }
    let name = protocol_name(number);
    match (has_ports(number), low.port | high.port) {
        (true, 1..) => write!(f, "{low} and {high}, {name}"),
        (true, 0) => write!(
            f,
            "{} and {}, {name}, without ports",
            low.address, high.address
        ),
        (false, 1..) => write!(
            f,
            "{} and {}, {name}, id {}",
            low.address, high.address, low.port
        ),
        (false, 0) => write!(f, "{} and {}, {name}", low.address, high.address),
    }?;
    f.write_str("; one key for both directions")
}

fn entry(f: &mut Formatter<'_>, gateway: Option<&str>, moves: Option<&BucketMove>) -> fmt::Result {
    let milliseconds = |ns: u64| ns as f64 / 1e6;
    match (gateway, moves) {
        (None, _) => f.write_str("no gateway"),
        (Some(gateway), None) => f.write_str(gateway),
        (Some(gateway), Some(moves)) => write!(
            f,
            "{gateway}, moving to {} after {:.3} ms without a packet; the last one was {:.3} ms ago, so \
             this one goes to the {}",
            moves.to,
            milliseconds(moves.pause_ns),
            milliseconds(moves.quiet_ns),
            if moves.now {
                "new gateway"
            } else {
                "old gateway"
            },
        ),
    }
}

fn placement(f: &mut Formatter<'_>, place: &Place) -> fmt::Result {
    match place {
        Place::Local {
            first_worker,
            workers: 1,
            ..
        } => write!(f, "on this host: worker {first_worker}"),
        Place::Local {
            first_worker,
            workers,
            queue,
        } => write!(
            f,
            "on this host: one of its {workers} workers from {first_worker}, by receive queue {queue}"
        ),
        Place::Remote { address, mac } => {
            host(f, *address)?;
            match mac {
                Some(mac) => write!(f, ", MAC address {mac}"),
                None => f.write_str(", MAC address unknown: no role runs"),
            }
        }
        Place::Unresolved { address } => {
            host(f, *address)?;
            f.write_str(", MAC address not known yet")
        }
        Place::Absent => f.write_str("not in the tables"),
    }
}

fn host(f: &mut Formatter<'_>, address: Option<IpAddr>) -> fmt::Result {
    match address {
        Some(address) => write!(f, "on the host {address}"),
        None => f.write_str("on another host"),
    }
}

impl Display for FlowEnd {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

impl Display for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel { reason, because } => {
                write!(f, "left to the kernel, {reason}: {because}")
            }
            Self::Dropped { reason, because } => write!(f, "dropped, {reason}: {because}"),
            Self::Opened { worker } => write!(f, "worker {worker} opens it"),
            Self::Sealed { worker, gateway } => {
                write!(f, "worker {worker} of {gateway} seals it for the peer")
            }
            Self::Sent { gateway, mac } => {
                write!(f, "out of the same NIC to {gateway}")?;
                match mac {
                    Some(mac) => write!(f, " at {mac}, which seals it for the peer"),
                    None => f.write_str(", which seals it for the peer"),
                }
            }
        }
    }
}

fn ethertype_name(ethertype: u16) -> String {
    match ethertype {
        ETHERTYPE_IPV4 => "IPv4".to_owned(),
        ETHERTYPE_IPV6 => "IPv6".to_owned(),
        ETHERTYPE_ARP => "ARP".to_owned(),
        other => format!("EtherType {other:#06x}"),
    }
}
