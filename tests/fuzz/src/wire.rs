//! Messages on the port of demuxes and gateways: input without a valid tag is refused, and input with a valid tag never
//! panics.

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr};

use causeway_node::wire::{
    Ends, Message, MessageAuth, MessageError, MessageType, ReplyDatagram, RequestDatagram,
    build_packet, parse_packet,
};
use causeway_rescale::message::PeerMessage;

const ENDS: Ends = Ends {
    from: IpAddr::V4(Ipv4Addr::new(10, 1, 0, 100)),
    to: IpAddr::V4(Ipv4Addr::new(10, 1, 0, 101)),
};

/// Input: a byte for the kind, then the content: a message without a tag, a message that gets a valid tag, or a packet from
/// a tunnel.
pub(crate) fn run(input: &[u8]) {
    let Some((&kind, bytes)) = input.split_first() else {
        return;
    };
    let auth = MessageAuth::new(b"0123456789abcdef", &[]);
    match kind % 7 {
        0 => refused::<RequestDatagram>(&auth, bytes),
        1 => refused::<ReplyDatagram>(&auth, bytes),
        2 => refused::<PeerMessage>(&auth, bytes),
        3 => accepted::<RequestDatagram>(&auth, bytes),
        4 => accepted::<ReplyDatagram>(&auth, bytes),
        5 => accepted::<PeerMessage>(&auth, bytes),
        _ => {
            let Some(packet) = parse_packet(bytes) else {
                return;
            };
            // The payload fits into a new packet, regardless of the other header fields.
            if let Ok(made) = build_packet(packet.from, packet.to, packet.payload) {
                assert_eq!(parse_packet(&made), Some(packet));
            }
        }
    }
}

fn refused<M: Message + Debug>(auth: &MessageAuth, bytes: &[u8]) {
    auth.decode::<M>(ENDS, bytes)
        .expect_err("the message has no tag");
}

fn accepted<M: Message + PartialEq + Debug>(auth: &MessageAuth, body: &[u8]) {
    let encoded = [body, &auth.tag(M::TYPE, ENDS, body)].concat();
    match auth.decode::<M>(ENDS, &encoded) {
        Ok(message) => {
            // The input may encode a number in more bytes than necessary. Our encoding is the shortest.
            let again = auth
                .encode(ENDS, &message)
                .expect("the message is not longer than the input");
            assert!(again.len() <= encoded.len());
            assert_eq!(auth.decode::<M>(ENDS, &again).as_ref(), Ok(&message));
        }
        Err(error) => assert_ne!(error, MessageError::Forged),
    }
    for other in [
        MessageType::DemuxToGateway,
        MessageType::GatewayToDemux,
        MessageType::DemuxToDemux,
    ] {
        let taken = [body, &auth.tag(other, ENDS, body)].concat();
        if other != M::TYPE && auth.decode::<M>(ENDS, &taken).is_ok() {
            panic!("a message with the tag of another kind was accepted");
        }
    }
    let back = Ends {
        from: ENDS.to,
        to: ENDS.from,
    };
    let reflected = auth.decode::<M>(back, &encoded);
    assert!(reflected.is_err(), "a message was accepted by its sender");
}
