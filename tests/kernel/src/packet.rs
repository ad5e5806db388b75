//! Packets in octets, built field by field, so that wrong ones can be built as well.

/// The MAC address of the NIC under test.
pub const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 1, 100];
/// The MAC address of a host of the same subnet.
pub const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 1, 10];

/// An Ethernet frame from a host of the subnet.
pub fn ethernet(destination: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let ethertype = ethertype.to_be_bytes();
    [&destination[..], &HOST_MAC, &ethertype, payload].concat()
}

/// The fields of an IPv4 header that the corpus varies.
#[derive(Clone, Debug)]
pub struct Ipv4 {
    /// Source address.
    pub source: [u8; 4],
    /// Destination address.
    pub destination: [u8; 4],
    /// Protocol number.
    pub protocol: u8,
    /// Flags and fragment offset as they stand in the header.
    pub fragment: u16,
    /// Options, a multiple of four octets.
    pub options: Vec<u8>,
    /// The version, 4 in a proper packet.
    pub version: u8,
    /// Added to the true total length.
    pub length_error: i32,
}

impl Ipv4 {
    /// A proper header.
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

    /// The header and its payload. The checksum is left zero: steering does not look at it.
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

    /// The whole frame, to the NIC under test.
    pub fn frame(&self, payload: &[u8]) -> Vec<u8> {
        ethernet(OWN_MAC, 0x0800, &self.packet(payload))
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

/// The start of a TCP header: ports and a sequence number, then zeros.
pub fn tcp(source: u16, destination: u16) -> Vec<u8> {
    let mut header = vec![0; 20];
    header[..2].copy_from_slice(&source.to_be_bytes());
    header[2..4].copy_from_slice(&destination.to_be_bytes());
    header[12] = 5 << 4;
    header
}

/// An ICMP message.
pub fn icmp(kind: u8, code: u8, rest: [u8; 4], payload: &[u8]) -> Vec<u8> {
    [&[kind, code, 0, 0][..], &rest, payload].concat()
}

/// The start of an ESP packet: SPI, sequence number, then some octets.
pub fn esp(spi: u32) -> Vec<u8> {
    [&spi.to_be_bytes()[..], &1u32.to_be_bytes(), &[0xa5; 40]].concat()
}
