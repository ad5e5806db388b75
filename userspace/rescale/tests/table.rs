//! Laws of the table.

use std::collections::BTreeSet;

use causeway_rescale::table::{Member, Move, Refusal, Table};
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

/// Of two members with equal remainders, none was rounded down that had more, for one that had not.
fn hold_to_roundings(before: &Table, after: &Table) {
    let weight = |m: &Member| m.weight.map_or(0, |w| u64::from(w.get()));
    let sum: u64 = after.members().iter().map(weight).sum();
    let due = |m: &Member| weight(m) * u64::from(BUCKETS);
    let (floor, rest) = (|m: &Member| due(m) / sum, |m: &Member| due(m) % sum);
    let up = |m: &Member| after.share(m.ordinal) as u64 > floor(m);
    let had_more = |m: &Member| before.share(m.ordinal) as u64 > floor(m);
    for risen in after.members().iter().filter(|m| up(m) && !had_more(m)) {
        for fallen in after.members().iter().filter(|m| !up(m) && had_more(m)) {
            assert_ne!(rest(risen), rest(fallen), "{risen:?} for {fallen:?}");
        }
    }
}

#[test]
fn equal_gateways_take_turns() {
    for gateways in 1..=64_u16 {
        let turns = (0..gateways).cycle().take(BUCKETS as usize).map(Ordinal);
        let dealt = equal(gateways.into());
        assert!(turns.eq(dealt.buckets().iter().copied()), "{gateways}");
    }
}

/// The peer may run another build: what tells tables apart must not change with it.
#[test]
fn a_digest_is_the_same_in_every_build() {
    let table = cluster("gateway", &[1, 2, 64]);
    let next = table.change(&add(4, 3), None).unwrap().table;
    let dead = BTreeSet::from([Ordinal(2)]);
    let stand_ins: Vec<u16> = next.without(&dead)[..8].iter().map(|o| o.0).collect();
    assert_eq!(table.id().digest, 0x1611_393d_6d96_2a7a);
    assert_eq!(next.id().digest, 0x65be_2d65_ca1b_0951);
    assert_eq!(stand_ins, [3, 0, 0, 0, 3, 3, 3, 1]);
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

/// Those that take many are not served first: else a run of buckets would be one gateway's.
#[test]
fn the_buckets_that_a_gateway_gives_are_spread_over_those_that_take() {
    let table = cluster("gateway", &[1, 3, 4]);
    let planned = table
        .change(&Change::Drain { name: name(3) }, None)
        .unwrap();
    for quarter in 0..4 {
        let taken = |m: &&Move| m.to == Ordinal(0) && m.bucket * 4 / BUCKETS == quarter;
        let taken = planned.moves.iter().filter(taken).count();
        assert!((118..=138).contains(&taken), "{taken} of quarter {quarter}");
    }
}

/// A bucket more for one of three is for one that has it already.
#[test]
fn a_rounding_moves_nothing() {
    let drained = equal(3)
        .change(&Change::Drain { name: name(1) }, None)
        .unwrap()
        .table;
    let back = Change::Weight {
        name: name(1),
        weight: weight(1),
    };
    assert_eq!(drained.change(&back, None).unwrap().moves.len(), 1365);
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

#[test]
fn what_is_no_table_is_not_read() {
    let gone = Change::Remove { name: name(2) };
    let table = equal(3).change(&gone, None).unwrap().table;
    let good = serde_json::to_value(&table).unwrap();
    assert_eq!(
        serde_json::from_value::<Table>(good.clone()).unwrap(),
        table
    );
    let refused = |at: &str, value: serde_json::Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(at).unwrap() = value;
        serde_json::from_value::<Table>(bad)
            .unwrap_err()
            .to_string()
    };
    for (at, value, why) in [
        (
            "/next-ordinal",
            2.into(),
            "member 2 is there twice, or its number is not below",
        ),
        ("/members/1/ordinal", 0.into(), "member 0 is there twice"),
        (
            "/members/1/name",
            name(1).into(),
            "the name \"gateway-1\" is there twice",
        ),
        (
            "/members/1/weight",
            0.into(),
            "expected a weight from 1 to 64, got 0",
        ),
        (
            "/members",
            serde_json::json!([]),
            "expected 1 to 64 members, got 0",
        ),
        (
            "/buckets",
            serde_json::json!([0]),
            "expected 4096 buckets, got 1",
        ),
        (
            "/buckets/7",
            1.into(),
            "bucket 7 is with 1, which is no member with a weight",
        ),
    ] {
        let error = refused(at, value);
        assert!(error.contains(why), "{at}: {error}");
    }
}

/// Small ones mostly, among which remainders are equal.
fn weights() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 1_u8..=3, 1 => 1_u8..=64]
}

/// Any change, of which some are refused.
fn changes() -> impl Strategy<Value = Vec<Change>> {
    let gateway = (1_usize..12, weights()).prop_flat_map(|(n, w)| {
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
    fn any_changes_keep_the_laws(weights in prop::collection::vec(weights(), 1..8), changes in changes()) {
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
            hold_to_roundings(&here, &planned.table);
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
