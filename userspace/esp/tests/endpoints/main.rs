//! Two endpoints and the network between them, which loses, repeats, reorders and corrupts, with rekeys
//! in between: held to a model that says of each packet whether it comes out.

#[path = "../common/mod.rs"]
mod common;
mod way;

use causeway_esp::Cipher;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use way::Way;

/// So many numbers have different low halves.
pub(crate) const ROUND: u64 = 1 << 32;

/// What both ends of a way agree on, and where each of its SAs starts to count.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) cipher: Cipher,
    pub(crate) esn: bool,
    pub(crate) window: u32,
    pub(crate) over_ipv6: bool,
    pub(crate) udp: bool,
    pub(crate) pad_to: usize,
    pub(crate) starts: Vec<u64>,
}

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

/// What happens on a way; in-flight packets are named by an index.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send {
        ipv6: bool,
        body: usize,
    },
    /// Numbers are left out, as after a crash of a sender that had reserved them.
    Jump(u64),
    Deliver(Index),
    Repeat(Index),
    Corrupt(Index, Index, u8),
    Lose(Index),
    /// The three steps of a rekey: the receiver has the new SA, the sender uses it, the old one goes.
    Install,
    Switch,
    Retire,
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

fn run(setting: &Setting, steps: Vec<(bool, Step)>, kind: bool) {
    let mut ways = [Way::new(setting, 0x5a, kind), Way::new(setting, 0xc3, kind)];
    for (back, step) in steps {
        ways[usize::from(back)].apply(step);
    }
    ways.into_iter().for_each(Way::finish);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// RFC 4303 section 3.4: whatever the network does, an authentic packet comes out once if its SA is
    /// in force and its window has not passed it, and what does not come out is refused by name.
    /// Standard: duplicate, left-of-window, window-after-icv, unknown-spi
    #[test]
    fn each_packet_comes_out_once_or_is_refused_by_name(
        setting in setting(),
        steps in prop::collection::vec(step(), 1..250),
    ) {
        run(&setting, steps, false);
    }

    /// Make before break: where the network loses nothing and reorders no further
    /// than the window is wide, no packet is missed, however often keys change.
    #[test]
    fn a_rekey_misses_nothing(
        setting in setting(),
        steps in prop::collection::vec(step(), 1..250),
    ) {
        run(&setting, steps, true);
    }
}
