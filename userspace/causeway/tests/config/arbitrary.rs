//! Whatever stands in a file: an answer, never a panic.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{LOCAL, REMOTE, keys, load};

#[test]
fn any_text_gets_an_answer() {
    let directory = keys();
    TestRunner::default()
        .run(&any::<String>(), |text| {
            if let Err(error) = load(directory.path(), &text) {
                prop_assert!(!error.problems().is_empty());
            }
            Ok(())
        })
        .unwrap();
}

/// A good configuration with a piece replaced reaches further than noise does.
#[test]
fn any_damage_gets_an_answer_of_one_line_for_each_fault() {
    let damage = (
        prop::sample::select(vec![LOCAL, REMOTE]),
        any::<prop::sample::Index>(),
        0usize..40,
        "[ -~\n]{0,12}|\\PC{0,4}|-?[0-9]{1,20}|\"[0-9./]{0,18}\"",
    );
    let directory = keys();
    TestRunner::default()
        .run(&damage, |(good, at, len, piece)| {
            let start = at.index(good.len());
            let end = (start + len).min(good.len());
            let text = format!("{}{piece}{}", &good[..start], &good[end..]);
            if let Err(error) = load(directory.path(), &text) {
                for problem in error.problems() {
                    let shown = problem.to_string();
                    prop_assert!(shown.contains("causeway.toml:"), "{}", shown);
                    prop_assert!(!shown.contains('\n'), "{}", shown);
                }
            }
            Ok(())
        })
        .unwrap();
}
