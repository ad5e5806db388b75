use super::*;
use crate::status::{Frames, GatewayCount, Steering, Volume};

fn options() -> Options {
    Options {
        gateways: 1,
        ..Options::new("c", "x")
    }
}

fn end(site: Site, status: Status) -> Final {
    Final {
        site,
        status: Some(Status {
            drained: true,
            ..status
        }),
        problem: None,
    }
}

/// A run in which 100 packets went each way and nothing was lost.
fn finals() -> Vec<Final> {
    let volume = Volume {
        packets: 100,
        bytes: 9000,
    };
    let worker = Worker {
        gateway: "gateway-1".to_owned(),
        received: 200,
        sent: 200,
        sealed: volume,
        opened: volume,
        frames: Frames { total: 8, home: 8 },
        ..Worker::default()
    };
    let mut finals = Vec::new();
    for vpc in [1, 2] {
        let steering = Steering {
            received: 103,
            to_gateway: 100,
            punts: [("arp".to_owned(), 3)].into(),
            gateways: vec![GatewayCount {
                name: "gateway-1".to_owned(),
                packets: 100,
                bytes: 9000,
            }],
            ..Steering::default()
        };
        let demux = Status {
            steering,
            ..Status::default()
        };
        finals.push(end(Site::demux(vpc), demux));
        let steering = Steering {
            received: 200,
            to_worker: 200,
            ..Steering::default()
        };
        let gateway = Status {
            steering,
            workers: vec![worker.clone()],
            ..Status::default()
        };
        finals.push(end(Site::gateway(vpc, 1), gateway));
    }
    finals
}

fn facts(finals: &[Final]) -> Vec<Fact> {
    vec![
        clean_end(finals),
        counters(finals),
        frames_home(finals),
        all_carried(&options(), finals),
        handed_over(
            &options(),
            finals,
            &LinkDrops::default(),
            &Originated::default(),
        ),
    ]
}

fn failing(finals: &[Final]) -> Vec<String> {
    let facts = facts(finals).into_iter();
    facts
        .filter(|fact| !fact.holds)
        .map(|fact| fact.key)
        .collect()
}

fn status(finals: &mut [Final], index: usize) -> &mut Status {
    finals[index].status.as_mut().unwrap()
}

#[test]
fn a_sound_run_holds() {
    assert_eq!(failing(&finals()), Vec::<String>::new());
}

#[test]
fn no_last_words_at_all_hold_nothing() {
    assert_eq!(failing(&[]).len(), 5);
}

#[test]
fn each_broken_sum_is_noticed() {
    let mut run = finals();
    status(&mut run, 0).steering.received += 1;
    assert_eq!(failing(&run), ["counters-add-up"]);

    let mut run = finals();
    status(&mut run, 1).steering.to_worker += 1;
    status(&mut run, 1).steering.received += 1;
    assert_eq!(failing(&run), ["counters-add-up"]);

    let mut run = finals();
    status(&mut run, 1).workers[0].sent -= 1;
    assert_eq!(failing(&run), ["counters-add-up"]);

    let mut run = finals();
    status(&mut run, 3).workers[0].frames.home -= 1;
    assert_eq!(failing(&run), ["frames-home"]);

    let mut run = finals();
    status(&mut run, 2).drained = false;
    assert_eq!(failing(&run), ["roles-end-cleanly"]);
}

#[test]
fn a_packet_lost_between_roles_needs_a_counted_drop() {
    let mut run = finals();
    let demux = status(&mut run, 0);
    demux.steering.received += 1;
    demux.steering.to_gateway += 1;
    demux.steering.gateways[0].packets += 1;
    assert_eq!(failing(&run), ["handed-over"]);
    let gateway = status(&mut run, 1);
    gateway.steering.to_worker += 1;
    gateway.steering.received += 1;
    let drops = &mut gateway.workers[0].kernel_drops;
    drops.insert("rx-ring-full".to_owned(), 1);
    assert_eq!(failing(&run), Vec::<String>::new());
}

#[test]
fn more_opened_than_sealed_is_never_excused() {
    let mut run = finals();
    let worker = &mut status(&mut run, 3).workers[0];
    worker.opened.packets += 1;
    worker.received += 1;
    worker.sent += 1;
    status(&mut run, 3).steering.to_worker += 1;
    status(&mut run, 3).steering.received += 1;
    assert_eq!(failing(&run), ["handed-over"]);
}

#[test]
fn a_gateway_that_only_sealed_did_not_carry() {
    let mut run = finals();
    status(&mut run, 1).workers[0].opened.packets = 0;
    assert!(failing(&run).contains(&"every-gateway-carried".to_owned()));
}

#[test]
fn markers_to_a_demux_that_has_ended_are_excused_with_local_gateways_alone() {
    let both = |before: Originated| {
        let mut run = finals();
        // With local gateways the demux's process carries the worker.
        for index in [0, 2] {
            let worker = status(&mut run, index + 1).workers[0].clone();
            status(&mut run, index).workers.push(worker);
        }
        for index in 0..2 {
            let worker = &mut status(&mut run, index).workers[0];
            worker.originated += 9;
            worker.sealed.packets += 9;
        }
        status(&mut run, 0).steering.received += 9;
        [Placement::Local, Placement::Remote].map(|placement| {
            let options = Options {
                placement,
                ..options()
            };
            handed_over(&options, &run, &LinkDrops::default(), &before).holds
        })
    };
    let at = |originated| Originated([((1, 1), originated)].into());
    assert_eq!(both(at(0)), [true, false]);
    assert_eq!(both(at(1)), [false, false], "one had been made before");
    assert_eq!(both(Originated::default()), [false, false]);
}
