//! Runs libFuzzer on the target named by `CAUSEWAY_FUZZ_TARGET`. `cargo xtask fuzz` starts this binary.
#![no_main]

use std::sync::OnceLock;

use causeway_fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<Target> = OnceLock::new();

fn target() -> Target {
    let name = std::env::var("CAUSEWAY_FUZZ_TARGET").unwrap_or_default();
    match TARGETS.into_iter().find(|target| target.name == name) {
        Some(target) => target,
        None => panic!("CAUSEWAY_FUZZ_TARGET is not the name of a target: {name:?}"),
    }
}

fuzz_target!(|data: &[u8]| (TARGET.get_or_init(target).run)(data));
