//! Regression tests: schedules that broke early versions (the first two tests), or that break a version
//! without one part of the protocol (the others). A seed gives the same schedule only while
//! `schedule.rs` draws the same random numbers, so new kinds of faults are drawn after the old ones.

use causeway_simulation::{Schedule, play};

fn assert_no_law_is_broken(seeds: &[u64]) {
    for &seed in seeds {
        let broken = play(Schedule::new(seed), false).broken;
        assert_eq!(broken, None, "seed {seed}");
    }
}

/// The fence was lifted 300 ms after the first reply from the dead pair's gateway. A busy gateway and its
/// busy peer still had older packets in their rings, and delivered them late.
#[test]
fn a_fence_was_lifted_while_rings_still_had_old_packets() {
    assert_no_law_is_broken(&[202, 471]);
}

/// Late echoes through a dead pair made the last live pair count as dead. With all pairs dead no relay was
/// left, and no fence was ever lifted.
#[test]
fn echoes_of_a_dead_pair_counted_against_a_live_one() {
    assert_no_law_is_broken(&[51]);
}

/// Without the wait for the fence: packets through a pair whose echoes were lost arrived after packets that
/// the replacing pair had released.
#[test]
fn packets_of_a_dead_pair_arrived_after_those_of_its_replacement() {
    assert_no_law_is_broken(&[51]);
}

/// With the skew set permanently, not only for the moment of an echo: a bucket became idle after the
/// marker, and packets of a paused worker were overtaken.
#[test]
fn a_bucket_moved_that_was_idle_only_since_the_marker() {
    assert_no_law_is_broken(&[21, 41, 175, 182]);
}

/// One worker's marker caused a release while earlier packets of another worker were still on their way.
#[test]
fn one_workers_marker_counted_for_all() {
    assert_no_law_is_broken(&[174, 182]);
}

/// A stopped process sent the packets in its rings when it continued.
#[test]
fn a_stalled_gateway_sent_old_packets() {
    assert_no_law_is_broken(&[67, 95, 187, 237]);
}

/// `Held` was sent when one worker held, and packets at the other workers passed at once.
#[test]
fn one_worker_held_for_all() {
    assert_no_law_is_broken(&[1, 5, 16, 19]);
}
