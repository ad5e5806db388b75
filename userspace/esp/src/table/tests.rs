//! Compares the table with the standard library's map.

use std::collections::HashMap;

use super::*;
use proptest::prelude::*;

fn spi(value: u32) -> Spi {
    Spi::new(value).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u32, u16),
    Change(u32, u16),
    Remove(u32),
}

/// SPIs whose search starts at one of the last two slots of a small table. Runs of full slots are long and
/// wrap around the end.
fn colliding_spis() -> Vec<u32> {
    let table = SaTable::<()>::new();
    let last = MIN_SLOTS - 2;
    (256..)
        .filter(|&value| table.home(spi(value)) >= last)
        .take(12)
        .collect()
}

fn steps(spis: impl Strategy<Value = u32> + Clone) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (spis.clone(), any::<u16>()).prop_map(|(spi, value)| Step::Insert(spi, value)),
        (spis.clone(), any::<u16>()).prop_map(|(spi, value)| Step::Change(spi, value)),
        spis.prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..200)
}

fn behaves_as_a_map(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut table = SaTable::new();
    let mut map = HashMap::new();
    for step in steps {
        match step {
            Step::Insert(value, kept) => {
                prop_assert_eq!(table.insert(spi(value), kept), map.insert(spi(value), kept));
            }
            Step::Change(value, kept) => {
                let (got, expected) = (table.get_mut(spi(value)), map.get_mut(&spi(value)));
                prop_assert_eq!(&got, &expected);
                if let (Some(got), Some(expected)) = (got, expected) {
                    (*got, *expected) = (kept, kept);
                }
            }
            Step::Remove(value) => {
                prop_assert_eq!(table.remove(spi(value)), map.remove(&spi(value)));
            }
        }
        prop_assert_eq!((table.len(), table.is_empty()), (map.len(), map.is_empty()));
        for (&known, kept) in &map {
            prop_assert_eq!(table.get(known), Some(kept));
        }
        let listed: HashMap<_, _> = table.iter().map(|(spi, &kept)| (spi, kept)).collect();
        prop_assert_eq!(&listed, &map);
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_table_behaves_as_a_map(steps in steps(256..400u32)) {
        behaves_as_a_map(steps)?;
    }

    #[test]
    fn the_table_behaves_as_a_map_where_spis_collide(steps in steps(prop::sample::select(colliding_spis()))) {
        behaves_as_a_map(steps)?;
    }
}

/// For SPIs with any stride, the mean search is short. This makes the cost of a lookup constant.
#[test]
fn the_mean_search_is_short() {
    for stride in [1, 2, 3, 256, 1 << 12, 0x9e37, 0xffff, 40_503] {
        let mut table = SaTable::new();
        for n in 0..30_000u32 {
            table.insert(spi(256 + n.wrapping_mul(stride)), n);
        }
        let steps: usize = table
            .iter()
            .map(|(spi, _)| table.distance(table.home(spi), table.find(spi)))
            .sum();
        let mean = steps as f64 / table.len() as f64;
        // A half full table with a perfectly random hash has 0.5 (Knuth, The Art of Computer Programming,
        // section 6.4).
        assert!(mean < 0.6, "stride {stride}: {mean} slots on average");
    }
}

#[test]
fn a_slot_is_as_large_as_its_index_and_spi() {
    assert_eq!(mem::size_of::<Slot<u32>>(), 8);
}
