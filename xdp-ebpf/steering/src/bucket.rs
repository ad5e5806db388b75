//! A bucket's entry in the map, and how a bucket moves to another gateway while packets flow.

/// The gateway that carries a bucket. The entry is one 64-bit word in the map, so that the host and
/// the program each replace it atomically.
///
/// An entry whose two gateways differ is *moving*. Its packets go to the old gateway until the
/// first pause longer than the skew. After such a pause every earlier packet has arrived, and all
/// further packets go to the new gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Bucket {
    /// The index of the gateway that carries the bucket.
    pub gateway: u16,
    /// The index of the gateway that carries the bucket after a pause. Equal to `gateway` unless the
    /// bucket is moving.
    pub next: u16,
    /// When the bucket's last packet arrived, by [`clock`]. Maintained only while the bucket moves.
    pub last: u32,
}

/// The clock of `last` and of [`Host::skew`](crate::maps::Host): CLOCK_MONOTONIC in units of 1024 ns,
/// truncated to 32 bits. It wraps around every 73 minutes.
#[inline(always)]
pub const fn clock(nanoseconds: u64) -> u32 {
    (nanoseconds >> 10) as u32
}

impl Bucket {
    /// The entry of a bucket that does not move.
    #[inline(always)]
    pub const fn direct(gateway: u16) -> Self {
        Self {
            gateway,
            next: gateway,
            last: 0,
        }
    }

    /// The entry of a bucket that moves to `next` once it is idle. The idle time counts from `now`.
    #[inline(always)]
    pub const fn moving(gateway: u16, next: u16, now: u32) -> Self {
        Self {
            gateway,
            next,
            last: now,
        }
    }

    /// Whether the bucket moves to another gateway at its next pause.
    #[inline(always)]
    pub const fn is_moving(self) -> bool {
        self.gateway != self.next
    }

    /// Whether the last packet arrived more than `skew` ago. A `last` in the future, written by
    /// another CPU whose clock is slightly ahead, counts as no pause.
    #[inline(always)]
    pub const fn is_idle(self, now: u32, skew: u32) -> bool {
        now.wrapping_sub(self.last) as i32 > skew as i32
    }

    /// The entry after a packet that arrives at `now`; its `gateway` carries the packet. The clock is
    /// read only if the bucket is moving, because the read is a helper call in the kernel.
    #[inline(always)]
    pub fn route(self, now: impl FnOnce() -> u32, skew: u32) -> Self {
        if !self.is_moving() {
            return self;
        }
        let now = now();
        match self.is_idle(now, skew) {
            true => Self::direct(self.next),
            false => Self { last: now, ..self },
        }
    }
}

impl From<Bucket> for u64 {
    #[inline(always)]
    fn from(bucket: Bucket) -> Self {
        (bucket.last as u64) << 32 | (bucket.next as u64) << 16 | bucket.gateway as u64
    }
}

impl From<u64> for Bucket {
    #[inline(always)]
    fn from(word: u64) -> Self {
        Self {
            gateway: word as u16,
            next: (word >> 16) as u16,
            last: (word >> 32) as u32,
        }
    }
}
