//! The control port of a gateway over real sockets: only fresh requests of its demux are obeyed.

use std::time::Duration;

use causeway_rescale::message::Request;

use super::*;
use crate::wire::DemuxSession;

const DEMUX: [u8; 4] = [127, 0, 94, 1];
const GATEWAY: [u8; 4] = [127, 0, 94, 2];
const OTHER: [u8; 4] = [127, 0, 94, 3];

fn socket(address: [u8; 4], port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((IpAddr::from(address), port)).unwrap();
    let limit = Some(Duration::from_secs(10));
    socket.set_read_timeout(limit).unwrap();
    socket
}

fn auth() -> Arc<MessageAuth> {
    let vpc = ["127.0.94.0/24".parse().unwrap()];
    Arc::new(MessageAuth::new(b"0123456789abcdef", &vpc))
}

fn datagram(demux: &mut DemuxSession, to: [u8; 4], id: u64) -> Vec<u8> {
    let request = demux.send(ToGateway {
        id,
        peering: "vpc-2".into(),
        request: Request::Fence,
    });
    let ends = Ends {
        from: DEMUX.into(),
        to: to.into(),
    };
    auth().encode(ends, &request).unwrap()
}

/// The ids of the requests that reached the responder's queue, at most `count` of them.
fn obeyed(queue: &Receiver<ResponderRequest>, count: usize) -> Vec<u64> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let request = queue.recv_timeout(Duration::from_secs(10)).unwrap();
        ids.push(request.request.id);
    }
    ids
}

#[test]
fn only_fresh_requests_of_the_demux_are_obeyed() {
    let (sender, queue) = bounded(QUEUE);
    let port = ControlPort {
        socket: socket(GATEWAY, PORT),
        own: GATEWAY.into(),
        demux: DEMUX.into(),
        auth: auth(),
        queue: sender,
        failures: Transient::default(),
    };
    port.serve(77).unwrap();
    let demux_socket = socket(DEMUX, PORT);
    let gateway = SocketAddr::from((GATEWAY, PORT));
    let mut demux = DemuxSession::new(1_000, 1);

    // The first request teaches the demux for which process its requests are.
    let first = datagram(&mut demux, GATEWAY, 1);
    demux_socket.send_to(&first, gateway).unwrap();
    let mut octets = [0; LONGEST];
    let length = demux_socket.recv(&mut octets).unwrap();
    let ends = Ends {
        from: GATEWAY.into(),
        to: DEMUX.into(),
    };
    let answer = auth().decode(ends, &octets[..length]).unwrap();
    assert_eq!(demux.receive(answer), None);

    // A recorded datagram, one for another gateway, and one that any other host sends, each before a fresh one.
    let recorded = datagram(&mut demux, GATEWAY, 2);
    demux_socket.send_to(&recorded, gateway).unwrap();
    assert_eq!(obeyed(&queue, 1), [2]);
    demux_socket.send_to(&first, gateway).unwrap();
    demux_socket.send_to(&recorded, gateway).unwrap();
    let foreign = datagram(&mut demux, OTHER, 3);
    demux_socket.send_to(&foreign, gateway).unwrap();
    let stolen = datagram(&mut demux, GATEWAY, 4);
    socket(OTHER, PORT).send_to(&stolen, gateway).unwrap();
    let fresh = datagram(&mut demux, GATEWAY, 5);
    demux_socket.send_to(&fresh, gateway).unwrap();
    assert_eq!(obeyed(&queue, 1), [5]);
    assert!(queue.is_empty());
}

/// As many datagrams of other hosts as fill the receive buffer many times over, while the gateway's thread does not read.
#[test]
fn datagrams_of_other_hosts_take_no_room() {
    let demux = IpAddr::from([127, 0, 94, 11]);
    let gateway = socket([127, 0, 94, 12], PORT);
    accept_only(&gateway, [demux]).unwrap();
    let to = gateway.local_addr().unwrap();
    // Another host, another port of the demux, and the demux itself.
    let others = [socket([127, 0, 94, 13], PORT), socket([127, 0, 94, 11], 0)];
    for _ in 0..10_000 {
        for other in &others {
            other.send_to(&[0; LONGEST], to).unwrap();
        }
    }
    socket([127, 0, 94, 11], PORT)
        .send_to(b"the demux's", to)
        .unwrap();
    let mut octets = [0; LONGEST];
    let (length, _) = gateway.recv_from(&mut octets).unwrap();
    assert_eq!(&octets[..length], b"the demux's");
}

#[test]
fn a_filter_tells_ipv6_addresses_apart() {
    let own = UdpSocket::bind(("::1", PORT)).unwrap();
    let limit = Some(Duration::from_secs(10));
    own.set_read_timeout(limit).unwrap();
    let to = own.local_addr().unwrap();
    let near = "::1".parse().unwrap();
    // Addresses that differ from the sender's in one word each.
    let others = ["1::1", "0:0:1::1", "::1:0:1", "::2"].map(|text| text.parse().unwrap());
    accept_only(&own, others).unwrap();
    own.send_to(b"refused", to).unwrap();
    accept_only(&own, others.into_iter().chain([near])).unwrap();
    own.send_to(b"accepted", to).unwrap();
    let mut octets = [0; 16];
    let (length, _) = own.recv_from(&mut octets).unwrap();
    assert_eq!(&octets[..length], b"accepted");
}
