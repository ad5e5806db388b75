use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// An address of one family. Each family has separate tables, so that an IPv4 lookup compares 32 bits and reads
/// no cache line of IPv6 routes.
pub(crate) trait Family: Copy + Ord + Debug + Into<IpAddr> + 'static {
    /// The address as a number; the next number is the next address.
    type Bits: Copy + Ord + Debug + 'static;

    const FIRST: Self::Bits;
    const LAST: Self::Bits;

    /// Destinations that are unreachable regardless of the routes: they are no unicast addresses beyond a link.
    const UNREACHABLE: &'static [IpNet];

    /// `None` for an address of another family.
    fn of(address: IpAddr) -> Option<Self>;

    fn bits(self) -> Self::Bits;

    fn from_bits(bits: Self::Bits) -> Self;

    fn before(bits: Self::Bits) -> Option<Self::Bits>;

    fn after(bits: Self::Bits) -> Option<Self::Bits>;
}

impl Family for Ipv4Addr {
    type Bits = u32;

    const FIRST: u32 = 0;
    const LAST: u32 = u32::MAX;

    /// "This network" and loopback (RFC 1122 section 3.2.1.3), multicast (RFC 5771), limited
    /// broadcast (RFC 919 section 7).
    const UNREACHABLE: &'static [IpNet] = &[
        v4([0, 0, 0, 0], 8),
        v4([127, 0, 0, 0], 8),
        v4([224, 0, 0, 0], 4),
        v4([255, 255, 255, 255], 32),
    ];

    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }
    }

    #[inline]
    fn bits(self) -> u32 {
        self.to_bits()
    }

    #[inline]
    fn from_bits(bits: u32) -> Self {
        Ipv4Addr::from_bits(bits)
    }

    #[inline]
    fn before(bits: u32) -> Option<u32> {
        bits.checked_sub(1)
    }

    fn after(bits: u32) -> Option<u32> {
        bits.checked_add(1)
    }
}

impl Family for Ipv6Addr {
    type Bits = u128;

    const FIRST: u128 = 0;
    const LAST: u128 = u128::MAX;

    /// RFC 4291: the unspecified address and loopback (sections 2.5.2 and 2.5.3), IPv4-mapped addresses
    /// (2.5.5.2), link-local unicast, which routers do not forward (2.5.6), and multicast (2.7).
    const UNREACHABLE: &'static [IpNet] = &[
        v6([0, 0, 0, 0, 0, 0, 0, 0], 127),
        v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96),
        v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
        v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
    ];

    fn of(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(address),
        }
    }

    #[inline]
    fn bits(self) -> u128 {
        self.to_bits()
    }

    #[inline]
    fn from_bits(bits: u128) -> Self {
        Ipv6Addr::from_bits(bits)
    }

    #[inline]
    fn before(bits: u128) -> Option<u128> {
        bits.checked_sub(1)
    }

    fn after(bits: u128) -> Option<u128> {
        bits.checked_add(1)
    }
}

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], length: u8) -> IpNet {
    let address = Ipv6Addr::new(a, b, c, d, e, f, g, h);
    IpNet::V6(Ipv6Net::new_assert(address, length))
}
