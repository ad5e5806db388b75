//! What demuxes and gateways hear on their port: noise is refused, and of what carries a right tag
//! none brings anything down.

use std::fmt::Debug;

use causeway::wire::{Kind, Message, OpenError, Seals, parse, to_peer};
use causeway_rescale::message::{FromGateway, PeerWord, ToGateway};

/// Octets: how it is heard, then what: as it is, or under the right tag, as a kind of message; or as a
/// packet that a tunnel has brought.
pub(crate) fn run(input: &[u8]) {
    let Some((&how, octets)) = input.split_first() else {
        return;
    };
    let seals = Seals::new(b"0123456789abcdef");
    match how % 7 {
        0 => refused::<ToGateway>(&seals, octets),
        1 => refused::<FromGateway>(&seals, octets),
        2 => refused::<PeerWord>(&seals, octets),
        3 => understood::<ToGateway>(&seals, octets),
        4 => understood::<FromGateway>(&seals, octets),
        5 => understood::<PeerWord>(&seals, octets),
        _ => {
            let Some(packet) = parse(octets) else { return };
            // Whatever its header said beside, what it carries goes into a packet of ours.
            if let Ok(made) = to_peer(packet.from, packet.to, packet.payload) {
                assert_eq!(parse(&made), Some(packet));
            }
        }
    }
}

fn refused<M: Message + Debug>(seals: &Seals, octets: &[u8]) {
    seals.open::<M>(octets).expect_err("nobody sealed it");
}

fn understood<M: Message + PartialEq + Debug>(seals: &Seals, said: &[u8]) {
    let sealed = [said, &seals.tag(M::KIND, said)].concat();
    match seals.open::<M>(&sealed) {
        Ok(message) => {
            // A number may be written in more octets than it needs; ours are the fewest.
            let again = seals.seal(&message).expect("no longer than before");
            assert!(again.len() <= sealed.len());
            assert_eq!(seals.open::<M>(&again).as_ref(), Ok(&message));
        }
        Err(error) => assert_ne!(error, OpenError::Forged),
    }
    for other in [Kind::ToGateway, Kind::FromGateway, Kind::Peer] {
        let taken = [said, &seals.tag(other, said)].concat();
        if other != M::KIND && seals.open::<M>(&taken).is_ok() {
            panic!("a message of another kind passes");
        }
    }
}
