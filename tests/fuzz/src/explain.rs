//! `causeway explain`: words, captures and frames, and the story told of each packet.

use std::io::Cursor;
use std::path::Path;

use causeway::explain::capture::Capture;
use causeway::explain::subject::Subject;
use causeway::explain::{End, Names, Packet, Question, tell};
use causeway_demux::Steering;
use causeway_steering::decide;

use crate::steering::tables;

/// The first octet chooses: words, a capture, or a frame.
pub(crate) fn run(input: &[u8]) {
    thread_local!(static TABLES: Steering = tables());
    let Some((&what, octets)) = input.split_first() else {
        return;
    };
    TABLES.with(|tables| match what % 3 {
        0 => words(&String::from_utf8_lossy(octets), tables),
        1 => capture(octets, tables),
        _ => told(Packet::Frame(octets.to_vec()), tables),
    });
}

fn words(words: &str, tables: &Steering) {
    match words.parse() {
        Ok(Subject::Packet(packet)) => told(packet, tables),
        Ok(Subject::Flow(flow)) => {
            let again = flow.to_string().parse();
            assert_eq!(again, Ok(Subject::Flow(flow)), "{flow}");
            told(Packet::Ip(flow.packet()), tables);
            told(Packet::Ip(flow.answer().packet()), tables);
        }
        Ok(Subject::Capture(_)) => {}
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
            told(packet, tables);
        }
    }
}

/// The story ends as the verdict does.
fn told(packet: Packet, tables: &Steering) {
    let names = Names::default();
    let frame = packet.frame(tables.mac);
    let story = tell(&frame, tables, &names);
    let ended = End::of(decide(&frame[..], tables), &names);
    assert_eq!((story.end.clone(), story.counter.clone()), ended);
    assert!(!story.to_string().is_empty() && !story.subject().is_empty());
    for at_peer in [false, true] {
        let question = Question {
            packet: packet.clone(),
            queue: 0,
            at_peer,
        };
        question.answer(tables, &names);
    }
}
