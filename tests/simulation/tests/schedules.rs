//! Runs thousands of schedules and checks all laws.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use causeway_simulation::{Report, Schedule, play};

/// The default seeds. For others: `SEEDS=100000..110000 cargo test -p causeway-simulation`.
const SEEDS: Range<u64> = 0..2000;

#[test]
fn no_schedule_breaks_a_law() {
    let results = play_all(seeds());
    let sum = |of: fn(&Report) -> u64| results.values().map(of).sum::<u64>();
    println!(
        "{} schedules: {} packets, {} arrived; {} changes; moved idle {}, by barrier {}; held {}; deaths {}; holds expired {}",
        results.len(),
        sum(|report| report.sent),
        sum(|report| report.delivered),
        sum(|report| report.changes),
        sum(|report| report.moved_idle),
        sum(|report| report.moved_by_barrier),
        sum(|report| report.held),
        sum(|report| report.deaths),
        sum(|report| report.expired),
    );
    let mut refused: BTreeMap<&str, u64> = BTreeMap::new();
    for (why, count) in results.values().flat_map(|report| &report.refused) {
        *refused.entry(why).or_default() += count;
    }
    println!("refused: {refused:?}");
    let broken: Vec<_> = results
        .iter()
        .filter_map(|(seed, report)| Some((seed, report.broken.as_ref()?)))
        .collect();
    for (seed, why) in broken.iter().take(20) {
        println!("seed {seed}: {why}");
    }
    assert!(
        broken.is_empty(),
        "{} schedules broke a law. Replay the first: SEED={} cargo test -p causeway-simulation replay -- --nocapture",
        broken.len(),
        broken[0].0
    );
}

/// Prints every event in the schedule of the environment variable `SEED`.
#[test]
fn replay() {
    let seed = std::env::var("SEED").map_or(0, |seed| seed.parse().expect("SEED is a number"));
    let schedule = Schedule::new(seed);
    println!("{schedule:?}");
    let report = play(schedule, true);
    println!("{report:?}");
    assert_eq!(report.broken, None);
}

fn seeds() -> Range<u64> {
    let Ok(seeds) = std::env::var("SEEDS") else {
        return SEEDS;
    };
    let (from, to) = seeds.split_once("..").expect("SEEDS is from..to");
    from.parse().expect("a number")..to.parse().expect("a number")
}

fn play_all(seeds: Range<u64>) -> BTreeMap<u64, Report> {
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let some = || {
        std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)))
            .take_while(|seed| *seed < seeds.end)
            .map(|seed| (seed, play(Schedule::new(seed), false)))
            .collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(some)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.flat_map(|some| some.expect("no panic")).collect()
    })
}
