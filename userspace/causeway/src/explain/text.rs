//! A story in words.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, SocketAddr};

use causeway_steering::headers::protocol::has_ports;
use causeway_steering::headers::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6};

use super::name_of;
use super::names::Standing;
use super::story::{End, Moves, Place, Port, Step, Story};
use crate::status::PeerTable;

impl Display for Story {
    /// A line for each step, the end, and its counter.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{}", step.line())?;
        }
        writeln!(f, "  {:<12} {}", "end", self.end)?;
        write!(f, "  {:<12} {}", "counted in", self.counter)
    }
}

impl Story {
    /// What the packet is, in a few words.
    pub fn subject(&self) -> String {
        let ends = |source: IpAddr, destination: IpAddr, protocol: u8| {
            format!("{source} > {destination} {}", name_of(protocol))
        };
        let mut subject = "no Ethernet header".to_owned();
        for step in &self.steps {
            match step {
                Step::Ethernet { ethertype, .. } => subject = carried(*ethertype),
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
                        subject += &format!(" quotes {} {low} {high}", name_of(*protocol));
                    }
                    (false, Some(source)) if has_ports(*protocol) && low.port | high.port != 0 => {
                        let (from, to) = match low.address == source {
                            true => (low, high),
                            false => (high, low),
                        };
                        subject = format!("{from} > {to} {}", name_of(*protocol));
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        subject
    }

    /// Where it goes, in a few words.
    pub fn end_in_short(&self) -> String {
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

    /// Whether a bucket decides.
    pub fn is_steered(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| matches!(step, Step::Bucket { .. }))
    }

    /// How the own table stands, where the peer is known to steer by another one.
    pub(super) fn peers_other_table(&self) -> Option<&Standing> {
        let other = |standing: &&Standing| {
            use PeerTable::{Same, Unheard};
            !matches!(standing.peer, None | Some(Same | Unheard))
        };
        self.steps.iter().find_map(|step| match step {
            Step::Entry { table, .. } => table.as_ref().filter(other),
            _ => None,
        })
    }

    /// The gateway to which a bucket leads.
    pub(super) fn gateway(&self) -> Option<&str> {
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
    /// The step's line.
    pub(super) fn line(&self) -> String {
        format!("  {:<12} {self}", self.name())
    }

    /// Whether both VPCs see it alike.
    pub(super) fn is_shared(&self) -> bool {
        matches!(
            self,
            Self::Flow { .. } | Self::Bucket { .. } | Self::Entry { .. }
        )
    }

    /// What the step looks at.
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
                f.write_str(&carried(*ethertype))
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
                let name = name_of(*protocol);
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
            } => write!(f, "{address} is the host's own"),
            Self::Destination {
                address,
                peering: Some(peering),
                prefix,
                ..
            } => {
                write!(f, "{address} is of peering {peering}")?;
                match prefix {
                    Some(prefix) => write!(f, ", by its prefix {prefix}"),
                    None => Ok(()),
                }
            }
            Self::Destination { address, .. } => {
                write!(f, "{address} is under no peering's prefix")
            }
            Self::Esp {
                spi,
                in_udp,
                worker,
            } => {
                let carried = if *in_udp { ", in UDP" } else { "" };
                write!(f, "SPI {spi:#010x}{carried}; ")?;
                match worker {
                    Some(worker) => write!(f, "worker {worker} has its SA"),
                    None => f.write_str("no worker of this host has its SA"),
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
                where_it_is(f, place)
            }
        }
    }
}

impl Display for Standing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}, digest {}", self.epoch, self.digest)?;
        if let Some(epoch) = self.changing_to {
            write!(f, ", changing to {epoch}")?;
        }
        match self.peer {
            None => Ok(()),
            Some(PeerTable::Unheard) => f.write_str(", the peer's not heard of"),
            Some(PeerTable::Same) => f.write_str(", the peer's the same"),
            Some(PeerTable::Ahead) => f.write_str(", the peer's one change ahead"),
            Some(PeerTable::Behind) => f.write_str(", the peer's one change behind"),
            Some(PeerTable::Differs) => f.write_str(", THE PEER'S ANOTHER ONE"),
        }
    }
}

fn flow(
    f: &mut Formatter<'_>,
    (low, high): (&Port, &Port),
    number: u8,
    quoted: bool,
) -> fmt::Result {
    if quoted {
        f.write_str("of the packet that the ICMP error quotes: ")?;
    }
    let name = name_of(number);
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

fn entry(f: &mut Formatter<'_>, gateway: Option<&str>, moves: Option<&Moves>) -> fmt::Result {
    let milliseconds = |ns: u64| ns as f64 / 1e6;
    match (gateway, moves) {
        (None, _) => f.write_str("no gateway"),
        (Some(gateway), None) => f.write_str(gateway),
        (Some(gateway), Some(moves)) => write!(
            f,
            "{gateway}, moving to {} after {:.3} ms without a packet; the last one came {:.3} ms ago, so \
             this one goes {}",
            moves.to,
            milliseconds(moves.pause_ns),
            milliseconds(moves.quiet_ns),
            if moves.now {
                "the new way"
            } else {
                "the old way"
            },
        ),
    }
}

fn where_it_is(f: &mut Formatter<'_>, place: &Place) -> fmt::Result {
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
            "on this host: one of its {workers} workers from {first_worker} on, by receive queue {queue}"
        ),
        Place::Remote { address, mac } => {
            host(f, *address)?;
            match mac {
                Some(mac) => write!(f, ", MAC address {mac}"),
                None => f.write_str(", whose MAC address a role asks for when it runs"),
            }
        }
        Place::Unresolved { address } => {
            host(f, *address)?;
            f.write_str(", which has not told its MAC address yet")
        }
        Place::Absent => f.write_str("which the tables do not have"),
    }
}

fn host(f: &mut Formatter<'_>, address: Option<IpAddr>) -> fmt::Result {
    match address {
        Some(address) => write!(f, "on the host {address}"),
        None => f.write_str("on another host"),
    }
}

impl Display for Port {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

impl Display for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel { reason, because } => {
                write!(f, "given to the kernel, {reason}: {because}")
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

fn carried(ethertype: u16) -> String {
    match ethertype {
        ETHERTYPE_IPV4 => "IPv4".to_owned(),
        ETHERTYPE_IPV6 => "IPv6".to_owned(),
        ETHERTYPE_ARP => "ARP".to_owned(),
        other => format!("EtherType {other:#06x}"),
    }
}
