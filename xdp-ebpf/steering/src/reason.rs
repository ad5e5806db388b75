//! Why packets are dropped or punted. One list generates the enums, the counters, the help texts of
//! the metrics and the tables in docs/metrics.md.

macro_rules! reasons {
    ($(#[$meta:meta])* $name:ident { $($variant:ident $label:literal $help:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum $name { $(#[doc = $help] $variant,)* }

        impl $name {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The number of reasons.
            pub const COUNT: usize = Self::ALL.len();

            /// The reason's name in metrics, reports and documentation.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }

            /// The cause in one sentence, for the metrics' help, `explain` and the documentation.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }
        }
    };
}

reasons! {
    /// Why the XDP program or a worker dropped a packet.
    DropReason {
        EthernetTruncated "ethernet-truncated" "The frame ends within its Ethernet header or its VLAN tags.",
        Ipv4Malformed "ipv4-malformed" "The IPv4 header is invalid: a wrong version, or a length that does not fit the frame.",
        Ipv6Malformed "ipv6-malformed" "The IPv6 header or an extension header is invalid: a wrong version, an IPv4-mapped address, or a length that does not fit the frame.",
        EspFragment "esp-fragment" "The packet is a fragment of an ESP packet; ESP is accepted only whole (RFC 4303 section 3.4.1).",
        EspTruncated "esp-truncated" "The packet is shorter than its ESP header or its UDP length requires.",
        Keepalive "nat-keepalive" "The packet is a NAT keepalive on UDP port 4500 (RFC 3948 section 2.3).",
        OwnEsp "own-esp" "A gateway of this VPC sent the packet as ESP, and its destination is in a peering's prefixes; it is not sealed a second time.",
        NoGateway "no-gateway" "No gateway carries the packet's bucket.",
        GatewayUnresolved "gateway-unresolved" "The MAC address of the bucket's gateway is not resolved yet.",
        NoWorker "no-worker" "No AF_XDP socket of the worker is bound to the packet's receive queue.",
        NicRingFull "nic-ring-full" "The NIC's transmit ring refused a packet that was redirected to a remote gateway.",
        UnknownSpi "unknown-spi" "The worker has no inbound SA with the packet's SPI.",
        Replayed "replayed" "The sequence number was received before (RFC 4303 section 3.4.3).",
        ReplayTooOld "replay-too-old" "The sequence number is older than the anti-replay window.",
        AuthenticationFailed "authentication-failed" "The integrity check value (ICV) is wrong (RFC 4303 section 3.4.4).",
        BadPadding "bad-padding" "The decrypted padding is not 1, 2, 3, ... (RFC 4303 section 2.4).",
        Dummy "dummy" "The packet is a dummy packet, next header 59 (RFC 4303 section 2.6).",
        NextHeader "next-header" "The decrypted packet has a next header that the tunnel does not carry.",
        InnerMalformed "inner-malformed" "The inner IP header is invalid: a wrong version, or a length that does not fit the packet.",
        EcnInvalid "ecn-invalid" "The outer header reports congestion, but the inner packet is not ECN-capable (RFC 6040 section 4.2).",
        SelectorSource "selector-source" "The inner source address is outside the prefixes of the sending VPC (RFC 4301 section 4.4.1).",
        SelectorDestination "selector-destination" "The inner destination address is outside the prefixes of the receiving VPC.",
        NoTunnel "no-tunnel" "The worker has no tunnel to the destination's peering.",
        TtlExceeded "ttl-exceeded" "The inner TTL or hop limit expired; the sender gets an ICMP error, at a limited rate.",
        TooBig "too-big" "The packet is larger than the tunnel MTU and has DF set or is IPv6; the sender gets an ICMP error, at a limited rate.",
        TooBigOptions "too-big-options" "The packet is larger than the tunnel MTU and has IPv4 options; such a packet is not fragmented, even with DF clear.",
        SequenceExhausted "sequence-exhausted" "The outbound SA has no sequence numbers left (RFC 4303 section 3.3.3).",
        SaExpired "sa-expired" "The SA reached a hard limit of its lifetime (RFC 4301 section 4.4.2.1).",
        SequenceNotReserved "sequence-not-reserved" "The outbound SA's next sequence number is not reserved on disk yet.",
        Unreachable "unreachable" "The kernel has no route to the destination through this NIC.",
        NeighbourUnresolved "neighbour-unresolved" "The next hop's MAC address was not resolved in time.",
        NeighbourQueueFull "neighbour-queue-full" "Too many packets already waited for the MAC addresses of next hops.",
        HoldFull "hold-full" "Too many packets were already held while their buckets move to this gateway.",
        HoldExpired "hold-expired" "The hold timed out before earlier packets were confirmed delivered by the old gateway.",
        SaFenced "sa-fenced" "The SA is fenced: the peer's demux declared the sending gateway dead, so the packet may be late.",
        WorkerStalled "worker-stalled" "The worker stalled while the packet waited, so the packet may be late.",
        ControlQueueFull "control-queue-full" "A control message from the peer's demux was too long, or the queue to this host's demux was full.",
        NoFrame "no-frame" "No free UMEM frame was left for the result.",
        TransmitRingFull "transmit-ring-full" "The transmit ring of the AF_XDP socket was full.",
        Shutdown "shutdown" "The worker shut down while the packet waited for a next hop or for the release of a hold.",
    }
}

reasons! {
    /// Why the XDP program passed a packet to the kernel's network stack.
    PuntReason {
        NotReady "not-ready" "The program's tables are not filled yet.",
        Arp "arp" "The packet is ARP.",
        OtherMac "other-mac" "The destination MAC address is not the NIC's own.",
        VlanStack "vlan-stack" "The frame has more than two VLAN tags (IEEE 802.1Q, 802.1ad).",
        NotIp "not-ip" "The packet is neither IPv4, IPv6 nor ARP.",
        LinkScope "link-scope" "The packet is IPv6 multicast or has a link-local address; no router forwards it (RFC 4291 section 2.5.6). Neighbour discovery is among these.",
        OwnAddress "own-address" "The packet is for this host and is not ESP.",
        Ike "ike" "The packet is IKE on UDP port 4500 (RFC 3948 section 2.2).",
        UnknownSpi "unknown-spi" "The packet is ESP for this host, but no worker has an inbound SA with its SPI.",
        NoPeering "no-peering" "The destination address is in no peering's prefixes.",
    }
}

/// The XDP program's counters by index: three totals, then one counter for each reason.
pub mod counter {
    use super::{DropReason, PuntReason};

    /// Packets that reached the program.
    pub const RECEIVED: u32 = 0;
    /// Packets redirected to a worker's AF_XDP socket.
    pub const TO_WORKER: u32 = 1;
    /// Packets redirected to a remote gateway.
    pub const TO_GATEWAY: u32 = 2;
    const FIRST_DROP: u32 = 3;
    const FIRST_PUNT: u32 = FIRST_DROP + DropReason::COUNT as u32;
    /// The number of counters.
    pub const COUNT: u32 = FIRST_PUNT + PuntReason::COUNT as u32;

    /// The counter of a drop reason.
    #[inline(always)]
    pub const fn drop(reason: DropReason) -> u32 {
        FIRST_DROP + reason as u32
    }

    /// The counter of a punt reason.
    #[inline(always)]
    pub const fn punt(reason: PuntReason) -> u32 {
        FIRST_PUNT + reason as u32
    }
}
