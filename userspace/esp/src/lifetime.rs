//! How long an SA may live, and what it has carried (RFC 4301 section 4.4.2.1).

use std::time::Duration;

/// The limits of an SA. The default has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// Beyond these a new SA is due: whoever runs the SA is told, and it goes on.
    pub soft: Limits,
    /// Beyond these it carries nothing more.
    pub hard: Limits,
}

/// Limits, of which the first one reached counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Time since the SA was installed.
    pub time: Option<Duration>,
    /// Octets given to the cipher: inner packets with their padding and trailer.
    pub bytes: Option<u64>,
    /// Packets.
    pub packets: Option<u64>,
}

impl Limits {
    fn reached(&self, usage: Usage, age: Duration) -> bool {
        self.time.is_some_and(|limit| age >= limit)
            || self.bytes.is_some_and(|limit| usage.bytes >= limit)
            || self.packets.is_some_and(|limit| usage.packets >= limit)
    }
}

/// What an SA has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Packets that were sealed, or authentic ones that were opened.
    pub packets: u64,
    /// Octets given to the cipher.
    pub bytes: u64,
}

/// Where an SA stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// No limit is reached.
    Young,
    /// A soft limit is reached: a new SA is due.
    Due,
    /// A hard limit is reached: the SA carries nothing more.
    Expired,
}

/// An SA's usage held against its limits. Octets and packets are looked at for each packet, so that
/// not one goes beyond a hard limit; time only when somebody tells it.
#[derive(Debug)]
pub(crate) struct Ledger {
    usage: Usage,
    /// The hard limits, or the largest number where there is none.
    bytes: u64,
    packets: u64,
    /// Below all of these no limit is reached, hard or soft, so that the lifetime itself is not looked at.
    young: Young,
}

#[derive(Debug)]
struct Young {
    bytes: u64,
    packets: u64,
    nanoseconds: u64,
}

/// A hard limit is reached.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expired;

impl Ledger {
    pub(crate) fn new(lifetime: &Lifetime) -> Ledger {
        let both = [lifetime.soft, lifetime.hard];
        let least = |limit: fn(Limits) -> Option<u64>| {
            both.into_iter().filter_map(limit).min().unwrap_or(u64::MAX)
        };
        Ledger {
            usage: Usage::default(),
            young: Young {
                bytes: least(|limits| limits.bytes),
                packets: least(|limits| limits.packets),
                nanoseconds: least(|limits| limits.time.map(nanoseconds)),
            },
            bytes: lifetime.hard.bytes.unwrap_or(u64::MAX),
            packets: lifetime.hard.packets.unwrap_or(u64::MAX),
        }
    }

    /// Whether one more packet of `bytes` octets is within the hard limits.
    #[inline]
    pub(crate) fn admit(&self, bytes: usize) -> Result<(), Expired> {
        let within = self.usage.packets < self.packets
            && self.usage.bytes.saturating_add(bytes as u64) <= self.bytes;
        if within { Ok(()) } else { Err(Expired) }
    }

    /// Adds a packet of `bytes` octets.
    #[inline]
    pub(crate) fn add(&mut self, bytes: usize) {
        self.usage.packets += 1;
        self.usage.bytes = self.usage.bytes.saturating_add(bytes as u64);
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }

    /// Where the SA stands at this age, whose `lifetime` the ledger was made for; past a hard limit it stays expired.
    #[inline]
    pub(crate) fn stage(&mut self, lifetime: &Lifetime, age: Duration) -> Stage {
        let Young {
            bytes,
            packets,
            nanoseconds: time,
        } = self.young;
        let young = self.usage.packets < packets.min(self.packets)
            && self.usage.bytes < bytes
            && nanoseconds(age) < time;
        if young {
            return Stage::Young;
        }
        self.hold_against(lifetime, age)
    }

    #[cold]
    fn hold_against(&mut self, lifetime: &Lifetime, age: Duration) -> Stage {
        if lifetime.hard.reached(self.usage, age) {
            self.packets = 0;
        }
        if self.admit(1).is_err() {
            Stage::Expired
        } else if lifetime.soft.reached(self.usage, age) {
            Stage::Due
        } else {
            Stage::Young
        }
    }
}

/// As far as 64 bits reach, which is 584 years.
#[inline]
fn nanoseconds(time: Duration) -> u64 {
    let nanoseconds = u64::from(time.subsec_nanos());
    let seconds = time.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits() -> impl Strategy<Value = Limits> {
        (
            prop::option::of(0..20u64),
            prop::option::of(0..2000u64),
            prop::option::of(0..20u64),
        )
            .prop_map(|(time, bytes, packets)| Limits {
                time: time.map(Duration::from_secs),
                bytes,
                packets,
            })
    }

    proptest! {
        /// RFC 4301 section 4.4.2.1: not an octet and not a packet beyond a hard limit, nothing
        /// after its time, and a soft limit only tells.
        /// Standard: lifetime
        #[test]
        fn nothing_goes_beyond_a_hard_limit(
            soft in limits(),
            hard in limits(),
            steps in prop::collection::vec((0..300usize, 0..3u64), 1..60),
        ) {
            let lifetime = Lifetime { soft, hard };
            let mut ledger = Ledger::new(&lifetime);
            let mut age = Duration::ZERO;
            let (mut packets, mut bytes) = (0, 0);
            let mut expired = false;
            for (len, seconds) in steps {
                age += Duration::from_secs(seconds);
                let stage = ledger.stage(&lifetime, age);
                prop_assert!(!expired || stage == Stage::Expired, "it comes back to life");
                expired |= hard.time.is_some_and(|limit| age >= limit);
                prop_assert!(!expired || stage == Stage::Expired);
                let due = soft.time.is_some_and(|limit| age >= limit)
                    || soft.bytes.is_some_and(|limit| bytes >= limit)
                    || soft.packets.is_some_and(|limit| packets >= limit);
                prop_assert!(due == (stage == Stage::Due) || stage == Stage::Expired);
                expired |= stage == Stage::Expired;
                if ledger.admit(len).is_ok() {
                    prop_assert!(!expired);
                    ledger.add(len);
                    packets += 1;
                    bytes += len as u64;
                }
                prop_assert!(hard.packets.is_none_or(|limit| packets <= limit));
                prop_assert!(hard.bytes.is_none_or(|limit| bytes <= limit));
                prop_assert_eq!(ledger.usage(), Usage { packets, bytes });
            }
        }
    }
}
