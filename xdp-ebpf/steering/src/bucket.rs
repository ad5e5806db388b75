//! A bucket's entry, and how it moves to another gateway while packets flow.

/// Which gateway carries a bucket. One 64-bit word in the map, so that whoever writes it, host or
/// program, replaces the whole of it at once.
///
/// An entry whose two gateways differ is *moving*: its packets take the old way as long as they
/// follow each other closely, and the new way from the first one on that comes after a pause so
/// long that what went before it has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Bucket {
    /// The index of the gateway that carries it.
    pub gateway: u16,
    /// The index of the gateway that carries it after a pause; the same when it does not move.
    pub next: u16,
    /// When its last packet came, by [`clock`]. Kept only while it moves.
    pub last: u32,
}

/// The clock of `last` and of [`Host::skew`](crate::maps::Host): CLOCK_MONOTONIC in units of 1024 ns,
/// 32 bits, so that it comes round every 73 minutes.
#[inline(always)]
pub const fn clock(nanoseconds: u64) -> u32 {
    (nanoseconds >> 10) as u32
}

impl Bucket {
    /// A bucket that one gateway carries.
    #[inline(always)]
    pub const fn direct(gateway: u16) -> Self {
        Self {
            gateway,
            next: gateway,
            last: 0,
        }
    }

    /// A bucket that goes over to `next` once it is idle, seen from `now` on.
    #[inline(always)]
    pub const fn moving(gateway: u16, next: u16, now: u32) -> Self {
        Self {
            gateway,
            next,
            last: now,
        }
    }

    /// Whether it waits for a pause.
    #[inline(always)]
    pub const fn is_moving(self) -> bool {
        self.gateway != self.next
    }

    /// Whether nothing came for longer than `skew`. What lies in the future, written by another CPU
    /// a moment later than ours, is no pause.
    #[inline(always)]
    pub const fn is_idle(self, now: u32, skew: u32) -> bool {
        now.wrapping_sub(self.last) as i32 > skew as i32
    }

    /// The entry with which a packet leaves that comes `now`: its `gateway` carries the packet. The
    /// clock is asked only of an entry that moves.
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
