//! `causeway explain`: flows in text form, captures and frames, and the trace of each packet.

use std::io::Cursor;
use std::path::Path;

use causeway::explain::capture::Capture;
use causeway::explain::input::Input;
use causeway_api::explain::Query;
use causeway_api::packet::Packet;
use causeway_demux::Steering;
use causeway_node::explain::{Names, answer, end, trace};
use causeway_steering::decide;

use crate::steering::tables;

/// Input: a byte that selects text, a capture or a frame, then the content.
pub(crate) fn run(input: &[u8]) {
    thread_local!(static TABLES: Steering = tables());
    let Some((&kind, bytes)) = input.split_first() else {
        return;
    };
    TABLES.with(|tables| match kind % 3 {
        0 => text(&String::from_utf8_lossy(bytes), tables),
        1 => capture(bytes, tables),
        _ => check(Packet::Frame(bytes.to_vec()), tables),
    });
}

fn text(text: &str, tables: &Steering) {
    match text.parse() {
        Ok(Input::Packet(packet)) => check(packet, tables),
        Ok(Input::Flow(flow)) => {
            let again = flow.to_string().parse();
            assert_eq!(again, Ok(Input::Flow(flow)), "{flow}");
            check(Packet::Ip(flow.packet()), tables);
            check(Packet::Ip(flow.reply().packet()), tables);
        }
        Ok(Input::Capture(_)) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn capture(file: &[u8], tables: &Steering) {
    let Ok(mut capture) = Capture::read(Path::new("a.pcap"), Cursor::new(file.to_vec())) else {
        return;
    };
    let mut number = 0;
    while let Ok(Some(captured)) = capture.packet() {
        number += 1;
        assert_eq!(captured.number, number);
        assert!(captured.captured <= captured.length);
        if let Ok(packet) = captured.packet {
            check(packet, tables);
        }
    }
}

/// The trace ends with the verdict of steering.
fn check(packet: Packet, tables: &Steering) {
    let names = Names::default();
    let frame = packet.frame(tables.mac);
    let trace = trace(&frame, tables, &names);
    let ended = end(decide(&frame[..], tables), &names);
    assert_eq!((trace.end.clone(), trace.counter.clone()), ended);
    assert!(!trace.to_string().is_empty() && !trace.subject().is_empty());
    for at_peer in [false, true] {
        let query = Query {
            packet: packet.clone(),
            queue: 0,
            at_peer,
        };
        answer(&query, tables, &names);
    }
}
