//! Compares the window with a plain set of numbers (law 7).

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const ROUND: u64 = 1 << 32;

/// The reference: the set of every accepted number.
struct Model {
    bits: u64,
    esn: bool,
    seen: BTreeSet<u64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Accepted,
    Replayed,
    Left,
    /// So far right that its low half belongs to another number too (2^32 lost in a row). The window may
    /// give any result for that other number.
    BeyondReach,
}

impl Model {
    fn top(&self) -> u64 {
        self.seen.last().copied().unwrap_or(0)
    }

    fn receive(&mut self, number: u64) -> Answer {
        if number + self.bits <= self.top() {
            Answer::Left
        } else if self.esn && number + self.bits > self.top() + ROUND {
            Answer::BeyondReach
        } else if self.seen.insert(number) {
            Answer::Accepted
        } else {
            Answer::Replayed
        }
    }
}

fn receive(window: &mut ReplayWindow, number: u64) -> Answer {
    match window.check(number as u32) {
        Ok(candidate) if candidate.number() == number => {
            window.advance(Authentic::assume(candidate));
            Answer::Accepted
        }
        Ok(candidate) if candidate.number() > number => {
            assert!(window.has_passed(number));
            Answer::Left
        }
        Ok(_) => Answer::BeyondReach,
        Err(ReplayError::Replayed) => Answer::Replayed,
        Err(ReplayError::TooOld) => Answer::Left,
    }
}

/// The distance from the highest number to the next one.
fn step() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => -70..70i64,
        4 => -17_000..17_000i64,
        1 => 0..ROUND as i64 - 17_000,
        1 => ROUND as i64 - 300..ROUND as i64,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Law 7, RFC 4303 section 3.4.3 and appendix A: any width, reordering inside and outside the window,
    /// and losses of up to 2^32, so that the low half wraps several times. Without ESN the last number of
    /// 32 bits ends the sequence.
    /// Standard: esn-inferred, ring
    #[test]
    fn the_window_behaves_as_a_set(
        bits in prop_oneof![64..=200u32, 64..=16384u32],
        esn: bool,
        start in prop_oneof![0..300u64, ROUND - 300..ROUND + 300],
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let last = if esn { u64::MAX } else { ROUND - 1 };
        let mut window = ReplayWindow::new(bits, esn).unwrap();
        let mut model = Model { bits: bits.into(), esn, seen: BTreeSet::from([0]) };
        let mut next = start.min(last);
        for step in steps {
            let expected = model.receive(next);
            let beyond = window.beyond_reach(next).is_some();
            prop_assert_eq!(beyond, expected == Answer::BeyondReach);
            let answer = receive(&mut window, next);
            if expected == Answer::BeyondReach {
                prop_assert_ne!(answer, Answer::Accepted);
            } else {
                prop_assert_eq!(answer, expected, "{} at {}", next, model.top());
            }
            next = model.top().saturating_add_signed(step).min(last);
        }
    }

    /// Any number of checks changes nothing: only an authentic packet moves the window.
    /// Standard: window-after-icv
    #[test]
    fn a_check_does_not_change_the_window(lows: Vec<u32>, top in 0..u64::MAX) {
        let window = ReplayWindow::with_top(top);
        let ring = window.ring.clone();
        for low in lows {
            let _ = window.check(low);
        }
        prop_assert_eq!((window.top, window.ring), (top, ring));
    }
}

/// RFC 4303 section 3.4.3: the exact edge is inside, the next is not.
/// Standard: window-edge
#[test]
fn the_edge_is_accepted() {
    for bits in [64, 65, 127, 128, 4096, 16384] {
        let top = 100_000;
        for (distance, expected) in [(bits - 1, Answer::Accepted), (bits, Answer::Left)] {
            let mut window = ReplayWindow::new(bits, true).unwrap();
            assert_eq!(receive(&mut window, top), Answer::Accepted);
            let number = top - u64::from(distance);
            assert_eq!(receive(&mut window, number), expected, "{bits} {distance}");
        }
    }
}

/// RFC 4303 section 3.3.3 and appendix A: 0xFFFFFFFE to 1 of the next round, reordered.
/// Standard: esn-boundary
#[test]
fn numbers_cross_the_32_bit_boundary_in_any_order() {
    for round in 0..4 {
        let edge = (round + 1) * ROUND;
        let mut window = ReplayWindow::with_top(edge - 10);
        for number in [edge + 1, edge - 2, edge, edge - 1] {
            assert_eq!(receive(&mut window, number), Answer::Accepted);
            assert_eq!(receive(&mut window, number), Answer::Replayed);
        }
        assert_eq!(window.top, edge + 1);
    }
}

/// The high half cannot be below zero: such a number is too old, not 2^64 in the future.
#[test]
fn numbers_before_the_first_round_are_too_old() {
    let window = ReplayWindow::new(64, true).unwrap();
    assert_eq!(window.check(0xffff_fff0), Err(ReplayError::TooOld));
    assert_eq!(window.check(0), Err(ReplayError::Replayed));
    assert_eq!(window.check(1), Ok(Candidate(1)));
}

/// RFC 4303 section 3.3.3: without ESN no number follows the last one of 32 bits. Then 0 and the numbers
/// after it are too old, not the next round.
#[test]
fn without_esn_there_is_no_next_round() {
    let last = u32::MAX;
    let mut window = ReplayWindow::new(64, false).unwrap();
    for number in [last - 1, last, last - 63] {
        assert_eq!(receive(&mut window, number.into()), Answer::Accepted);
        assert_eq!(receive(&mut window, number.into()), Answer::Replayed);
    }
    for number in [0, 1, 63, last - 64] {
        assert_eq!(
            window.check(number),
            Err(ReplayError::TooOld),
            "{number:#x}"
        );
        assert!(window.beyond_reach(ROUND + u64::from(number)).is_none());
    }
}

/// At the end of the 64-bit space nothing wraps and nothing panics.
#[test]
fn the_last_numbers_do_not_wrap() {
    let mut window = ReplayWindow::with_top(u64::MAX - 3);
    assert_eq!(receive(&mut window, u64::MAX - 1), Answer::Accepted);
    assert_eq!(window.check(5), Err(ReplayError::TooOld));
}

/// RFC 6479 section 2: the ring has at least one word more than the window.
/// Standard: ring-word
#[test]
fn the_ring_has_a_spare_word() {
    for bits in MIN_BITS..=MAX_BITS {
        let ring = ReplayWindow::new(bits, true).unwrap().ring.len() * u64::BITS as usize;
        assert!(ring >= (bits + u64::BITS) as usize, "{bits}");
    }
}

#[test]
fn other_widths_are_refused() {
    for bits in [0, 63, 16385, u32::MAX] {
        let error = ReplayWindow::new(bits, true).err().unwrap().to_string();
        assert!(error.contains("64 to 16384") && error.contains(&bits.to_string()));
    }
}
