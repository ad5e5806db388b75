//! Which backend is the fastest one on this CPU, for each cipher and length.
//!
//! It is measured, because it hangs on the CPU, on the target features that this build may take for
//! granted, on the backends' versions and on which of them there are.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::backend::{Available, Backend, Keyed, keyed};
use super::{ICV_LEN, NONCE_LEN, Way};
use crate::cipher::Cipher;

/// Which backend takes the packets of which length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// Those for plaintexts up to so many bytes, in rising order.
    pub(super) shorter: Vec<(usize, Available)>,
    /// The one for all longer plaintexts.
    pub(super) longest: Available,
}

impl Split {
    /// One backend for every length.
    pub(super) const fn only(backend: Available) -> Split {
        Split {
            shorter: Vec::new(),
            longest: backend,
        }
    }

    /// From the winners at rising lengths; where the winner changes, the last length of each counts.
    fn between(winners: [(usize, Available); LENGTHS.len()]) -> Split {
        let [.., (_, longest)] = winners;
        let neighbours = winners.iter().zip(&winners[1..]);
        let changes = neighbours.filter(|((_, one), (_, next))| one != next);
        Split {
            shorter: changes.map(|(last, _)| *last).collect(),
            longest,
        }
    }
}

/// Plaintext lengths at which the backends are compared, in bytes: packets of the powers of two with
/// their trailers, and the bulk of the largest on an Ethernet.
const LENGTHS: [usize; 7] = [66, 130, 258, 514, 1026, 1410, 2050];
/// Frames of each of the two rings through which the backends are led, and bytes from one to the next. A worker's
/// packets come from beyond the cache, and a backend that is fast on what lies in it may lose there. Frames that
/// begin at the same place of a page outgrow the ways of a cache before its size.
const FRAMES: usize = 2048;
const FRAME_LEN: usize = 4096;
/// Frames that are timed at once. Of each such stretch the fastest round counts: what disturbs a measurement only ever
/// adds to it, and on a busy machine hardly a whole ring is led through undisturbed.
const STRETCH: usize = 64;
const STRETCHES: usize = FRAMES / STRETCH;
/// Rounds at each length.
const ROUNDS: usize = 3;
/// No more rounds begin after this time at one length.
const PATIENCE: Duration = Duration::from_millis(16);

/// How much faster a backend must be to take over from the one that serves the shorter packets: less is
/// the measurement's noise, and not worth a second key in the cache.
const WORTH_A_CHANGE: f64 = 0.98;

/// The splits for a cipher, measured when one is asked for the first time.
pub(super) fn fastest(cipher: Cipher, way: Way) -> &'static Split {
    static MEASURED: [OnceLock<[Split; 2]>; Cipher::ALL.len()] = [const { OnceLock::new() }; 3];
    let [seal, open] = MEASURED[cipher as usize].get_or_init(|| {
        // A key of the measurement's own, which guards nothing.
        let secret = &[0x5a; 32][..cipher.secret_len()];
        let contenders: Vec<Contender> = Backend::present()
            .map(|backend| (backend, keyed(backend, cipher, secret)))
            .collect();
        let mut rings = Rings::new();
        let times = LENGTHS.map(|len| (len, times(&contenders, &mut rings, len)));
        [0, 1].map(|way| {
            let mut last = None;
            Split::between(times.each_ref().map(|(len, times)| {
                let of_way = times.iter().map(|&(backend, both)| (backend, both[way]));
                let winner = winner(&of_way.collect::<Vec<_>>(), last);
                last = Some(winner);
                (*len, winner)
            }))
        })
    });
    match way {
        Way::Seal => seal,
        Way::Open => open,
    }
}

type Contender = (Available, Box<dyn Keyed>);

/// The best time of each stretch.
#[derive(Clone, Copy)]
struct Best([Duration; STRETCHES]);

impl Best {
    const NONE: Best = Best([Duration::MAX; STRETCHES]);

    fn see(&mut self, stretch: usize, time: Duration) {
        self.0[stretch] = self.0[stretch].min(time);
    }

    /// Of the whole ring; none before its first round.
    fn total(&self) -> Duration {
        self.0
            .iter()
            .fold(Duration::ZERO, |sum, &time| sum.saturating_add(time))
    }
}

/// The best times of each backend at one length, sealing and opening.
fn times(
    contenders: &[Contender],
    rings: &mut Rings,
    len: usize,
) -> Vec<(Available, [Duration; 2])> {
    let mut best = vec![[Best::NONE; 2]; contenders.len()];
    let totals = |best: &[[Best; 2]]| -> Vec<[Duration; 2]> {
        best.iter()
            .map(|both| both.each_ref().map(Best::total))
            .collect()
    };
    let start = Instant::now();
    for round in 0..ROUNDS {
        // In turn, so that a change of the clock rate meets all.
        let before = totals(&best);
        let leading = [0, 1].map(|way| before.iter().map(|both| both[way]).min());
        for (n, (_, key)) in contenders.iter().enumerate() {
            // One that was twice as slow both ways wins nothing by another round, but costs most of it.
            let behind = |way: usize| leading[way].is_some_and(|time| before[n][way] / 2 > time);
            if round > 0 && behind(0) && behind(1) {
                continue;
            }
            rings.time(&**key, len, &mut best[n]);
        }
        if round > 0 && start.elapsed() > PATIENCE {
            break;
        }
    }
    let backends = contenders.iter().map(|&(backend, _)| backend);
    backends.zip(totals(&best)).collect()
}

/// The fastest one, unless the last length's is hardly slower.
fn winner(times: &[(Available, Duration)], last: Option<Available>) -> Available {
    let of_last = times.iter().find(|(backend, _)| Some(*backend) == last);
    let fastest = times.iter().min_by_key(|(_, time)| *time);
    match (of_last, fastest) {
        (Some(last), Some(fastest))
            if fastest.1.as_secs_f64() < last.1.as_secs_f64() * WORTH_A_CHANGE =>
        {
            fastest.0
        }
        (Some(last), _) => last.0,
        (None, Some(fastest)) => fastest.0,
        (None, None) => unreachable!("two backends are always present"),
    }
}

/// Frames with plaintext and frames with ciphertext.
struct Rings {
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

impl Rings {
    fn new() -> Rings {
        Rings {
            plain: vec![0x45; FRAMES * FRAME_LEN],
            sealed: vec![0x45; FRAMES * FRAME_LEN],
        }
    }

    /// Times a backend that seals a packet of `len` bytes in each frame, and then opens them.
    fn time(&mut self, key: &dyn Keyed, len: usize, [sealing, opening]: &mut [Best; 2]) {
        let aad = [0; 12];
        let nonce = |number: usize| {
            let mut nonce = [0; NONCE_LEN];
            nonce[4..].copy_from_slice(&(number as u64).to_be_bytes());
            nonce
        };
        let mut all = true;
        for (stretch, frames) in self.stretches().enumerate() {
            let start = Instant::now();
            for (number, (plain, sealed)) in frames.enumerate() {
                let (ciphertext, rest) = sealed.split_at_mut(len);
                let icv = rest.first_chunk_mut::<ICV_LEN>().expect("room for the ICV");
                all &= key
                    .encrypt(&nonce(number), &aad, &plain[..len], ciphertext, icv)
                    .is_ok();
            }
            sealing.see(stretch, start.elapsed());
        }
        for (stretch, frames) in self.stretches().enumerate() {
            let start = Instant::now();
            for (number, (plain, sealed)) in frames.enumerate() {
                let (ciphertext, rest) = sealed.split_at(len);
                let icv = rest.first_chunk::<ICV_LEN>().expect("room for the ICV");
                all &= key
                    .decrypt(&nonce(number), &aad, ciphertext, icv, &mut plain[..len])
                    .is_ok();
            }
            opening.see(stretch, start.elapsed());
        }
        debug_assert!(all);
    }

    /// The frames, plain and sealed ones, by stretches.
    fn stretches(&mut self) -> impl Iterator<Item = impl Iterator<Item = (&mut [u8], &mut [u8])>> {
        let plain = self.plain.chunks_exact_mut(STRETCH * FRAME_LEN);
        let both = plain.zip(self.sealed.chunks_exact_mut(STRETCH * FRAME_LEN));
        both.map(|(plain, sealed)| {
            let plain = plain.chunks_exact_mut(FRAME_LEN);
            plain.zip(sealed.chunks_exact_mut(FRAME_LEN))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> [Available; 2] {
        [Backend::RustCrypto, Backend::AwsLc].map(|backend| backend.available().unwrap())
    }

    #[test]
    fn the_split_lies_where_the_order_changes() {
        let [a, b] = two();
        let split = |winners: [Available; 7]| {
            let mut lens = 1..;
            Split::between(winners.map(|winner| (lens.next().unwrap(), winner)))
        };
        for backend in two() {
            assert_eq!(split([backend; 7]), Split::only(backend));
        }
        for (winners, shorter, longest) in [
            ([a, b, b, b, b, b, b], vec![(1, a)], b),
            ([a, a, a, a, a, a, b], vec![(6, a)], b),
            ([a, a, b, b, b, a, a], vec![(2, a), (5, b)], a),
        ] {
            assert_eq!(split(winners), Split { shorter, longest });
        }
    }

    #[test]
    fn a_change_must_be_worth_it() {
        let [a, b] = two();
        let times = |a_ns, b_ns| {
            [
                (a, Duration::from_nanos(a_ns)),
                (b, Duration::from_nanos(b_ns)),
            ]
        };
        assert_eq!(winner(&times(1000, 999), None), b);
        assert_eq!(winner(&times(1000, 999), Some(a)), a);
        assert_eq!(winner(&times(1000, 970), Some(a)), b);
        assert_eq!(winner(&times(970, 1000), Some(b)), a);
        assert_eq!(winner(&times(999, 1000), Some(b)), b);
    }

    #[test]
    fn a_disturbance_counts_only_where_it_comes_each_time() {
        let mut best = Best::NONE;
        assert_eq!(best.total(), Duration::MAX);
        for disturbed in [3, 7] {
            for stretch in 0..STRETCHES {
                let more = if stretch == disturbed { 4_000_000 } else { 0 };
                best.see(stretch, Duration::from_nanos(10_000 + more));
            }
        }
        assert_eq!(
            best.total(),
            Duration::from_nanos(10_000) * STRETCHES as u32
        );
    }

    #[test]
    fn the_answer_stands() {
        for cipher in Cipher::ALL {
            for way in [Way::Seal, Way::Open] {
                assert_eq!(fastest(cipher, way), fastest(cipher, way));
            }
        }
    }
}
