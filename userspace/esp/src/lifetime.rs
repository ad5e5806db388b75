//! The lifetime of an SA and its usage (RFC 4301 section 4.4.2.1).

use std::time::Duration;

/// The limits of an SA. The default has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// Limits at which the SA should be replaced. The SA continues to work.
    pub soft: Limits,
    /// Limits at which the SA stops.
    pub hard: Limits,
}

/// Limits of which the first one reached counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Time since the SA was installed.
    pub time: Option<Duration>,
    /// Octets encrypted or decrypted: inner packets with their padding and trailer.
    pub bytes: Option<u64>,
    /// Packets sealed, or authentic packets opened.
    pub packets: Option<u64>,
}

impl Limits {
    fn reached(&self, usage: Usage, age: Duration) -> bool {
        self.time.is_some_and(|limit| age >= limit)
            || self.bytes.is_some_and(|limit| usage.bytes >= limit)
            || self.packets.is_some_and(|limit| usage.packets >= limit)
    }
}

/// The traffic of an SA so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Packets sealed, or authentic packets opened.
    pub packets: u64,
    /// Octets encrypted or decrypted.
    pub bytes: u64,
}

/// The state of an SA's lifetime, in order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LifetimeState {
    /// No limit is reached.
    Active,
    /// A soft limit is reached: the SA should be replaced.
    Due,
    /// A hard limit is reached: the SA seals or opens no more packets.
    Expired,
}

/// Counts an SA's usage and compares it with its limits. Octets and packets are compared per packet, so that
/// no packet exceeds a hard limit. Time is compared only in [`LifetimeTracker::state`].
#[derive(Debug)]
pub(crate) struct LifetimeTracker {
    usage: Usage,
    /// The hard limits, or `u64::MAX` without one.
    bytes: u64,
    packets: u64,
    /// Below all of these no limit is reached, hard or soft, and the lifetime itself need not be read.
    lowest: LowestLimits,
}

/// The lowest limit of each kind, hard or soft.
#[derive(Debug)]
struct LowestLimits {
    bytes: u64,
    packets: u64,
    nanoseconds: u64,
}

/// A hard limit is reached.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LimitReached;

impl LifetimeTracker {
    pub(crate) fn new(lifetime: &Lifetime) -> LifetimeTracker {
        let both = [lifetime.soft, lifetime.hard];
        let least = |limit: fn(Limits) -> Option<u64>| {
            both.into_iter().filter_map(limit).min().unwrap_or(u64::MAX)
        };
        LifetimeTracker {
            usage: Usage::default(),
            lowest: LowestLimits {
                bytes: least(|limits| limits.bytes),
                packets: least(|limits| limits.packets),
                nanoseconds: least(|limits| limits.time.map(nanoseconds)),
            },
            bytes: lifetime.hard.bytes.unwrap_or(u64::MAX),
            packets: lifetime.hard.packets.unwrap_or(u64::MAX),
        }
    }

    /// Checks that one more packet of `bytes` octets is within the hard limits.
    #[inline]
    pub(crate) fn admit(&self, bytes: usize) -> Result<(), LimitReached> {
        let within = self.usage.packets < self.packets
            && self.usage.bytes.saturating_add(bytes as u64) <= self.bytes;
        if within { Ok(()) } else { Err(LimitReached) }
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

    /// The state at this age. `lifetime` is the one that this tracker was created with. An expired SA stays expired.
    #[inline]
    pub(crate) fn state(&mut self, lifetime: &Lifetime, age: Duration) -> LifetimeState {
        let LowestLimits {
            bytes,
            packets,
            nanoseconds: time,
        } = self.lowest;
        let active = self.usage.packets < packets.min(self.packets)
            && self.usage.bytes < bytes
            && nanoseconds(age) < time;
        if active {
            return LifetimeState::Active;
        }
        self.check_limits(lifetime, age)
    }

    #[cold]
    fn check_limits(&mut self, lifetime: &Lifetime, age: Duration) -> LifetimeState {
        if lifetime.hard.reached(self.usage, age) {
            self.packets = 0;
        }
        if self.admit(1).is_err() {
            LifetimeState::Expired
        } else if lifetime.soft.reached(self.usage, age) {
            LifetimeState::Due
        } else {
            LifetimeState::Active
        }
    }
}

/// Saturates after 584 years.
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
        /// RFC 4301 section 4.4.2.1: no octet and no packet exceeds a hard limit, no packet follows its
        /// time, and a soft limit only changes the state.
        /// Standard: lifetime
        #[test]
        fn nothing_goes_beyond_a_hard_limit(
            soft in limits(),
            hard in limits(),
            steps in prop::collection::vec((0..300usize, 0..3u64), 1..60),
        ) {
            let lifetime = Lifetime { soft, hard };
            let mut tracker = LifetimeTracker::new(&lifetime);
            let mut age = Duration::ZERO;
            let (mut packets, mut bytes) = (0, 0);
            let mut expired = false;
            for (len, seconds) in steps {
                age += Duration::from_secs(seconds);
                let state = tracker.state(&lifetime, age);
                prop_assert!(!expired || state == LifetimeState::Expired, "an expired SA became active again");
                expired |= hard.time.is_some_and(|limit| age >= limit);
                prop_assert!(!expired || state == LifetimeState::Expired);
                let due = soft.time.is_some_and(|limit| age >= limit)
                    || soft.bytes.is_some_and(|limit| bytes >= limit)
                    || soft.packets.is_some_and(|limit| packets >= limit);
                prop_assert!(due == (state == LifetimeState::Due) || state == LifetimeState::Expired);
                expired |= state == LifetimeState::Expired;
                if tracker.admit(len).is_ok() {
                    prop_assert!(!expired);
                    tracker.add(len);
                    packets += 1;
                    bytes += len as u64;
                }
                prop_assert!(hard.packets.is_none_or(|limit| packets <= limit));
                prop_assert!(hard.bytes.is_none_or(|limit| bytes <= limit));
                prop_assert_eq!(tracker.usage(), Usage { packets, bytes });
            }
        }
    }
}
