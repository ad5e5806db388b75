//! Arbitrary files are accepted or refused, and never cause a panic.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{LOCAL, REMOTE, keys, load};

#[test]
fn arbitrary_text_never_panics() {
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

/// A valid configuration with one piece replaced reaches more code than random text.
#[test]
fn each_error_of_a_damaged_file_is_one_line() {
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
