//! The coordinator's results of commands, and its handling of arbitrary messages. `tests/simulation` tests
//! that packets keep their order.

use std::time::Duration;

use causeway_rescale::coordinator::{
    Coordinator, Event, Health, Input, Output, Refusal, Settings, State, UnderWay,
};
use causeway_rescale::message::{
    FromGateway, HoldTimeoutAction, Marker, PeerMessage, Reply, Request, TableId, ToGateway,
};
use causeway_rescale::{BucketSet, Change, Ordinal, Table, Weight, table};
use proptest::prelude::*;

fn settings() -> Settings {
    let ms = Duration::from_millis;
    Settings {
        peering: "b".into(),
        own: [10, 1, 0, 9].into(),
        peer: [10, 2, 0, 9].into(),
        probe_interval: ms(50),
        dead_after: ms(500),
        idle_time: ms(100),
        hold_time: ms(1000),
        hold_timeout_action: HoldTimeoutAction::Drop,
        batch: 1024,
        join_time: ms(10_000),
        fence_time: ms(200),
        stall_after: ms(250),
    }
}

fn table() -> Table {
    let two = ["a0", "a1"].map(|name| (name.to_string(), Weight::ONE));
    Table::new(two).expect("two gateways")
}

fn planned(table: &Table, change: &Change) -> Table {
    table.change(change, None).expect("a valid change").table
}

fn drain(name: &str) -> Change {
    Change::Drain { name: name.into() }
}

/// A coordinator whose gateways and peer answer every request.
struct Bench {
    coordinator: Coordinator,
    now: Duration,
    peer: TableId,
    /// Pairs that answer nothing.
    silent: Vec<Ordinal>,
    events: Vec<Event>,
    stored: Option<State>,
    disk: Disk,
}

#[derive(Clone, Copy, PartialEq)]
enum Disk {
    Good,
    Full,
    /// It never answers.
    Hangs,
}

impl Bench {
    fn new(state: State) -> Self {
        let peer = state.table.id();
        let now = Duration::from_secs(5);
        Self {
            coordinator: Coordinator::new(settings(), state, u64::MAX - 5, now),
            now,
            peer,
            silent: Vec::new(),
            events: Vec::new(),
            stored: None,
            disk: Disk::Good,
        }
    }

    fn at(table: Table) -> Self {
        Self::new(State {
            table,
            under_way: None,
        })
    }

    /// Carries out the outputs for this time. Returns the result of the last command, if there is one.
    fn run(&mut self, milliseconds: u64) -> Option<Result<u64, Refusal>> {
        let end = self.now + Duration::from_millis(milliseconds);
        let mut done = None;
        while self.now < end {
            let mut inputs = vec![Input::Tick];
            while let Some(output) = self.coordinator.poll() {
                match output {
                    Output::ToGateway(pair, message) => inputs.extend(self.answer(pair, message)),
                    Output::PollIdle(buckets) => inputs.insert(0, Input::Idle(buckets)),
                    Output::Done(result) => done = Some(result.map(|outcome| outcome.epoch)),
                    Output::Event(event) => self.events.push(event),
                    Output::Store { id, state } => {
                        let result = match self.disk {
                            Disk::Good => {
                                self.stored = Some(state);
                                Ok(())
                            }
                            Disk::Full => Err(String::from("No space left on device")),
                            Disk::Hangs => continue,
                        };
                        inputs.push(Input::Stored { id, result });
                    }
                    Output::Assign { .. } | Output::Skew(_) => {}
                }
            }
            let next = self.now + Duration::from_millis(1);
            self.now = match inputs.len() {
                // No message arrives until then.
                1 => self.coordinator.next_wake().clamp(next, end.max(next)),
                _ => next,
            };
            for input in inputs {
                self.coordinator.handle(self.now, input);
            }
        }
        done
    }

    /// Advances the time without running the coordinator.
    fn sleep(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    fn answer(&self, pair: Ordinal, message: ToGateway) -> Vec<Input> {
        let ToGateway { id, request, .. } = message;
        if self.silent.contains(&pair) {
            return Vec::new();
        }
        let reply = match &request {
            Request::Mark { .. } | Request::SendToPeer { .. } => Reply::Sealed,
            Request::Hold { .. } => Reply::Held,
            Request::Release { .. } => Reply::Released {
                packets: 7,
                dropped: 1,
            },
            Request::Fence => Reply::Fenced,
            Request::Lift => Reply::Lifted,
            Request::Reset => Reply::ResetDone,
        };
        let reply = FromGateway { id, boot: 1, reply };
        let mut inputs = vec![Input::FromGateway(pair, reply)];
        match request {
            Request::Mark { marker, .. } => inputs.push(Input::FromPeer(PeerMessage::Echo {
                marker: Marker {
                    workers: 1,
                    ..marker
                },
                table: self.peer,
            })),
            Request::SendToPeer {
                message: PeerMessage::Fence { id, pair },
                ..
            } => inputs.push(Input::FromPeer(PeerMessage::Fenced {
                id,
                pair,
                silent: false,
            })),
            _ => {}
        }
        inputs
    }

    fn command(&mut self, change: Change) -> Option<Result<u64, Refusal>> {
        let address = None;
        self.coordinator
            .handle(self.now, Input::Command { change, address });
        self.run(3000)
    }
}

#[test]
fn a_change_is_made_and_stored() {
    let mut bench = Bench::at(table());
    bench.run(200);
    assert_eq!(bench.command(drain("a0")), Some(Ok(1)));
    let after = planned(&table(), &drain("a0"));
    assert_eq!(bench.coordinator.table(), &after);
    assert!(bench.coordinator.is_quiet());
    assert_eq!(bench.coordinator.placed(), after.buckets());
    let stored = bench.stored.expect("a stored state");
    assert_eq!((stored.table, stored.under_way), (after, None));
}

#[test]
fn refusals_of_the_table_are_reported() {
    let mut bench = Bench::at(table());
    bench.run(200);
    assert!(matches!(
        bench.command(drain("a7")),
        Some(Err(Refusal::Table(table::Refusal::UnknownGateway { .. })))
    ));
    assert_eq!(bench.command(drain("a0")), Some(Ok(1)));
    assert!(matches!(
        bench.command(drain("a1")),
        Some(Err(Refusal::Table(table::Refusal::LastGateway { .. })))
    ));
}

#[test]
fn a_change_without_the_peer_is_refused() {
    let mut bench = Bench::at(table());
    bench.silent = vec![Ordinal(0), Ordinal(1)];
    bench.run(200);
    assert_eq!(
        bench.command(drain("a0")),
        Some(Err(Refusal::PeerSilent { within_ms: 500 }))
    );
    assert_eq!(bench.coordinator.table(), &table());
}

#[test]
fn a_second_change_is_refused_while_one_is_pending() {
    let mut bench = Bench::at(table());
    bench.run(200);
    let change = drain("a0");
    bench.coordinator.handle(
        bench.now,
        Input::Command {
            change,
            address: None,
        },
    );
    bench.run(2);
    let change = drain("a1");
    bench.coordinator.handle(
        bench.now,
        Input::Command {
            change,
            address: None,
        },
    );
    assert_eq!(bench.run(2), Some(Err(Refusal::UnderWay { to: 1 })));
    assert_eq!(bench.run(3000), Some(Ok(1)));
}

#[test]
fn a_gateway_joins_only_after_a_marker_has_returned() {
    let mut bench = Bench::at(table());
    bench.silent = vec![Ordinal(2)];
    bench.run(200);
    let change = Change::Add {
        name: "a2".into(),
        weight: Weight::ONE,
    };
    assert_eq!(bench.command(change.clone()), None);
    assert_eq!(bench.coordinator.placed(), table().buckets());
    assert_eq!(
        bench.run(8000),
        Some(Err(Refusal::PairUnreachable {
            name: "a2".into(),
            within_ms: 10_000
        }))
    );
    assert_eq!(bench.coordinator.pairs().count(), 2);
    bench.silent.clear();
    assert_eq!(bench.command(change), Some(Ok(1)));
}

#[test]
fn a_change_depends_on_the_peers_table() {
    let own = planned(&table(), &drain("a0"));
    let other = planned(&table(), &drain("a1"));
    let further = planned(
        &other,
        &Change::Weight {
            name: "a1".into(),
            weight: Weight::ONE,
        },
    );
    let refused = |mine: &Table, peer: &Table, change: Change| {
        let mut bench = Bench::at(mine.clone());
        bench.peer = peer.id();
        bench.run(200);
        let differ = bench.coordinator.tables_differ();
        let reported = bench.events.iter();
        let reported = reported.filter(|event| matches!(event, Event::TablesDiffer { .. }));
        assert_eq!(reported.count(), usize::from(differ), "reported once");
        (bench.command(change), differ)
    };
    // The peer has already made this change, or a different one.
    assert_eq!(refused(&table(), &own, drain("a0")), (Some(Ok(1)), false));
    let diverged = Some(Err(Refusal::PeerDiverged { peer: 1 }));
    assert_eq!(refused(&table(), &other, drain("a0")), (diverged, false));
    let back = Change::Weight {
        name: "a0".into(),
        weight: Weight::ONE,
    };
    let behind = Some(Err(Refusal::PeerBehind { peer: 0, own: 1 }));
    assert_eq!(refused(&own, &table(), back.clone()), (behind, false));
    let differ = |peer, own| Some(Err(Refusal::TablesDiffer { peer, own }));
    assert_eq!(refused(&own, &other, back), (differ(1, 1), true));
    assert_eq!(
        refused(&table(), &further, drain("a0")),
        (differ(2, 0), true)
    );
}

#[test]
fn a_restart_completes_or_drops_a_pending_change() {
    let after = planned(&table(), &drain("a0"));
    let state = |begun| State {
        table: table(),
        under_way: Some(UnderWay {
            table: after.clone(),
            begun,
        }),
    };
    for (begun, in_force, event) in [
        (true, &after, Event::Resumed { epoch: 1 }),
        (false, &table(), Event::RolledBack { epoch: 0 }),
    ] {
        let mut bench = Bench::new(state(begun));
        bench.run(100);
        assert_eq!(bench.coordinator.table(), in_force);
        assert_eq!(bench.coordinator.placed(), in_force.buckets());
        assert!(bench.events.contains(&event));
        let stored = bench.stored.expect("a stored state");
        assert_eq!((&stored.table, stored.under_way), (in_force, None));
    }
}

#[test]
fn a_dead_pairs_buckets_move_away_and_return() {
    let mut bench = Bench::at(table());
    bench.run(200);
    bench.silent = vec![Ordinal(1)];
    bench.run(1000);
    let dead = Event::Health(Ordinal(1), Health::Dead);
    assert!(bench.events.contains(&dead));
    assert!(
        bench
            .coordinator
            .placed()
            .iter()
            .all(|&at| at == Ordinal(0))
    );
    assert_eq!(bench.coordinator.table(), &table(), "the epoch changed");
    bench.silent.clear();
    bench.run(3000);
    assert_eq!(bench.coordinator.placed(), table().buckets());
}

#[test]
fn a_pair_does_not_die_because_the_coordinator_slept() {
    let mut bench = Bench::at(table());
    bench.run(1000);
    // Markers of the other pair returned long after this pair's. This pair would be dead if the sleep
    // counted.
    bench.silent = vec![Ordinal(1)];
    bench.run(400);
    bench.silent.clear();
    bench.sleep(400);
    bench.run(1000);
    assert!(
        !bench
            .events
            .contains(&Event::Health(Ordinal(1), Health::Dead))
    );
}

#[test]
fn a_coordinator_that_sleeps_often_still_detects_dead_pairs() {
    let mut bench = Bench::at(table());
    bench.run(1000);
    bench.silent = vec![Ordinal(1)];
    let dead = Event::Health(Ordinal(1), Health::Dead);
    let mut awake = 0;
    while !bench.events.contains(&dead) {
        bench.sleep(400);
        bench.run(100);
        awake += 100;
        assert!(awake <= 700, "more than dead-after and two probe intervals");
    }
    assert!(awake >= 500);
}

#[test]
fn no_pair_is_dead_while_all_are_silent() {
    let mut bench = Bench::at(table());
    bench.run(200);
    bench.silent = vec![Ordinal(0), Ordinal(1)];
    bench.run(5000);
    bench.silent.clear();
    bench.run(1000);
    let dead = |event: &Event| matches!(event, Event::Health(_, Health::Dead));
    assert!(!bench.events.iter().any(dead));
}

fn arbitrary_input() -> impl Strategy<Value = Input> {
    let small = || 0..40u64;
    let marker = (small(), 0..4u16, any::<u16>(), any::<u16>()).prop_map(|parts| Marker {
        // The first ids of the bench, so that some of them match requests.
        id: parts.0.wrapping_sub(5),
        pair: Ordinal(parts.1),
        worker: parts.2 % 70,
        workers: parts.3 % 70,
        table: TableId {
            epoch: u64::from(parts.2),
            digest: 1,
            before: 2,
        },
    });
    let id = || small().prop_map(|id| id.wrapping_sub(5));
    let pair = || (0..4u16).prop_map(Ordinal);
    let reply = prop_oneof![
        Just(Reply::Held),
        Just(Reply::Sealed),
        Just(Reply::Fenced),
        Just(Reply::Lifted),
        Just(Reply::ResetDone),
        Just(Reply::Refused { why: String::new() }),
        Just(Reply::Released {
            packets: u64::MAX,
            dropped: u64::MAX
        }),
    ];
    let gateway = (pair(), id(), reply).prop_map(|(pair, id, reply)| {
        Input::FromGateway(
            pair,
            FromGateway {
                id,
                boot: id,
                reply,
            },
        )
    });
    let peer = prop_oneof![
        marker.clone().prop_map(PeerMessage::Marker),
        marker.prop_map(|marker| PeerMessage::Echo {
            marker,
            table: marker.table
        }),
        (id(), pair()).prop_map(|(id, pair)| PeerMessage::Fence { id, pair }),
        (id(), pair()).prop_map(|(id, pair)| PeerMessage::Lift { id, pair }),
        (id(), pair(), any::<bool>()).prop_map(|(id, pair, silent)| PeerMessage::Fenced {
            id,
            pair,
            silent
        }),
        (id(), pair()).prop_map(|(id, pair)| PeerMessage::Lifted { id, pair }),
    ];
    prop_oneof![
        gateway,
        peer.prop_map(Input::FromPeer),
        prop::collection::vec(0..4096u32, 0..9)
            .prop_map(|buckets| Input::Idle(buckets.into_iter().collect::<BucketSet>())),
        Just(Input::Command {
            change: drain("a0"),
            address: None
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// After any sequence of inputs the coordinator recovers, without a panic.
    #[test]
    fn arbitrary_inputs_do_no_lasting_harm(inputs in prop::collection::vec((arbitrary_input(), 0..60u64), 0..60)) {
        let mut bench = Bench::at(table());
        for (input, pause) in inputs {
            bench.coordinator.handle(bench.now, input);
            bench.run(pause);
        }
        bench.run(12_000);
        prop_assert!(bench.coordinator.is_quiet());
        prop_assert_eq!(bench.coordinator.placed(), bench.coordinator.table().buckets());
    }
}

/// The disk refuses the state: so is the change, with the disk's reason, and the next one succeeds when there is room.
#[test]
fn a_change_that_cannot_be_stored_is_refused() {
    let mut bench = Bench::at(table());
    bench.run(200);
    bench.disk = Disk::Full;
    for _ in 0..2 {
        let refused = bench.command(drain("a0"));
        let why = "No space left on device".into();
        assert_eq!(refused, Some(Err(Refusal::NotStored { why })));
        assert_eq!(bench.coordinator.table(), &table());
        assert_eq!(bench.coordinator.placed(), table().buckets());
    }
    bench.disk = Disk::Good;
    // The owner repeats the latest write.
    let id = 2;
    let stored = Input::Stored { id, result: Ok(()) };
    bench.coordinator.handle(bench.now, stored);
    assert_eq!(bench.command(drain("a0")), Some(Ok(1)));
}

/// A joining gateway proves its path, then the disk is full.
#[test]
fn a_disk_that_fills_before_a_bucket_moves_ends_the_change() {
    let add = Change::Add {
        name: "a2".into(),
        weight: Weight::ONE,
    };
    let mut bench = Bench::at(table());
    bench.run(200);
    bench.silent = vec![Ordinal(2)];
    assert_eq!(bench.command(add), None);
    assert!(
        bench
            .stored
            .take()
            .is_some_and(|state| state.under_way.is_some())
    );
    bench.disk = Disk::Full;
    bench.silent.clear();
    let refused = bench.run(3000);
    assert!(
        matches!(refused, Some(Err(Refusal::NotStored { .. }))),
        "{refused:?}"
    );
    assert_eq!(bench.coordinator.placed(), table().buckets());
}

/// Failover needs no disk: neither a full one nor one that never answers delays it, also during a change.
#[test]
fn a_dead_pair_is_replaced_whatever_the_disk_does() {
    for disk in [Disk::Full, Disk::Hangs] {
        let mut bench = Bench::at(table());
        bench.run(200);
        bench.disk = disk;
        let change = Change::Weight {
            name: "a1".into(),
            weight: Weight::new(2).unwrap(),
        };
        let address = None;
        bench
            .coordinator
            .handle(bench.now, Input::Command { change, address });
        bench.run(100);
        bench.silent = vec![Ordinal(0)];
        bench.run(2000);
        let placed = bench.coordinator.placed();
        assert!(placed.iter().all(|&pair| pair == Ordinal(1)));
        // A write that hangs ends the change too, after `join_time`.
        let refused = bench.run(15_000);
        if disk == Disk::Hangs {
            assert!(
                matches!(refused, Some(Err(Refusal::NotStored { .. }))),
                "{refused:?}"
            );
        }
        assert_eq!(bench.coordinator.under_way(), None);
        // The pair comes back.
        bench.silent.clear();
        bench.run(5000);
        assert_eq!(bench.coordinator.placed(), table().buckets());
    }
}

/// A demux that fenced every pair and was restarted knows of no fence, and nothing that it sends arrives.
#[test]
fn fences_of_a_silent_peer_are_lifted() {
    let mut bench = Bench::at(table());
    bench.run(200);
    for (id, pair) in [(900, Ordinal(0)), (901, Ordinal(1))] {
        let fence = Input::FromPeer(PeerMessage::Fence { id, pair });
        bench.coordinator.handle(bench.now, fence);
    }
    let requests = |bench: &mut Bench, wanted: &Request, ms| {
        let end = bench.now + Duration::from_millis(ms);
        let mut to = Vec::new();
        while bench.now < end {
            while let Some(output) = bench.coordinator.poll() {
                if let Output::ToGateway(pair, message) = output
                    && message.request == *wanted
                {
                    to.push(pair);
                    let reply = match wanted {
                        Request::Fence => Reply::Fenced,
                        _ => Reply::Lifted,
                    };
                    let answer = FromGateway {
                        id: message.id,
                        boot: 1,
                        reply,
                    };
                    let input = Input::FromGateway(pair, answer);
                    bench.coordinator.handle(bench.now, input);
                }
            }
            bench.now += Duration::from_millis(1);
            bench.coordinator.handle(bench.now, Input::Tick);
        }
        to
    };
    let both = [Ordinal(0), Ordinal(1)];
    assert_eq!(requests(&mut bench, &Request::Fence, 100), both);
    // Twice `hold-time` and `dead-after`: no packet from before the fence is left then.
    assert_eq!(requests(&mut bench, &Request::Lift, 2800), []);
    assert_eq!(requests(&mut bench, &Request::Lift, 300), both);

    // The peer was only cut off, and repeats its request.
    let (id, pair) = (900, Ordinal(0));
    let again = Input::FromPeer(PeerMessage::Fence { id, pair });
    bench.coordinator.handle(bench.now, again);
    assert_eq!(requests(&mut bench, &Request::Fence, 100), [pair]);
}
