//! Schedules that broke early versions (the first two tests), or break a version without one part of
//! the protocol (the others), so that no such mistake comes back. A seed plays its schedule only as
//! long as `schedule.rs` draws what it draws now: new kinds of trouble are drawn behind the old ones.

use causeway_simulation::{Schedule, play};

fn holds(seeds: &[u64]) {
    for &seed in seeds {
        let broken = play(Schedule::new(seed), false).broken;
        assert_eq!(broken, None, "seed {seed}");
    }
}

/// The fence was lifted 300 ms after the dead pair's gateway had answered anything: a busy gateway
/// and its busy peer still had packets of before in their rings, and delivered them late.
#[test]
fn a_fence_was_lifted_while_rings_still_had_old_packets() {
    holds(&[202, 471]);
}

/// Echoes that came late through a dead pair made it a witness against the last live one. With all
/// pairs dead none was left to speak through, and no fence was ever lifted.
#[test]
fn a_dead_pair_was_a_witness_of_anothers_death() {
    holds(&[51]);
}

/// Without the wait for the fence: packets on their way through a pair whose echoes were lost came
/// after those that its stand-in had let go.
#[test]
fn packets_of_a_dead_pair_came_after_its_stand_ins() {
    holds(&[51]);
}

/// With the skew left open, as the first plan had it, and not for the moment of an echo only: a bucket fell idle after the
/// marker, and what a paused worker still had of it was overtaken.
#[test]
fn a_bucket_went_over_that_was_idle_only_since_the_marker() {
    holds(&[21, 41, 175, 182]);
}

/// One worker's marker released what another worker's packets were still before.
#[test]
fn one_workers_marker_spoke_for_all() {
    holds(&[174, 182]);
}

/// Packets that a stopped process found in its rings, and sent, when it went on.
#[test]
fn a_gateway_that_stood_still_sent_what_it_found() {
    holds(&[67, 95, 187, 237]);
}

/// `Held` was said when one worker held: what came to the others passed at once.
#[test]
fn one_worker_held_for_all() {
    holds(&[1, 5, 16, 19]);
}
