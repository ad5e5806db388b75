//! Builds packets field by field, so that invalid packets can be built too.

/// The MAC address of the NIC under test.
pub const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 1, 100];
/// The MAC address of a host of the same subnet.
pub const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 1, 10];

/// An Ethernet frame from [`HOST_MAC`].
pub fn ethernet(destination: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let ethertype = ethertype.to_be_bytes();
    [&destination[..], &HOST_MAC, &ethertype, payload].concat()
}

/// The frame with VLAN tags of these types in front of its payload.
pub fn tagged(frame: &[u8], types: &[u16]) -> Vec<u8> {
    let (addresses, carried) = frame.split_at(12);
    let tags = (0x6001..)
        .zip(types)
        .flat_map(|(control, &kind): (u16, _)| {
            let [a, b] = kind.to_be_bytes();
            let [c, d] = control.to_be_bytes();
            [a, b, c, d]
        });
    let tags: Vec<u8> = tags.collect();
    [addresses, &tags, carried].concat()
}

/// The fields of an IPv4 header that the corpus varies.
#[derive(Clone, Debug)]
pub struct Ipv4 {
    pub source: [u8; 4],
    pub destination: [u8; 4],
    pub protocol: u8,
    /// The header's word of flags and fragment offset.
    pub fragment: u16,
    /// A multiple of four octets.
    pub options: Vec<u8>,
    /// 4 in a valid packet.
    pub version: u8,
    /// Added to the correct total length.
    pub length_error: i32,
}

impl Ipv4 {
    /// A valid header without options.
    pub fn new(source: [u8; 4], destination: [u8; 4], protocol: u8) -> Self {
        Self {
            source,
            destination,
            protocol,
            fragment: 0,
            options: Vec::new(),
            version: 4,
            length_error: 0,
        }
    }

    /// The header and its payload. The checksum is zero, because steering ignores it.
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let header = 20 + self.options.len();
        let total = (header + payload.len()) as i32 + self.length_error;
        let mut packet = vec![self.version << 4 | (header / 4) as u8, 0];
        packet.extend((total as u16).to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(self.fragment.to_be_bytes());
        packet.extend([64, self.protocol, 0, 0]);
        packet.extend(self.source);
        packet.extend(self.destination);
        packet.extend(&self.options);
        packet.extend(payload);
        packet
    }

    /// The packet in a frame to the NIC under test.
    pub fn frame(&self, payload: &[u8]) -> Vec<u8> {
        ethernet(OWN_MAC, 0x0800, &self.packet(payload))
    }
}

/// An IPv6 extension header: its number, and its octets without the first, the next header.
pub type Extension = (u8, Vec<u8>);

/// Hop-by-hop options of `units` eight octets beyond the first eight.
pub fn hop_by_hop(units: u8) -> Extension {
    (0, options(units))
}

/// Destination options of `units` eight octets beyond the first eight.
pub fn destination_options(units: u8) -> Extension {
    (60, options(units))
}

fn options(units: u8) -> Vec<u8> {
    let mut body = vec![units];
    body.resize(7 + 8 * usize::from(units), 0);
    body
}

/// A routing header with one address and `left` segments left.
pub fn routing(left: u8) -> Extension {
    let mut body = vec![2, 4, left];
    body.resize(23, 0);
    (43, body)
}

/// A fragment header with this word of offset and "more" flag.
pub fn fragment(field: u16) -> Extension {
    let [high, low] = field.to_be_bytes();
    (44, vec![0, high, low, 0, 0, 0, 7])
}

/// The fields of an IPv6 header that the corpus varies.
#[derive(Clone, Debug)]
pub struct Ipv6 {
    pub source: [u8; 16],
    pub destination: [u8; 16],
    /// The payload's protocol number.
    pub protocol: u8,
    pub extensions: Vec<Extension>,
    /// 6 in a valid packet.
    pub version: u8,
    /// Added to the correct payload length.
    pub length_error: i32,
}

impl Ipv6 {
    /// A valid header without extension headers.
    pub fn new(source: [u8; 16], destination: [u8; 16], protocol: u8) -> Self {
        Self {
            source,
            destination,
            protocol,
            extensions: Vec::new(),
            version: 6,
            length_error: 0,
        }
    }

    /// The same header with extension headers.
    pub fn behind(self, extensions: impl Into<Vec<Extension>>) -> Self {
        Self {
            extensions: extensions.into(),
            ..self
        }
    }

    /// The headers and their payload.
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let mut next: Vec<u8> = self.extensions.iter().map(|(kind, _)| *kind).collect();
        next.push(self.protocol);
        let mut behind = Vec::new();
        for ((_, body), next) in self.extensions.iter().zip(&next[1..]) {
            behind.push(*next);
            behind.extend(body);
        }
        behind.extend(payload);
        let length = (behind.len() as i32 + self.length_error) as u16;
        let [high, low] = length.to_be_bytes();
        let first = [self.version << 4, 0, 0, 0, high, low, next[0], 64];
        [&first[..], &self.source, &self.destination, &behind].concat()
    }

    /// The packet in a frame to the NIC under test.
    pub fn frame(&self, payload: &[u8]) -> Vec<u8> {
        ethernet(OWN_MAC, 0x86dd, &self.packet(payload))
    }
}

/// A UDP header and its payload.
pub fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let ports = [source, destination, length, 0]
        .map(u16::to_be_bytes)
        .concat();
    [&ports[..], payload].concat()
}

/// A TCP header with ports and data offset; the other fields are zero.
pub fn tcp(source: u16, destination: u16) -> Vec<u8> {
    let mut header = vec![0; 20];
    header[..2].copy_from_slice(&source.to_be_bytes());
    header[2..4].copy_from_slice(&destination.to_be_bytes());
    header[12] = 5 << 4;
    header
}

/// An ICMP or ICMPv6 message.
pub fn icmp(kind: u8, code: u8, rest: [u8; 4], payload: &[u8]) -> Vec<u8> {
    [&[kind, code, 0, 0][..], &rest, payload].concat()
}

/// An ESP packet with this SPI, sequence number 1 and arbitrary contents.
pub fn esp(spi: u32) -> Vec<u8> {
    [&spi.to_be_bytes()[..], &1u32.to_be_bytes(), &[0xa5; 40]].concat()
}
