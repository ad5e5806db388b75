//! The fuzz targets: one function for each parser of external input, which asserts laws on the results.
//!
//! `cargo test -p causeway-fuzz` replays the kept corpus and bounded mutations of it on the stable toolchain.
//! `cargo xtask fuzz` runs the same functions under libFuzzer, guided by coverage. Each target defines the layout of
//! its inputs: usually a few bytes that select options, then the bytes to parse.

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

// The fixtures of other crates' tests. Each of them is used in part.
#[path = "../../../userspace/esp/tests/common/mod.rs"]
mod esp;
#[allow(dead_code)]
#[path = "../../../userspace/gateway/tests/worker/packet.rs"]
mod packet;
#[allow(dead_code)]
#[path = "../../../userspace/gateway/tests/worker/side.rs"]
mod side;

/// A function over arbitrary bytes that panics if a law is violated.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of the target and of its directory in `tests/fuzz/corpus`.
    pub name: &'static str,
    /// The function to call with each input.
    pub run: fn(&[u8]),
}

/// All fuzz targets.
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
