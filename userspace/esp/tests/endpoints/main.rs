//! Two endpoints and a network that loses, repeats, reorders and corrupts packets, with rekeys in between.
//! A model predicts the result of each packet.

#[path = "../common/mod.rs"]
mod common;
mod path;
mod scenario;

use causeway_esp::Cipher;
use path::Path;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use scenario::{ROUND, Setting, Step};

fn setting() -> impl Strategy<Value = Setting> {
    let start = prop_oneof![
        Just(1),
        ROUND - 40..ROUND + 40,
        5 * ROUND - 40..5 * ROUND + 40,
        u64::MAX - 40..u64::MAX,
    ];
    (
        select(&Cipher::ALL[..]),
        any::<[bool; 3]>(),
        select(&[64, 65, 100, 128, 4096][..]),
        select(&[0, 120][..]),
        prop::collection::vec(start, 3),
    )
        .prop_map(
            |(cipher, [esn, over_ipv6, udp], window, pad_to, starts)| Setting {
                cipher,
                esn,
                window,
                over_ipv6,
                udp,
                pad_to,
                starts,
            },
        )
}

fn step() -> impl Strategy<Value = (bool, Step)> {
    let index = any::<Index>;
    let jump = prop_oneof![1..200u64, 1..20_000u64, ROUND / 2..ROUND];
    let step = prop_oneof![
        20 => (any::<bool>(), 0..200usize).prop_map(|(ipv6, body)| Step::Send { ipv6, body }),
        1 => jump.prop_map(Step::Jump),
        12 => index().prop_map(Step::Deliver),
        3 => index().prop_map(Step::Repeat),
        2 => (index(), index(), 0..8u8).prop_map(|(at, octet, bit)| Step::Corrupt(at, octet, bit)),
        1 => index().prop_map(Step::Lose),
        2 => Just(Step::Install),
        2 => Just(Step::Switch),
        2 => Just(Step::Retire),
    ];
    (any::<bool>(), step)
}

fn run(setting: &Setting, steps: Vec<(bool, Step)>, lossless: bool) {
    let mut paths = [
        Path::new(setting, 0x5a, lossless),
        Path::new(setting, 0xc3, lossless),
    ];
    for (back, step) in steps {
        paths[usize::from(back)].apply(step);
    }
    paths.into_iter().for_each(Path::finish);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// RFC 4303 section 3.4: an authentic packet is delivered once if its SA is installed and its number is
    /// not left of the window. Every other packet is refused with its reason.
    /// Standard: duplicate, replay-too-old, window-after-icv, unknown-spi
    #[test]
    fn each_packet_is_delivered_once_or_refused_with_its_reason(
        setting in setting(),
        steps in prop::collection::vec(step(), 1..250),
    ) {
        run(&setting, steps, false);
    }

    /// Make before break: on a network without loss, and with reordering inside the window, no packet is lost
    /// by any number of rekeys.
    #[test]
    fn a_rekey_loses_no_packet(
        setting in setting(),
        steps in prop::collection::vec(step(), 1..250),
    ) {
        run(&setting, steps, true);
    }
}
