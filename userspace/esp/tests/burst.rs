//! A burst gives the same bytes, the same errors and the same SA state as its packets one at a time.

mod common;

use causeway_esp::{
    Cipher, InboundSa, Key, OpenBurst, OpenError, Opened, OutboundSa, SealBurst, SealError, Spi,
    TAIL_ROOM, ToOpen, ToSeal, seal_burst,
};
use common::{
    ENDS_V4, UDP, esp, inbound, open, outbound, packet, packet_with_tos, packet6, pair, seal,
    sending,
};
use proptest::prelude::*;

/// One packet of a burst: the SA's index, the source frame, the packet's length, the output and the result.
struct Job<R> {
    sa: usize,
    frame: Vec<u8>,
    len: usize,
    out: Vec<u8>,
    result: Option<R>,
}

struct Jobs<R>(Vec<Job<R>>);

impl<R> Jobs<R> {
    fn record(&mut self, n: usize, result: R) {
        let before = self.0[n].result.replace(result);
        assert!(before.is_none(), "packet {n} has two results");
    }
}

impl SealBurst for Jobs<Result<usize, SealError>> {
    const MIXED: bool = true;

    fn sa(&self, n: usize) -> usize {
        self.0[n].sa
    }

    fn packet(&mut self, n: usize) -> ToSeal<'_> {
        let Job {
            frame, len, out, ..
        } = &mut self.0[n];
        ToSeal {
            frame,
            len: *len,
            out,
        }
    }

    fn sealed(&mut self, n: usize, result: Result<usize, SealError>) {
        self.record(n, result);
    }
}

impl OpenBurst for Jobs<Result<Opened, OpenError>> {
    fn packet(&mut self, n: usize) -> ToOpen<'_> {
        let Job { frame, out, .. } = &mut self.0[n];
        ToOpen {
            esp: esp(frame),
            outer_tos: frame[1],
            out,
        }
    }

    fn fetch(&mut self, _n: usize) {}

    fn opened(&mut self, n: usize, result: Result<Opened, OpenError>) {
        self.record(n, result);
    }
}

type Outcome<R> = (Vec<u8>, Option<R>);

fn outcomes<R>(jobs: Jobs<R>) -> Vec<Outcome<R>> {
    jobs.0
        .into_iter()
        .map(|job| (job.out, job.result))
        .collect()
}

/// Number of SAs in a burst.
const SAS: u8 = 3;

/// An SA with its own SPI and key, and with the sequence numbers below `reserved`.
fn sender(cipher: Cipher, sa: u8, reserved: u64) -> OutboundSa {
    let mut config = sending(cipher, causeway_esp::Outer::new(ENDS_V4, UDP, 64), 1);
    config.spi = Spi::new(256 + u32::from(sa)).unwrap();
    config.key = Key::new(cipher, &vec![sa; cipher.key_len()]).unwrap();
    config.sequence = causeway_esp::Sequence::new(1);
    config.sequence.reserve_until(reserved);
    OutboundSa::new(config)
}

/// An inner packet, the output room behind it, and the index of its SA. Some packets are malformed and some outputs are
/// too small.
fn inner() -> impl Strategy<Value = (Vec<u8>, usize, usize)> {
    let inner = prop_oneof![
        4 => (20..700usize, any::<u8>()).prop_map(|(len, tos)| packet_with_tos(len, tos)),
        2 => (40..700usize, any::<u8>()).prop_map(|(len, tos)| packet6(len, tos)),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    let room = prop_oneof![9 => Just(100), 1 => 0..60usize];
    (inner, room, 0..usize::from(SAS))
}

fn seal_jobs(inner: &[(Vec<u8>, usize, usize)]) -> Jobs<Result<usize, SealError>> {
    let job = |(inner, room, sa): &(Vec<u8>, usize, usize)| Job {
        sa: *sa,
        frame: [&inner[..], &[0xee; TAIL_ROOM]].concat(),
        len: inner.len(),
        out: vec![0xdd; inner.len() + room],
        result: None,
    };
    Jobs(inner.iter().map(job).collect())
}

fn seal_one_by_one(sas: &mut [OutboundSa], jobs: &mut Jobs<Result<usize, SealError>>) {
    for n in 0..jobs.0.len() {
        let sa = jobs.sa(n);
        let ToSeal { frame, len, out } = jobs.packet(n);
        let result = sas[sa].seal(frame, len, out);
        jobs.sealed(n, result);
    }
}

fn open_one_by_one(sa: &mut InboundSa, jobs: &mut Jobs<Result<Opened, OpenError>>) {
    for n in 0..jobs.0.len() {
        let ToOpen {
            esp,
            outer_tos,
            out,
        } = jobs.packet(n);
        let result = sa.open(esp, outer_tos, out);
        jobs.opened(n, result);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200.min(ProptestConfig::default().cases)))]

    /// Several SAs in any order: each SA numbers its packets in their order and encrypts them with its key.
    #[test]
    fn a_sealed_burst_equals_its_packets_sealed_one_by_one(
        cipher in prop::sample::select(&Cipher::ALL[..]),
        inner in prop::collection::vec(inner(), 0..20),
        reserved in 1..30u64,
    ) {
        let senders = || Vec::from_iter((0..SAS).map(|sa| sender(cipher, sa, reserved)));
        let (mut one, mut many) = (senders(), senders());
        let (mut singly, mut burst) = (seal_jobs(&inner), seal_jobs(&inner));
        seal_one_by_one(&mut one, &mut singly);
        seal_burst(&mut many, inner.len(), &mut burst);
        for (one, many) in one.iter().zip(&many) {
            prop_assert_eq!(one.sequence().next(), many.sequence().next());
            prop_assert_eq!(one.usage(), many.usage());
        }
        prop_assert_eq!(outcomes(singly), outcomes(burst));
    }

    /// Valid packets, duplicates, forgeries and packets left of the window, in any order. RFC 4303 section
    /// 3.4.3: each packet is checked against the window after all previous packets.
    /// Standard: duplicate
    #[test]
    fn an_opened_burst_equals_its_packets_opened_one_by_one(
        cipher in prop::sample::select(&Cipher::ALL[..]),
        sent in 1..90usize,
        received in prop::collection::vec((any::<prop::sample::Index>(), 0..8usize, any::<u8>()), 0..40),
    ) {
        let mut sender = outbound(cipher, UDP, 1);
        let sealed: Vec<_> = (0..sent)
            .map(|n| seal(&mut sender, &packet(20 + n * 3)).unwrap())
            .collect();
        let jobs = || {
            let job = |(which, fault, at): &(prop::sample::Index, usize, u8)| {
                let mut frame = which.get(&sealed).clone();
                if *fault == 0 {
                    let at = 28 + usize::from(*at) % (frame.len() - 28);
                    frame[at] ^= 1;
                }
                let room = if *fault == 1 { usize::from(*at) } else { frame.len() };
                Job { sa: 0, len: frame.len(), frame, out: vec![0xcc; room], result: None }
            };
            Jobs(received.iter().map(job).collect())
        };
        let (mut one, mut many) = (inbound(cipher, 64), inbound(cipher, 64));
        let (mut singly, mut burst) = (jobs(), jobs());
        open_one_by_one(&mut one, &mut singly);
        many.open_burst(0..received.len(), &mut burst);
        prop_assert_eq!(one.usage(), many.usage());
        prop_assert_eq!(outcomes(singly), outcomes(burst));
        // Afterwards both windows hold the same numbers.
        for packet in &sealed {
            prop_assert_eq!(open(&mut one, esp(packet), 0), open(&mut many, esp(packet), 0));
        }
    }
}

#[test]
fn a_duplicate_in_the_same_burst_is_refused() {
    let (mut sender, mut receiver) = pair();
    let sealed = seal(&mut sender, &packet(64)).unwrap();
    let job = || Job {
        sa: 0,
        len: sealed.len(),
        frame: sealed.clone(),
        out: vec![0xcc; sealed.len()],
        result: None,
    };
    let mut jobs = Jobs((0..9).map(|_| job()).collect());
    receiver.open_burst(0..9, &mut jobs);
    let results: Vec<_> = jobs.0.iter().map(|job| job.result.unwrap()).collect();
    assert_eq!(results[0], Ok(Opened::Packet { len: 64 }));
    assert_eq!(results[1..], [Err(OpenError::Replayed); 8]);
}
