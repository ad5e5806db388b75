//! A flow as text, such as `10.1.0.5:1234 > 10.2.0.7:443 tcp`, and a packet of this flow.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use causeway_steering::headers::{IPV4, IPV6, protocol};
use thiserror::Error;

/// The IPv6 fragment header.
const FRAGMENT: u8 = 44;

/// One direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub payload: Payload,
}

/// The part of the payload that steering reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A protocol with ports, such as TCP.
    Ports {
        protocol: u8,
        source: u16,
        destination: u16,
    },
    /// An echo request or an echo reply, of ICMP or ICMPv6.
    Echo {
        identifier: u16,
        reply: bool,
    },
    Esp {
        spi: u32,
    },
    /// A later fragment of a packet of this protocol.
    Fragment {
        protocol: u8,
    },
    /// Any other protocol.
    Other {
        protocol: u8,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FlowError {
    #[error(
        "expected SOURCE > DESTINATION PROTOCOL, such as \"10.1.0.5:1234 > 10.2.0.7:443 tcp\", got {0:?}"
    )]
    Syntax(String),
    #[error("expected an address, with a port as 10.1.0.5:1234 or [2001:db8::5]:1234, got {0:?}")]
    Address(String),
    #[error("{0} is an IPv4-mapped address, which no IPv6 packet has; write the IPv4 address")]
    Mapped(IpAddr),
    #[error("{0} and {1} are of different address families; a packet has one family")]
    MixedFamilies(IpAddr, IpAddr),
    #[error(
        "expected tcp, udp, sctp, dccp, udp-lite, icmp, icmpv6, esp, gre or a protocol number from 0 to 255, got {0:?}"
    )]
    Protocol(String),
    #[error("{0} does not fit this address family; write {1}")]
    WrongIcmp(&'static str, &'static str),
    /// A port is missing, or is not allowed.
    #[error("{0}")]
    Ports(&'static str),
    /// The text after the protocol does not fit the protocol.
    #[error("expected `fragment`, `id N` after icmp, `spi N` after esp, or nothing, got {0:?}")]
    Trailing(String),
    #[error("expected {expected}, got {found:?}")]
    Number {
        expected: &'static str,
        found: String,
    },
}

const BOTH_PORTS: &str =
    "tcp, udp, sctp, dccp and udp-lite need a port at both ends; write ADDRESS:PORT";
const NO_PORTS: &str = "a port is given, but only tcp, udp, sctp, dccp and udp-lite have ports, and a later fragment has \
     none; write ADDRESS without a port";

impl FromStr for Flow {
    type Err = FlowError;

    fn from_str(text: &str) -> Result<Self, FlowError> {
        let syntax = || FlowError::Syntax(text.to_owned());
        let (source, rest) = text.split_once('>').ok_or_else(syntax)?;
        let mut words = rest.split_whitespace();
        let destination = words.next().ok_or_else(syntax)?;
        let name = words.next().ok_or_else(syntax)?;
        let rest: Vec<&str> = words.collect();
        let (source, source_port) = end(source.trim())?;
        let (destination, destination_port) = end(destination)?;
        if source.is_ipv4() != destination.is_ipv4() {
            return Err(FlowError::MixedFamilies(source, destination));
        }
        let protocol = number_of(name, source.is_ipv4())?;
        let ports = (source_port, destination_port);
        Ok(Self {
            source,
            destination,
            payload: payload(protocol, source.is_ipv4(), ports, &rest)?,
        })
    }
}

fn end(text: &str) -> Result<(IpAddr, Option<u16>), FlowError> {
    let (address, port) = match (text.parse(), text.parse::<SocketAddr>()) {
        (Ok(address), _) => (address, None),
        (_, Ok(end)) => (end.ip(), Some(end.port())),
        _ => return Err(FlowError::Address(text.to_owned())),
    };
    match address {
        IpAddr::V6(mapped) if mapped.to_ipv4_mapped().is_some() => Err(FlowError::Mapped(address)),
        _ => Ok((address, port)),
    }
}

fn number_of(name: &str, is_ipv4: bool) -> Result<u8, FlowError> {
    let lower = name.to_lowercase();
    match (lower.as_str(), is_ipv4) {
        ("icmp", false) => return Err(FlowError::WrongIcmp("icmp", "icmpv6")),
        ("icmpv6", true) => return Err(FlowError::WrongIcmp("icmpv6", "icmp")),
        _ => {}
    }
    let known = causeway_api::explain::PROTOCOLS
        .into_iter()
        .find(|(word, _)| *word == lower);
    known
        .map(|(_, number)| number)
        .or_else(|| lower.parse().ok())
        .ok_or_else(|| FlowError::Protocol(name.to_owned()))
}

fn payload(
    number: u8,
    is_ipv4: bool,
    ports: (Option<u16>, Option<u16>),
    rest: &[&str],
) -> Result<Payload, FlowError> {
    let has_ports = protocol::has_ports(number);
    if rest == ["fragment"] {
        return match ports {
            (None, None) => Ok(Payload::Fragment { protocol: number }),
            _ => Err(FlowError::Ports(NO_PORTS)),
        };
    }
    match (has_ports, ports, rest) {
        (true, (Some(source), Some(destination)), []) => Ok(Payload::Ports {
            protocol: number,
            source,
            destination,
        }),
        (true, (Some(_), Some(_)), rest) => Err(FlowError::Trailing(rest.join(" "))),
        (true, _, _) => Err(FlowError::Ports(BOTH_PORTS)),
        (false, (None, None), rest) => portless(number, is_ipv4, rest),
        (false, _, _) => Err(FlowError::Ports(NO_PORTS)),
    }
}

fn portless(number: u8, is_ipv4: bool, rest: &[&str]) -> Result<Payload, FlowError> {
    let icmp = match is_ipv4 {
        true => protocol::ICMP,
        false => protocol::ICMPV6,
    };
    let echo = |identifier| Payload::Echo {
        identifier,
        reply: false,
    };
    match rest {
        [] if number == icmp => Ok(echo(0)),
        ["id", id] if number == icmp => Ok(echo(numeric(id, "an identifier from 0 to 65535")?)),
        ["spi", spi] if number == protocol::ESP => Ok(Payload::Esp {
            spi: numeric(spi, "an SPI, decimal or hexadecimal with 0x")?,
        }),
        [] if number == protocol::ESP => Err(FlowError::Number {
            expected: "`spi N` after esp",
            found: String::new(),
        }),
        [] => Ok(Payload::Other { protocol: number }),
        rest => Err(FlowError::Trailing(rest.join(" "))),
    }
}

/// Reads a number, decimal or hexadecimal with 0x.
fn numeric<N: TryFrom<u32>>(text: &str, expected: &'static str) -> Result<N, FlowError> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let number = number.ok().and_then(|number| N::try_from(number).ok());
    number.ok_or_else(|| FlowError::Number {
        expected,
        found: text.to_owned(),
    })
}

impl Flow {
    /// The flow of the reply.
    pub fn reply(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            payload: match self.payload {
                Payload::Ports {
                    protocol,
                    source,
                    destination,
                } => Payload::Ports {
                    protocol,
                    source: destination,
                    destination: source,
                },
                Payload::Echo { identifier, reply } => Payload::Echo {
                    identifier,
                    reply: !reply,
                },
                payload => payload,
            },
        }
    }

    pub fn protocol(&self) -> u8 {
        match self.payload {
            Payload::Ports { protocol, .. }
            | Payload::Fragment { protocol }
            | Payload::Other { protocol } => protocol,
            Payload::Echo { .. } if self.source.is_ipv4() => protocol::ICMP,
            Payload::Echo { .. } => protocol::ICMPV6,
            Payload::Esp { .. } => protocol::ESP,
        }
    }

    /// A packet of the flow, from the IP header on. Checksums are zero, because steering does not read them.
    pub fn packet(&self) -> Vec<u8> {
        let payload = self.octets();
        let fragment = matches!(self.payload, Payload::Fragment { .. });
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let [high, low] = ((IPV4 + payload.len()) as u16).to_be_bytes();
                // More fragments follow; offset 3, in units of 8 octets.
                let field = if fragment { [0x20, 3] } else { [0, 0] };
                let first = [0x45, 0, high, low, 0, 0, field[0], field[1]];
                let second = [64, self.protocol(), 0, 0];
                let ends = [source.octets(), destination.octets()].concat();
                [&first[..], &second, &ends, &payload].concat()
            }
            (source, destination) => {
                let extension = [self.protocol(), 0, 0, 0x19, 0, 0, 0, 0];
                let (next, extension) = match fragment {
                    true => (FRAGMENT, &extension[..]),
                    false => (self.protocol(), &[][..]),
                };
                let length = (extension.len() + payload.len()) as u16;
                let [high, low] = length.to_be_bytes();
                let header = [0x60, 0, 0, 0, high, low, next, 64];
                let ends = [source, destination].map(octets).concat();
                debug_assert_eq!(header.len() + ends.len(), IPV6);
                [&header[..], &ends, extension, &payload].concat()
            }
        }
    }

    fn octets(&self) -> Vec<u8> {
        match self.payload {
            Payload::Ports {
                protocol,
                source,
                destination,
            } => {
                let header = match protocol {
                    protocol::TCP => 20,
                    protocol::SCTP | protocol::DCCP => 12,
                    _ => 8,
                };
                let mut octets = [source, destination].map(u16::to_be_bytes).concat();
                octets.resize(header, 0);
                if protocol == protocol::UDP {
                    octets[5] = header as u8;
                }
                octets
            }
            Payload::Echo { identifier, reply } => {
                let kind = match (self.source.is_ipv4(), reply) {
                    (true, false) => 8,
                    (true, true) => 0,
                    (false, false) => 128,
                    (false, true) => 129,
                };
                let [high, low] = identifier.to_be_bytes();
                vec![kind, 0, 0, 0, high, low, 0, 1]
            }
            Payload::Esp { spi } => {
                // The sequence number, then room for one block and the ICV.
                let mut octets = [spi, 1].map(u32::to_be_bytes).concat();
                octets.resize(40, 0);
                octets
            }
            Payload::Fragment { .. } => vec![0; 8],
            Payload::Other { .. } => vec![0; 8],
        }
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = causeway_api::explain::protocol_name(self.protocol());
        let (source, destination) = (self.source, self.destination);
        match self.payload {
            Payload::Ports {
                source: from,
                destination: to,
                ..
            } => {
                let (from, to) = (
                    SocketAddr::new(source, from),
                    SocketAddr::new(destination, to),
                );
                write!(f, "{from} > {to} {name}")
            }
            Payload::Echo { identifier, .. } => {
                write!(f, "{source} > {destination} {name} id {identifier}")
            }
            Payload::Esp { spi } => write!(f, "{source} > {destination} {name} spi {spi:#x}"),
            Payload::Fragment { .. } => write!(f, "{source} > {destination} {name} fragment"),
            Payload::Other { .. } => write!(f, "{source} > {destination} {name}"),
        }
    }
}
