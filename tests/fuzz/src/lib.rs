//! Everything that reads octets from outside, as plain functions that end by asserting laws.
//!
//! `cargo test -p causeway-fuzz` replays the kept corpus and bounded mutations of it on the stable
//! toolchain; `cargo xtask fuzz` runs the same functions under libFuzzer, guided by coverage.
//! How inputs are laid out is each target's own matter: a few octets that choose, then the octets
//! that are read.

mod authentic;
mod config;
mod control;
mod explain;
mod input;
mod key;
mod open;
mod peering;
mod sequence;
mod steering;
mod too_big;
mod top;
mod wire;
mod worker;

// The fixtures of the rooms' own tests; each is used in part.
#[allow(dead_code)]
#[path = "../../../userspace/causeway/tests/support/mod.rs"]
mod directory;
#[path = "../../../userspace/esp/tests/common/mod.rs"]
mod esp;
#[allow(dead_code)]
#[path = "../../../userspace/gateway/tests/worker/packet.rs"]
mod packet;
#[allow(dead_code)]
#[path = "../../../userspace/gateway/tests/worker/side.rs"]
mod side;

/// A function over arbitrary octets that panics where a law is broken.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folder in `tests/fuzz/corpus`.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 13] = [
    Target {
        name: "steering",
        run: steering::run,
    },
    Target {
        name: "open",
        run: open::run,
    },
    Target {
        name: "authentic",
        run: authentic::run,
    },
    Target {
        name: "worker",
        run: worker::run,
    },
    Target {
        name: "peering",
        run: peering::run,
    },
    Target {
        name: "control",
        run: control::run,
    },
    Target {
        name: "config",
        run: config::run,
    },
    Target {
        name: "key",
        run: key::run,
    },
    Target {
        name: "sequence",
        run: sequence::run,
    },
    Target {
        name: "too-big",
        run: too_big::run,
    },
    Target {
        name: "wire",
        run: wire::run,
    },
    Target {
        name: "explain",
        run: explain::run,
    },
    Target {
        name: "top",
        run: top::run,
    },
];
