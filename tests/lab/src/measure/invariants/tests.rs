use super::*;
use crate::status::{Frames, Gateway, Role, Steering, Volume};

fn options() -> Options {
    Options {
        gateways: 1,
        ..Options::new("c", "x")
    }
}

fn end(site: Site, status: Status) -> RoleExit {
    RoleExit {
        site,
        status: Some(Status {
            drained: true,
            ..status
        }),
        problem: None,
    }
}

/// A run with 100 packets in each direction and no loss.
fn exits() -> Vec<RoleExit> {
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
    let mut exits = Vec::new();
    for vpc in [1, 2] {
        let steering = Steering {
            received: 103,
            to_gateway: 100,
            punts: [("arp".to_owned(), 3)].into(),
            gateways: vec![Gateway {
                name: "gateway-1".to_owned(),
                packets: 100,
                bytes: 9000,
            }],
            ..Steering::default()
        };
        let demux = Status {
            steering,
            ..Status::starting(Role::Demux)
        };
        exits.push(end(Site::demux(vpc), demux));
        let steering = Steering {
            received: 200,
            to_worker: 200,
            ..Steering::default()
        };
        let gateway = Status {
            steering,
            workers: vec![worker.clone()],
            ..Status::starting(Role::Gateway)
        };
        exits.push(end(Site::gateway(vpc, 1), gateway));
    }
    exits
}

fn facts(exits: &[RoleExit]) -> Vec<Fact> {
    vec![
        clean_end(exits),
        counters(exits),
        frames_home(exits),
        all_carried(&options(), exits),
        handed_over(&options(), exits, &LinkDrops::default()),
    ]
}

fn failing(exits: &[RoleExit]) -> Vec<String> {
    let facts = facts(exits).into_iter();
    facts
        .filter(|fact| !fact.holds)
        .map(|fact| fact.key)
        .collect()
}

fn status(exits: &mut [RoleExit], index: usize) -> &mut Status {
    exits[index].status.as_mut().unwrap()
}

#[test]
fn a_run_without_loss_holds() {
    assert_eq!(failing(&exits()), Vec::<String>::new());
}

#[test]
fn no_status_at_all_fails_every_fact() {
    assert_eq!(failing(&[]).len(), 5);
}

#[test]
fn each_wrong_sum_is_found() {
    let mut run = exits();
    status(&mut run, 0).steering.received += 1;
    assert_eq!(failing(&run), ["counters-add-up"]);

    let mut run = exits();
    status(&mut run, 1).steering.to_worker += 1;
    status(&mut run, 1).steering.received += 1;
    assert_eq!(failing(&run), ["counters-add-up"]);

    let mut run = exits();
    status(&mut run, 1).workers[0].sent -= 1;
    assert_eq!(failing(&run), ["counters-add-up"]);

    let mut run = exits();
    status(&mut run, 3).workers[0].frames.home -= 1;
    assert_eq!(failing(&run), ["frames-home"]);

    let mut run = exits();
    status(&mut run, 2).drained = false;
    assert_eq!(failing(&run), ["roles-end-cleanly"]);
}

#[test]
fn a_packet_lost_between_roles_needs_a_counted_drop() {
    let mut run = exits();
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
    let mut run = exits();
    let worker = &mut status(&mut run, 3).workers[0];
    worker.opened.packets += 1;
    worker.received += 1;
    worker.sent += 1;
    status(&mut run, 3).steering.to_worker += 1;
    status(&mut run, 3).steering.received += 1;
    assert_eq!(failing(&run), ["handed-over"]);
}

#[test]
fn a_gateway_that_only_sealed_fails_the_fact() {
    let mut run = exits();
    status(&mut run, 1).workers[0].opened.packets = 0;
    assert!(failing(&run).contains(&"every-gateway-carried".to_owned()));
}

#[test]
fn only_messages_to_an_ended_demux_are_excused_and_only_with_local_gateways() {
    let judge = |control_sealed| {
        let mut run = exits();
        // With local gateways the worker is in the demux's process.
        for index in [0, 2] {
            let worker = status(&mut run, index + 1).workers[0].clone();
            status(&mut run, index).workers.push(worker);
        }
        for index in 0..2 {
            let worker = &mut status(&mut run, index).workers[0];
            worker.originated += 9;
            worker.sealed.packets += 9;
            worker.control_sealed += control_sealed;
        }
        status(&mut run, 0).steering.received += 9;
        [Placement::Local, Placement::Remote].map(|placement| {
            let options = Options {
                placement,
                ..options()
            };
            handed_over(&options, &run, &LinkDrops::default()).holds
        })
    };
    assert_eq!(judge(9), [true, false]);
    assert_eq!(judge(8), [false, false], "one packet is no message");
}

#[test]
fn a_message_that_was_opened_and_dropped_is_no_data() {
    let local = Options {
        placement: Placement::Local,
        ..options()
    };
    let judge = |reason: &str| {
        let mut run = exits();
        for index in [0, 2] {
            let worker = status(&mut run, index + 1).workers[0].clone();
            status(&mut run, index).workers.push(worker);
        }
        let near = &mut status(&mut run, 0).workers[0];
        near.sealed.packets += 3;
        near.control_sealed += 3;
        let far = &mut status(&mut run, 2).workers[0];
        far.opened.packets += 3;
        far.control_packets += 2;
        far.drops.insert(reason.to_owned(), 1);
        handed_over(&local, &run, &LinkDrops::default()).holds
    };
    assert!(judge("control-queue-full"));
    assert!(!judge("too-big"), "a message is opened once only");
}
