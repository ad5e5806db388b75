//! Rates between two readings.

use std::time::{Duration, Instant};

use causeway::top::model::Role;
use proptest::prelude::*;

use crate::role::{Counters, gateway};

/// A role with two readings, `milliseconds` apart.
fn role(first: Counters, milliseconds: u64, second: Counters) -> Role {
    let start = Instant::now();
    let mut role = Role::new("here".to_owned());
    role.answered(start, gateway("gateway-1", first));
    let later = start + Duration::from_millis(milliseconds);
    role.answered(later, gateway("gateway-1", second));
    role
}

fn counters() -> impl Strategy<Value = Counters> {
    let most = 1u64 << 40;
    (0..most, 0..most, 0..most, 0..most, 0..most, 0..most).prop_map(
        |(packets, bytes, drops, asleep_ns, bursts, timed)| Counters {
            since: 1_700_000_000,
            packets: packets + drops,
            bytes,
            drops,
            asleep_ns,
            bursts,
            timed,
        },
    )
}

fn close(value: f64, expected: f64) -> bool {
    (value - expected).abs() <= expected.abs() * 1e-9 + 1e-9
}

proptest! {
    #[test]
    fn a_rate_is_the_growth_divided_by_the_time(
        before in counters(),
        more in counters(),
        milliseconds in 1u64..100_000,
    ) {
        let after = Counters {
            since: before.since,
            packets: before.packets + more.packets,
            bytes: before.bytes + more.bytes,
            drops: before.drops + more.drops,
            asleep_ns: before.asleep_ns + more.asleep_ns,
            bursts: before.bursts + more.bursts,
            timed: before.timed + more.timed,
        };
        let role = role(before, milliseconds, after);
        let seconds = milliseconds as f64 / 1e3;
        let rates = role.rates().expect("two readings");
        prop_assert!(close(rates.per_second(|status| status.steering.received), more.packets as f64 / seconds));
        let drops = rates.per_reason(|status| &status.steering.drops);
        let dropped = drops.get("no-worker").copied().unwrap_or(0.0);
        prop_assert!(close(dropped, more.drops as f64 / seconds));

        let worker = &role.status().expect("a reading").workers[0];
        let rates = rates.of_worker(worker).expect("both readings have the worker");
        prop_assert!(close(rates.per_second(|worker| worker.sealed.bytes), more.bytes as f64 / seconds));
        let asleep = more.asleep_ns as f64 / 1e9 / seconds;
        prop_assert!(close(rates.busy(), (1.0 - asleep).max(0.0)));
        let burst = (more.bursts > 0).then(|| more.packets as f64 / more.bursts as f64);
        prop_assert_eq!(rates.mean_burst(), burst);
        prop_assert_eq!(rates.bursts(), [more.bursts, 0]);
        let timed = more.timed > 0;
        prop_assert_eq!(rates.stage("seal"), timed.then_some(70.0));
        prop_assert_eq!(rates.stage("open"), None);
        prop_assert_eq!(rates.all_stages(), timed.then_some(75.0));
        prop_assert_eq!(rates.ring("receive"), timed.then_some(0.25));
        prop_assert_eq!(rates.ring("none"), None);
    }

    /// For any counters: no rate is negative, and none is between two processes.
    #[test]
    fn a_restart_ends_the_rates_until_the_second_reading(
        before in counters(),
        after in counters(),
        restarted in any::<bool>(),
    ) {
        let since = before.since + u64::from(restarted);
        let role = role(before, 1000, Counters { since, ..after });
        prop_assert_eq!(role.rates().is_some(), !restarted && after.packets >= before.packets);
        if let Some(rates) = role.rates() {
            let worker = &role.status().expect("a reading").workers[0];
            let rates = rates.of_worker(worker).expect("the same worker");
            for value in [
                rates.per_second(|worker| worker.sealed.bytes),
                rates.busy(),
                rates.mean_burst().unwrap_or(0.0),
                rates.stage("seal").unwrap_or(0.0),
                rates.ring("fill").unwrap_or(0.0),
            ] {
                prop_assert!(value >= 0.0 && value.is_finite(), "{}", value);
            }
        }
    }
}

#[test]
fn a_role_without_an_answer_has_no_rates() {
    let counters = |packets| Counters {
        packets,
        ..Counters::default()
    };
    let mut role = role(counters(10), 1000, counters(30));
    let seen = role.last_seen().expect("a reading");
    role.failed("connection refused".to_owned());
    assert!(role.rates().is_none());
    assert_eq!(
        role.status().map(|status| status.steering.received),
        Some(30)
    );
    assert_eq!(role.last_seen(), Some(seen));

    // The same process answers again, so its counters continue.
    let back = seen + Duration::from_secs(10);
    role.answered(back, gateway("gateway-1", counters(40)));
    assert_eq!(role.error, None);
    let rates = role
        .rates()
        .expect("the reading before is of the same process");
    assert_eq!(rates.per_second(|status| status.steering.received), 1.0);
}

#[test]
fn a_new_worker_has_no_rates() {
    let mut role = role(Counters::default(), 1000, Counters::default());
    let later = role.last_seen().expect("a reading") + Duration::from_secs(1);
    let mut status = gateway("gateway-1", Counters::default());
    status.workers[0].worker = 1;
    role.answered(later, status);
    let worker = &role.status().expect("a reading").workers[0];
    assert!(
        role.rates()
            .expect("two readings")
            .of_worker(worker)
            .is_none()
    );
}
