//! Replays the kept corpus and a bounded, reproducible set of its mutations on the stable toolchain.

use std::fs;
use std::path::PathBuf;

use causeway_fuzz::{TARGETS, Target};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// The longest input in bytes.
const LONGEST: usize = 4096;

/// One mutation of an input.
#[derive(Clone, Debug)]
enum Edit {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Truncate(prop::sample::Index),
}

impl Edit {
    fn apply(&self, input: &mut Vec<u8>) {
        let place = |index: &prop::sample::Index| index.index(input.len() + 1);
        match self {
            Edit::Set(at, octet) => {
                let at = place(at);
                if let Some(there) = input.get_mut(at) {
                    *there = *octet;
                }
            }
            Edit::Flip(at, bit) => {
                let at = place(at);
                if let Some(there) = input.get_mut(at) {
                    *there ^= 1 << bit;
                }
            }
            Edit::Insert(at, octets) => {
                let at = place(at);
                input.splice(at..at, octets.iter().copied());
            }
            Edit::Remove(at, count) => {
                let at = place(at);
                input.drain(at..input.len().min(at + count));
            }
            Edit::Repeat(at, count) => {
                let at = place(at);
                let piece = input[at..input.len().min(at + count)].to_vec();
                input.splice(at..at, piece);
            }
            Edit::Truncate(at) => input.truncate(place(at)),
        }
        input.truncate(LONGEST);
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let index = any::<prop::sample::Index>;
    let octet = prop_oneof![
        any::<u8>(),
        prop::sample::select(vec![0, 1, 0x7f, 0x80, 0xff])
    ];
    prop_oneof![
        4 => (index(), octet).prop_map(|(at, octet)| Edit::Set(at, octet)),
        4 => (index(), 0u8..8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        2 => (index(), prop::collection::vec(any::<u8>(), 1..24)).prop_map(|(at, octets)| Edit::Insert(at, octets)),
        1 => (index(), 1usize..24).prop_map(|(at, count)| Edit::Remove(at, count)),
        1 => (index(), 1usize..200).prop_map(|(at, count)| Edit::Repeat(at, count)),
        1 => index().prop_map(Edit::Truncate),
    ]
}

fn corpus_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The kept inputs of a target, in a fixed order.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = corpus_root().join(target);
    let entries = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("no corpus in {}: {error}", directory.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let inputs: Vec<_> = files
        .iter()
        .map(|file| fs::read(file).expect("a readable file"))
        .collect();
    assert!(!inputs.is_empty(), "{} is empty", directory.display());
    inputs
}

/// Runs a target on its corpus and on this number of mutations. A failure shows the shortest input that proptest finds.
/// Add that input to the corpus together with the fix.
fn check(name: &str, mutations: u32) {
    let target: Target = TARGETS
        .into_iter()
        .find(|target| target.name == name)
        .expect("a target");
    let corpus = corpus(name);
    for input in &corpus {
        (target.run)(input);
    }
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[0x5a; 32]);
    let config = Config {
        cases: mutations,
        failure_persistence: None,
        ..Config::default()
    };
    let inputs = (
        prop::sample::select(corpus),
        prop::collection::vec(edit(), 1..12),
    )
        .prop_map(|(mut input, edits)| {
            edits.iter().for_each(|edit| edit.apply(&mut input));
            input
        });
    let result = TestRunner::new_with_rng(config, rng).run(&inputs, |input| {
        (target.run)(&input);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{name}: {failure}");
    }
}

#[test]
fn every_target_has_a_test_and_a_corpus() {
    let source = include_str!("corpus.rs");
    for Target { name, .. } in TARGETS {
        assert!(
            source.contains(&format!("check(\"{name}\", ")),
            "{name} has no test"
        );
    }
    let directories = fs::read_dir(corpus_root()).expect("the corpus").count();
    assert_eq!(
        directories,
        TARGETS.len(),
        "a directory of the corpus belongs to no target"
    );
}

#[test]
fn steering() {
    check("steering", 20_000);
}

/// Standard: no-early-plaintext, window-after-icv
#[test]
fn open() {
    check("open", 1_000);
}

#[test]
fn authentic() {
    check("authentic", 2_000);
}

#[test]
fn worker() {
    check("worker", 1_000);
}

#[test]
fn peering() {
    check("peering", 500);
}

#[test]
fn control() {
    check("control", 1_000);
}

#[test]
fn config() {
    check("config", 1_000);
}

#[test]
fn key() {
    check("key", 1_000);
}

#[test]
fn too_big() {
    check("too-big", 2_000);
}

#[test]
fn sequence() {
    check("sequence", 500);
}

#[test]
fn wire() {
    check("wire", 5_000);
}

#[test]
fn explain() {
    check("explain", 2_000);
}

#[test]
fn top() {
    check("top", 1_000);
}
