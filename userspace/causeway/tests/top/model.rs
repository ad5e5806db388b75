//! What becomes of two looks.

use std::time::{Duration, Instant};

use causeway::top::model::Role;
use proptest::prelude::*;

use crate::role::{Counted, gateway};

/// A role that was looked at twice, so many milliseconds apart.
fn looked(first: Counted, milliseconds: u64, second: Counted) -> Role {
    let start = Instant::now();
    let mut role = Role::new("here".to_owned());
    role.saw(start, gateway("gateway-1", first));
    let later = start + Duration::from_millis(milliseconds);
    role.saw(later, gateway("gateway-1", second));
    role
}

fn counted() -> impl Strategy<Value = Counted> {
    let most = 1u64 << 40;
    (0..most, 0..most, 0..most, 0..most, 0..most, 0..most).prop_map(
        |(packets, bytes, drops, asleep_ns, bursts, timed)| Counted {
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

fn close(figure: f64, expected: f64) -> bool {
    (figure - expected).abs() <= expected.abs() * 1e-9 + 1e-9
}

proptest! {
    #[test]
    fn a_rate_is_what_came_in_between_by_the_time(
        before in counted(),
        more in counted(),
        milliseconds in 1u64..100_000,
    ) {
        let after = Counted {
            since: before.since,
            packets: before.packets + more.packets,
            bytes: before.bytes + more.bytes,
            drops: before.drops + more.drops,
            asleep_ns: before.asleep_ns + more.asleep_ns,
            bursts: before.bursts + more.bursts,
            timed: before.timed + more.timed,
        };
        let role = looked(before, milliseconds, after);
        let seconds = milliseconds as f64 / 1e3;
        let pace = role.pace().expect("two looks");
        prop_assert!(close(pace.of(|status| status.steering.received), more.packets as f64 / seconds));
        let drops = pace.of_each(|status| &status.steering.drops);
        let dropped = drops.get("no-worker").copied().unwrap_or(0.0);
        prop_assert!(close(dropped, more.drops as f64 / seconds));

        let worker = &role.status().expect("a look").workers[0];
        let pace = pace.of_worker(worker).expect("a worker that was there before");
        prop_assert!(close(pace.of(|worker| worker.sealed.bytes), more.bytes as f64 / seconds));
        let asleep = more.asleep_ns as f64 / 1e9 / seconds;
        prop_assert!(close(pace.busy(), (1.0 - asleep).max(0.0)));
        let burst = (more.bursts > 0).then(|| more.packets as f64 / more.bursts as f64);
        prop_assert_eq!(pace.burst(), burst);
        prop_assert_eq!(pace.bursts(), [more.bursts, 0]);
        let timed = more.timed > 0;
        prop_assert_eq!(pace.stage("seal"), timed.then_some(70.0));
        prop_assert_eq!(pace.stage("open"), None);
        prop_assert_eq!(pace.all_stages(), timed.then_some(75.0));
        prop_assert_eq!(pace.ring("receive"), timed.then_some(0.25));
        prop_assert_eq!(pace.ring("none"), None);
    }

    /// Whatever the counters are: no figure is negative, and none comes from two processes.
    #[test]
    fn after_a_restart_no_rate_is_told_until_the_next_look(
        before in counted(),
        after in counted(),
        restarted in any::<bool>(),
    ) {
        let since = before.since + u64::from(restarted);
        let role = looked(before, 1000, Counted { since, ..after });
        prop_assert_eq!(role.pace().is_some(), !restarted && after.packets >= before.packets);
        if let Some(pace) = role.pace() {
            let worker = &role.status().expect("a look").workers[0];
            let pace = pace.of_worker(worker).expect("the same worker");
            for figure in [
                pace.of(|worker| worker.sealed.bytes),
                pace.busy(),
                pace.burst().unwrap_or(0.0),
                pace.stage("seal").unwrap_or(0.0),
                pace.ring("fill").unwrap_or(0.0),
            ] {
                prop_assert!(figure >= 0.0 && figure.is_finite(), "{}", figure);
            }
        }
    }
}

#[test]
fn a_role_has_no_rate_while_it_is_gone() {
    let counted = |packets| Counted {
        packets,
        ..Counted::default()
    };
    let mut role = looked(counted(10), 1000, counted(30));
    let seen = role.seen().expect("a look");
    role.missed("connection refused".to_owned());
    assert!(role.pace().is_none());
    assert_eq!(
        role.status().map(|status| status.steering.received),
        Some(30)
    );
    assert_eq!(role.seen(), Some(seen));

    // The same process, which had only not answered: its counters went on.
    let back = seen + Duration::from_secs(10);
    role.saw(back, gateway("gateway-1", counted(40)));
    assert_eq!(role.trouble, None);
    let pace = role.pace().expect("the look before is of the same process");
    assert_eq!(pace.of(|status| status.steering.received), 1.0);
}

#[test]
fn a_worker_that_is_new_has_no_pace() {
    let mut role = looked(Counted::default(), 1000, Counted::default());
    let later = role.seen().expect("a look") + Duration::from_secs(1);
    let mut status = gateway("gateway-1", Counted::default());
    status.workers[0].worker = 1;
    role.saw(later, status);
    let worker = &role.status().expect("a look").workers[0];
    assert!(role.pace().expect("two looks").of_worker(worker).is_none());
}
