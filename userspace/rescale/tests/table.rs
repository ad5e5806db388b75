//! The laws of the table.

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

/// Each bucket's pair exists and has a weight, and each pair's share is exact to within one bucket.
fn assert_shares_match_weights(table: &Table) {
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

/// Of two members with equal remainders, the one with a surplus before the change is rounded up first.
fn assert_roundings_move_nothing(before: &Table, after: &Table) {
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
fn equal_gateways_alternate() {
    for gateways in 1..=64_u16 {
        let turns = (0..gateways).cycle().take(BUCKETS as usize).map(Ordinal);
        let dealt = equal(gateways.into());
        assert!(turns.eq(dealt.buckets().iter().copied()), "{gateways}");
    }
}

/// The peer may run another build, so the digest must not depend on the build.
#[test]
fn a_digest_is_the_same_in_every_build() {
    let table = cluster("gateway", &[1, 2, 64]);
    let next = table.change(&add(4, 3), None).unwrap().table;
    let dead = BTreeSet::from([Ordinal(2)]);
    let replacements: Vec<u16> = next.without(&dead)[..8].iter().map(|o| o.0).collect();
    assert_eq!(table.id().digest, 0x1611_393d_6d96_2a7a);
    assert_eq!(next.id().digest, 0x65be_2d65_ca1b_0951);
    assert_eq!(replacements, [3, 0, 0, 0, 3, 3, 3, 1]);
}

/// Law 6, for every cluster size.
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
        assert_shares_match_weights(&planned.table);
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
        assert_shares_match_weights(&planned.table);
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

/// A gateway that takes many buckets is not served first. Otherwise a run of consecutive buckets would go
/// to one gateway.
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

/// 4096 buckets do not divide by three. The extra bucket stays with a gateway that has it already.
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
fn impossible_changes_are_refused() {
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
fn an_ordinal_is_never_reused() {
    let table = equal(2);
    let gone = table
        .change(&Change::Remove { name: name(2) }, None)
        .unwrap()
        .table;
    let back = gone.change(&add(2, 1), None).unwrap().table;
    assert_eq!(back.member(&name(2)).unwrap().ordinal, Ordinal(2));
}

#[test]
fn invalid_tables_are_rejected() {
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
            "ordinal 2 occurs twice, or is not below next-ordinal",
        ),
        ("/members/1/ordinal", 0.into(), "ordinal 0 occurs twice"),
        (
            "/members/1/name",
            name(1).into(),
            "the name \"gateway-1\" occurs twice",
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
            "bucket 7 is assigned to ordinal 1, which is not a member with a weight",
        ),
    ] {
        let error = refused(at, value);
        assert!(error.contains(why), "{at}: {error}");
    }
}

/// Mostly small weights, which often have equal remainders.
fn weights() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 1_u8..=3, 1 => 1_u8..=64]
}

/// Arbitrary changes, some of which are refused.
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

/// The same change in the peer VPC, where the gateways have other names.
fn in_peer_vpc(change: &Change) -> Change {
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

    /// After any changes: shares match the weights, only the fewest buckets have moved, and two VPCs with
    /// different names have equal tables.
    #[test]
    fn any_changes_keep_the_laws(weights in prop::collection::vec(weights(), 1..8), changes in changes()) {
        let mut here = cluster("gateway", &weights);
        let mut there = cluster("tor", &weights);
        assert_shares_match_weights(&here);
        for change in &changes {
            let planned = match (here.change(change, None), there.change(&in_peer_vpc(change), None)) {
                (Ok(planned), Ok(far)) => {
                    there = far.table;
                    planned
                }
                (Err(_), Err(_)) => continue,
                (near, far) => panic!("{change:?}: {near:?} here, {far:?} there"),
            };
            assert_shares_match_weights(&planned.table);
            assert_roundings_move_nothing(&here, &planned.table);
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
            // Only members with a larger share than before received buckets, and only the difference.
            let more = planned.table.members().iter().map(|m| {
                planned.table.share(m.ordinal).saturating_sub(here.share(m.ordinal))
            });
            prop_assert_eq!(planned.moves.len(), more.sum::<usize>());
            here = planned.table;
        }
        let written = serde_json::to_string(&here).unwrap();
        prop_assert_eq!(serde_json::from_str::<Table>(&written).unwrap(), here);
    }

    /// Only buckets of dead pairs are reassigned, and only to live pairs. One more death moves no other
    /// pair's buckets.
    #[test]
    fn only_buckets_of_dead_pairs_are_reassigned(weights in prop::collection::vec(1_u8..=8, 2..10), dying in prop::collection::vec(0_u16..10, 1..6)) {
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

    /// A damaged file is read or rejected, without a panic.
    #[test]
    fn a_damaged_file_causes_no_panic(at in 0_usize..60_000, octet: u8) {
        let mut text = serde_json::to_vec(&equal(5)).unwrap();
        let at = at % text.len();
        text[at] = octet;
        if let Ok(table) = serde_json::from_slice::<Table>(&text) {
            prop_assert_eq!(table.buckets().len(), BUCKETS as usize);
            let _ = table.change(&add(9, 2), None);
        }
    }
}

/// Buckets of a dead pair are distributed by weight too.
#[test]
fn a_heavier_gateway_takes_more_buckets_of_a_dead_pair() {
    let table = cluster("gateway", &[4, 1, 3]);
    let replacements = table.without(&BTreeSet::from([Ordinal(0)]));
    let took = |n: u16| {
        replacements.iter().filter(|&&at| at == Ordinal(n)).count() - table.share(Ordinal(n))
    };
    // A quarter and three quarters of 2048, with six times the standard deviation to spare.
    assert!((395..=629).contains(&took(1)), "{}", took(1));
    assert_eq!(took(1) + took(2), table.share(Ordinal(0)));
}
