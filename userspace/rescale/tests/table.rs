//! Laws of the table.

use std::collections::BTreeSet;

use causeway_rescale::table::{Refusal, Table};
use causeway_rescale::{Change, Ordinal, Weight};
use causeway_steering::BUCKETS;
use proptest::prelude::*;

fn weight(weight: u8) -> Weight {
    Weight::new(weight).unwrap()
}

/// A cluster of gateways "PREFIX-1", "PREFIX-2" and so on.
fn cluster(prefix: &str, weights: &[u8]) -> Table {
    let name = |n: usize| format!("{prefix}-{n}");
    let members = weights.iter().zip(1..).map(|(&w, n)| (name(n), weight(w)));
    Table::new(members).unwrap()
}

fn equal(gateways: usize) -> Table {
    cluster("gateway", &vec![1; gateways])
}

fn add(n: usize, w: u8) -> Change {
    Change::Add {
        name: format!("gateway-{n}"),
        weight: weight(w),
    }
}

fn name(n: usize) -> String {
    format!("gateway-{n}")
}

/// Each bucket's pair exists and has a weight, and each has its share to within one bucket.
fn hold_to_weights(table: &Table) {
    let weights: u64 = table
        .members()
        .iter()
        .filter_map(|m| m.weight)
        .map(|w| u64::from(w.get()))
        .sum();
    let mut sum = 0;
    for member in table.members() {
        let share = table.share(member.ordinal) as u64;
        let due = member.weight.map_or(0, |w| u64::from(w.get())) * u64::from(BUCKETS);
        assert!(share * weights + weights > due, "{member:?} has {share}");
        assert!(share * weights < due + weights, "{member:?} has {share}");
        assert_eq!(share > 0, member.weight.is_some(), "{member:?} has {share}");
        sum += share;
    }
    assert_eq!(sum, u64::from(BUCKETS));
}

#[test]
fn equal_gateways_take_turns() {
    let table = equal(3);
    let first: Vec<u16> = table.buckets()[..7].iter().map(|o| o.0).collect();
    assert_eq!(first, [0, 1, 2, 0, 1, 2, 0]);
}

/// Law 6, over every size that there can be.
#[test]
fn one_gateway_more_or_less_moves_no_more_than_its_share() {
    let mut table = equal(1);
    for old in 1..64 {
        let planned = table.change(&add(old + 1, 1), None).unwrap();
        let most = (BUCKETS as usize).div_ceil(old + 1);
        assert!(
            planned.moves.len() <= most,
            "{old} + 1: {}",
            planned.moves.len()
        );
        hold_to_weights(&planned.table);
        table = planned.table;
    }
    for old in (2..=64).rev() {
        let planned = table
            .change(&Change::Remove { name: name(old) }, None)
            .unwrap();
        let most = (BUCKETS as usize).div_ceil(old);
        assert!(
            planned.moves.len() <= most,
            "{old} - 1: {}",
            planned.moves.len()
        );
        hold_to_weights(&planned.table);
        table = planned.table;
    }
}

#[test]
fn the_buckets_that_move_are_spread_over_the_table() {
    let planned = equal(4).change(&add(5, 1), None).unwrap();
    for quarter in 0..4 {
        let within = |bucket: u32| bucket * 4 / BUCKETS == quarter;
        let moved = planned.moves.iter().filter(|m| within(m.bucket)).count();
        assert!((195..=215).contains(&moved), "{moved} of quarter {quarter}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let table = equal(2);
    let refusal = |change: Change| table.change(&change, None).unwrap_err();
    assert!(matches!(
        refusal(Change::Drain { name: "gateway-7".into() }),
        Refusal::UnknownGateway { known, .. } if known == "gateway-1, gateway-2"
    ));
    assert!(matches!(refusal(add(1, 1)), Refusal::AlreadyThere { .. }));
    let same = Change::Weight {
        name: name(1),
        weight: weight(1),
    };
    assert!(matches!(
        refusal(same),
        Refusal::SameWeight { weight: 1, .. }
    ));

    let drained = table
        .change(&Change::Drain { name: name(1) }, None)
        .unwrap()
        .table;
    let again = drained.change(&Change::Drain { name: name(1) }, None);
    assert!(matches!(again, Err(Refusal::AlreadyDrained { .. })));
    let last = drained.change(&Change::Drain { name: name(2) }, None);
    assert!(matches!(last, Err(Refusal::LastGateway { .. })));
    let last = drained.change(&Change::Remove { name: name(2) }, None);
    assert!(matches!(last, Err(Refusal::LastGateway { .. })));
    let full = equal(64).change(&add(65, 1), None);
    assert!(matches!(full, Err(Refusal::TooMany)));
}

#[test]
fn a_number_is_never_given_twice() {
    let table = equal(2);
    let gone = table
        .change(&Change::Remove { name: name(2) }, None)
        .unwrap()
        .table;
    let back = gone.change(&add(2, 1), None).unwrap().table;
    assert_eq!(back.member(&name(2)).unwrap().ordinal, Ordinal(2));
}

/// Any change, of which some are refused.
fn changes() -> impl Strategy<Value = Vec<Change>> {
    let gateway = (1_usize..12, 1_u8..=64).prop_flat_map(|(n, w)| {
        prop_oneof![
            Just(add(n, w)),
            Just(Change::Drain { name: name(n) }),
            Just(Change::Remove { name: name(n) }),
            Just(Change::Weight {
                name: name(n),
                weight: weight(w)
            }),
        ]
    });
    prop::collection::vec(gateway, 0..30)
}

/// The same change where the gateways have other names.
fn elsewhere(change: &Change) -> Change {
    let mut other = change.clone();
    let (Change::Add { name, .. }
    | Change::Drain { name }
    | Change::Remove { name }
    | Change::Weight { name, .. }) = &mut other;
    *name = name.replace("gateway", "tor");
    other
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is done: shares follow the weights, no bucket moves that need not, and two VPCs with
    /// other names have one table.
    #[test]
    fn any_changes_keep_the_laws(weights in prop::collection::vec(1_u8..=64, 1..8), changes in changes()) {
        let mut here = cluster("gateway", &weights);
        let mut there = cluster("tor", &weights);
        hold_to_weights(&here);
        for change in &changes {
            let planned = match (here.change(change, None), there.change(&elsewhere(change), None)) {
                (Ok(planned), Ok(far)) => {
                    there = far.table;
                    planned
                }
                (Err(_), Err(_)) => continue,
                (near, far) => panic!("{change:?}: {near:?} here, {far:?} there"),
            };
            hold_to_weights(&planned.table);
            prop_assert_eq!(planned.table.id(), there.id());
            prop_assert_eq!(planned.table.id().before, here.id().digest);
            prop_assert_ne!(planned.table.id().digest, here.id().digest);

            let mut moved = here.buckets().to_vec();
            for each in &planned.moves {
                prop_assert_eq!(moved[each.bucket as usize], each.from);
                prop_assert_ne!(each.from, each.to);
                moved[each.bucket as usize] = each.to;
            }
            prop_assert_eq!(&moved, planned.table.buckets());
            // Whoever has more than before got what is more, and nothing came to another.
            let more = planned.table.members().iter().map(|m| {
                planned.table.share(m.ordinal).saturating_sub(here.share(m.ordinal))
            });
            prop_assert_eq!(planned.moves.len(), more.sum::<usize>());
            here = planned.table;
        }
        let written = serde_json::to_string(&here).unwrap();
        prop_assert_eq!(serde_json::from_str::<Table>(&written).unwrap(), here);
    }

    /// Only the dead's buckets have stand-ins, all of them alive; and one death more moves nobody
    /// else's.
    #[test]
    fn the_dead_are_stood_in_for(weights in prop::collection::vec(1_u8..=8, 2..10), dying in prop::collection::vec(0_u16..10, 1..6)) {
        let table = cluster("gateway", &weights);
        let mut dead = BTreeSet::new();
        let mut before = table.without(&dead);
        prop_assert_eq!(&before[..], table.buckets());
        for pair in dying.into_iter().map(Ordinal) {
            if table.pair(pair).is_none() || dead.len() + 1 == weights.len() {
                continue;
            }
            dead.insert(pair);
            let after = table.without(&dead);
            for (old, new) in before.iter().zip(&after) {
                prop_assert!(!dead.contains(new));
                prop_assert!(new == old || *old == pair);
            }
            before = after;
        }
    }

    /// A file that somebody damaged is refused or read, and never more.
    #[test]
    fn a_damaged_file_is_no_panic(at in 0_usize..60_000, octet: u8) {
        let mut text = serde_json::to_vec(&equal(5)).unwrap();
        let at = at % text.len();
        text[at] = octet;
        if let Ok(table) = serde_json::from_slice::<Table>(&text) {
            prop_assert_eq!(table.buckets().len(), BUCKETS as usize);
            let _ = table.change(&add(9, 2), None);
        }
    }
}

/// Weights count among the stand-ins too.
#[test]
fn a_heavier_gateway_stands_in_for_more() {
    let table = cluster("gateway", &[4, 1, 3]);
    let stand_ins = table.without(&BTreeSet::from([Ordinal(0)]));
    let took =
        |n: u16| stand_ins.iter().filter(|&&at| at == Ordinal(n)).count() - table.share(Ordinal(n));
    // A quarter and three quarters of 2048, with six times the standard deviation to spare.
    assert!((395..=629).contains(&took(1)), "{}", took(1));
    assert_eq!(took(1) + took(2), table.share(Ordinal(0)));
}
