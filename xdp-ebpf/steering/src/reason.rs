//! The names under which packets end. One list makes the enums, their counters, the help texts
//! of the metrics and their table in the documentation.

macro_rules! reasons {
    ($(#[$meta:meta])* $name:ident { $($variant:ident $label:literal $help:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum $name { $(#[doc = $help] $variant,)* }

        impl $name {
            /// All reasons, in the order of their counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name in metrics, reports and documentation.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }

            /// One sentence for the metrics' help and the documentation.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }
        }
    };
}

reasons! {
    /// Why a packet was dropped, by the XDP program or by a worker.
    Drop {
        EthernetTruncated "ethernet-truncated" "Shorter than its Ethernet header and VLAN tags.",
        Ipv4Malformed "ipv4-malformed" "An IPv4 header that does not describe its packet.",
        Ipv6Malformed "ipv6-malformed" "An IPv6 header, or an extension header, that does not describe its packet.",
        EspFragment "esp-fragment" "A fragment of an ESP packet (RFC 4303 section 3.4.1).",
        EspTruncated "esp-truncated" "Too short for the ESP packet that it promises.",
        Keepalive "nat-keepalive" "A NAT keepalive on UDP port 4500 (RFC 3948 section 2.3).",
        NoGateway "no-gateway" "No gateway carries the bucket.",
        GatewayUnresolved "gateway-unresolved" "The gateway's MAC address is not known yet.",
        NoWorker "no-worker" "No AF_XDP socket of the worker is bound to the packet's queue.",
        NicRingFull "nic-ring-full" "The NIC's transmit ring refused a redirected packet.",
        UnknownSpi "unknown-spi" "No inbound SA of this worker has the SPI.",
        Replayed "replayed" "The sequence number came before (RFC 4303 section 3.4.3).",
        LeftOfWindow "left-of-window" "The sequence number is older than the replay window.",
        AuthenticationFailed "authentication-failed" "The ICV is wrong (RFC 4303 section 3.4.4).",
        BadPadding "bad-padding" "Decrypted padding is not 1, 2, 3, ... (RFC 4303 section 2.4).",
        Dummy "dummy" "A dummy packet, next header 59 (RFC 4303 section 2.6).",
        NextHeader "next-header" "Decrypted to a protocol that the tunnel does not carry.",
        InnerMalformed "inner-malformed" "The inner packet's header does not describe it.",
        EcnBroken "ecn-broken" "Congestion experienced on a packet that is not ECN-capable (RFC 6040 section 4.2).",
        SelectorSource "selector-source" "The source is outside the prefixes of its side (RFC 4301 section 4.4.1).",
        SelectorDestination "selector-destination" "The destination is outside the prefixes of its side.",
        NoTunnel "no-tunnel" "No tunnel of this worker serves the destination's peering.",
        TtlExceeded "ttl-exceeded" "The inner TTL or hop limit ran out; the sender is told by ICMP, at a limited rate.",
        TooBig "too-big" "Larger than the tunnel carries, with DF set or in IPv6; the sender is told by ICMP, at a limited rate.",
        TooBigOptions "too-big-options" "Larger than the tunnel carries, DF clear, with IPv4 options: not fragmented.",
        SequenceExhausted "sequence-exhausted" "The SA's sequence numbers are used up (RFC 4303 section 3.3.3).",
        SaExpired "sa-expired" "A hard limit of the SA's lifetime is reached (RFC 4301 section 4.4.2.1).",
        SequenceNotReserved "sequence-not-reserved" "The next sequence number is not reserved on disk yet.",
        Unreachable "unreachable" "The kernel has no route to the destination on this NIC.",
        NeighbourUnresolved "neighbour-unresolved" "The next hop's MAC address did not come in time.",
        NeighbourQueueFull "neighbour-queue-full" "Too many packets wait for next hops' MAC addresses.",
        HoldFull "hold-full" "Too many packets are held while their buckets move to this gateway.",
        HoldExpired "hold-expired" "Held for too long: the way of the packets before it was not seen to be clear in time.",
        SaFenced "sa-fenced" "From a gateway that the peer's demux has given up: it may be late.",
        StoodStill "stood-still" "The worker had not run for so long that the packet may be late.",
        WordLost "word-lost" "From the peer's demux to this one: too long, or more than the channel to it holds.",
        NoFrame "no-frame" "No free frame to write the result into.",
        TransmitRingFull "transmit-ring-full" "The socket's transmit ring had no room.",
        Shutdown "shutdown" "Still waiting, for a next hop or for the release of a hold, when the worker drained.",
    }
}

reasons! {
    /// Why a packet was given to the kernel.
    Punt {
        NotReady "not-ready" "The program's tables are not filled yet.",
        Arp "arp" "ARP.",
        OtherMac "other-mac" "Not for the NIC's own MAC address.",
        VlanStack "vlan-stack" "More than two VLAN tags (IEEE 802.1Q, 802.1ad).",
        NotIp "not-ip" "Neither IPv4, IPv6 nor ARP.",
        NeighbourDiscovery "neighbour-discovery" "ICMPv6 neighbour or multicast listener discovery, the ARP of IPv6 (RFC 4861, RFC 3810).",
        LinkScope "link-scope" "To an IPv6 multicast group, or from or to a link-local address: no router forwards it (RFC 4291 section 2.5.6).",
        OwnAddress "own-address" "For the host itself.",
        Ike "ike" "IKE on UDP port 4500 (RFC 3948 section 2.2).",
        UnknownSpi "unknown-spi" "ESP for the host with an SPI that is not ours.",
        NoPeering "no-peering" "The destination belongs to no peering.",
    }
}

/// The counters of the XDP program: a few of its own, then one for every reason.
pub mod counter {
    use super::{Drop, Punt};

    /// Packets that the program saw.
    pub const RECEIVED: u32 = 0;
    /// Packets redirected to a worker's AF_XDP socket.
    pub const TO_WORKER: u32 = 1;
    /// Packets redirected to a remote gateway.
    pub const TO_GATEWAY: u32 = 2;
    const FIRST_DROP: u32 = 3;
    const FIRST_PUNT: u32 = FIRST_DROP + Drop::COUNT as u32;
    /// How many counters there are.
    pub const COUNT: u32 = FIRST_PUNT + Punt::COUNT as u32;

    /// The counter of a drop reason.
    #[inline(always)]
    pub const fn drop(reason: Drop) -> u32 {
        FIRST_DROP + reason as u32
    }

    /// The counter of a punt reason.
    #[inline(always)]
    pub const fn punt(reason: Punt) -> u32 {
        FIRST_PUNT + reason as u32
    }
}
