//! IPv4 and IPv6 addresses as one type, so that tables, keys and prefixes are the same for both.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `::ffff:0:0/96`, RFC 4291 section 2.5.5.2.
const MAPPED: u64 = 0xffff_0000_0000;

/// An IPv4 or IPv6 address: 128 bits as two numbers in host order. An IPv4 address is stored as
/// IPv4-mapped, `::ffff:a.b.c.d`. The parser rejects IPv6 packets with such addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Address {
    /// The first eight octets, in host order.
    pub high: u64,
    /// The last eight octets, in host order.
    pub low: u64,
}

impl Address {
    /// The IPv4 address with these bits in host order.
    #[inline(always)]
    pub const fn v4(bits: u32) -> Self {
        Self {
            high: 0,
            low: MAPPED | bits as u64,
        }
    }

    /// The IPv6 address with these bits in host order.
    #[inline(always)]
    pub const fn v6(bits: u128) -> Self {
        Self {
            high: (bits >> 64) as u64,
            low: bits as u64,
        }
    }

    /// Whether this is an IPv4 address.
    #[inline(always)]
    pub const fn is_ipv4(&self) -> bool {
        self.high == 0 && self.low >> 32 == MAPPED >> 32
    }

    /// The IPv4 address, or `None` for an IPv6 address.
    #[inline(always)]
    pub const fn ipv4(&self) -> Option<Ipv4Addr> {
        if self.is_ipv4() {
            Some(Ipv4Addr::from_bits(self.low as u32))
        } else {
            None
        }
    }

    /// All 128 bits in host order; an IPv4 address is IPv4-mapped.
    #[inline(always)]
    pub const fn bits(&self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }
}

impl From<Ipv4Addr> for Address {
    #[inline]
    fn from(address: Ipv4Addr) -> Self {
        Self::v4(address.to_bits())
    }
}

impl From<Ipv6Addr> for Address {
    #[inline]
    fn from(address: Ipv6Addr) -> Self {
        Self::v6(address.to_bits())
    }
}

impl From<IpAddr> for Address {
    #[inline]
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => address.into(),
        }
    }
}

impl From<Address> for IpAddr {
    #[inline]
    fn from(address: Address) -> Self {
        match address.ipv4() {
            Some(address) => Self::V4(address),
            None => Self::V6(Ipv6Addr::from_bits(address.bits())),
        }
    }
}
