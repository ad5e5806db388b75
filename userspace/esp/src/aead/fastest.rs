//! Measures the fastest backend on this CPU, for each cipher, direction and length.
//!
//! The result depends on the CPU, on the target features of this build, on the backends' versions and on
//! the set of available backends. No table can predict it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::backend::{Available, Backend, keyed_cipher};
use super::direction::Direction;
use super::keyed_cipher::KeyedCipher;
use crate::cipher::Cipher;
use crate::wire::{ICV_LEN, NONCE_LEN};

/// The backend for each packet length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BackendsByLength {
    /// Length limits in bytes, ascending, each with the backend for plaintexts up to that limit.
    pub(super) shorter: Vec<(usize, Available)>,
    /// The backend for all longer plaintexts.
    pub(super) longest: Available,
}

impl BackendsByLength {
    /// One backend for every length.
    pub(super) const fn only(backend: Available) -> BackendsByLength {
        BackendsByLength {
            shorter: Vec::new(),
            longest: backend,
        }
    }

    /// Builds the limits from the fastest backend at each of the ascending lengths. A limit is the last
    /// length before a change.
    fn from_fastest(fastest: [(usize, Available); LENGTHS.len()]) -> BackendsByLength {
        let [.., (_, longest)] = fastest;
        let adjacent = fastest.iter().zip(&fastest[1..]);
        let changes = adjacent.filter(|((_, one), (_, next))| one != next);
        BackendsByLength {
            shorter: changes.map(|(last, _)| *last).collect(),
            longest,
        }
    }
}

/// Plaintext lengths at which the backends are compared, in bytes. They are packets of powers of two with
/// their trailers, and bulk traffic at the Ethernet MTU.
const LENGTHS: [usize; 7] = [66, 130, 258, 514, 1026, 1410, 2050];
/// Frames in each of the two rings. A worker's packets are not in the cache, and a backend that is fast on cached
/// frames may be slow on others. Frames at the same offset of a page exceed a cache's associativity before its size.
const FRAMES: usize = 2048;
/// Bytes from one frame to the next.
const FRAME_LEN: usize = 4096;
/// Frames that are timed together. The fastest round of each chunk counts. A disturbance only adds time, and on a busy
/// machine hardly any pass over the whole ring is undisturbed.
const CHUNK: usize = 64;
const CHUNKS: usize = FRAMES / CHUNK;
/// Rounds at each length.
const ROUNDS: usize = 3;
/// At one length no round starts after this time.
const TIME_LIMIT: Duration = Duration::from_millis(16);

/// A backend replaces the one for shorter packets only below this fraction of its time. A smaller gain is
/// measurement noise, and not worth a second key in the cache.
const MAX_TIME_RATIO: f64 = 0.98;

/// The backends for a cipher and direction, measured on the first call for the cipher.
pub(super) fn fastest(cipher: Cipher, direction: Direction) -> &'static BackendsByLength {
    static MEASURED: [OnceLock<[BackendsByLength; 2]>; Cipher::ALL.len()] =
        [const { OnceLock::new() }; 3];
    let [seal, open] = MEASURED[cipher as usize].get_or_init(|| {
        // A key for the measurement only. It protects no traffic.
        let secret = &[0x5a; 32][..cipher.secret_len()];
        let contenders: Vec<Contender> = Backend::present()
            .map(|backend| (backend, keyed_cipher(backend, cipher, secret)))
            .collect();
        let mut rings = Rings::new();
        let times = LENGTHS.map(|len| (len, times(&contenders, &mut rings, len)));
        [0, 1].map(|direction| {
            let mut last = None;
            BackendsByLength::from_fastest(times.each_ref().map(|(len, times)| {
                let one_direction = times
                    .iter()
                    .map(|&(backend, both)| (backend, both[direction]));
                let fastest = select(&one_direction.collect::<Vec<_>>(), last);
                last = Some(fastest);
                (*len, fastest)
            }))
        })
    });
    match direction {
        Direction::Seal => seal,
        Direction::Open => open,
    }
}

type Contender = (Available, Box<dyn KeyedCipher>);

/// The shortest time of each chunk.
#[derive(Clone, Copy)]
struct BestTimes([Duration; CHUNKS]);

impl BestTimes {
    const NONE: BestTimes = BestTimes([Duration::MAX; CHUNKS]);

    fn record(&mut self, chunk: usize, time: Duration) {
        self.0[chunk] = self.0[chunk].min(time);
    }

    /// The sum over the whole ring; [`Duration::MAX`] before the first round.
    fn total(&self) -> Duration {
        self.0
            .iter()
            .fold(Duration::ZERO, |sum, &time| sum.saturating_add(time))
    }
}

/// The shortest times of each backend at one length, for sealing and for opening.
fn times(
    contenders: &[Contender],
    rings: &mut Rings,
    len: usize,
) -> Vec<(Available, [Duration; 2])> {
    let mut best = vec![[BestTimes::NONE; 2]; contenders.len()];
    let totals = |best: &[[BestTimes; 2]]| -> Vec<[Duration; 2]> {
        best.iter()
            .map(|both| both.each_ref().map(BestTimes::total))
            .collect()
    };
    let start = Instant::now();
    for round in 0..ROUNDS {
        // Backends take turns, so that a change of the clock rate affects all of them.
        let before = totals(&best);
        let shortest = [0, 1].map(|direction| before.iter().map(|both| both[direction]).min());
        for (n, (_, key)) in contenders.iter().enumerate() {
            // A backend that took twice as long in both directions cannot win, and costs most of the round's time.
            let too_slow = |direction: usize| {
                shortest[direction].is_some_and(|time| before[n][direction] / 2 > time)
            };
            if round > 0 && too_slow(0) && too_slow(1) {
                continue;
            }
            rings.time(&**key, len, &mut best[n]);
        }
        if round > 0 && start.elapsed() > TIME_LIMIT {
            break;
        }
    }
    let backends = contenders.iter().map(|&(backend, _)| backend);
    backends.zip(totals(&best)).collect()
}

/// Selects the fastest backend. Keeps the backend of the previous length if that one is hardly slower.
fn select(times: &[(Available, Duration)], last: Option<Available>) -> Available {
    let of_last = times.iter().find(|(backend, _)| Some(*backend) == last);
    let fastest = times.iter().min_by_key(|(_, time)| *time);
    match (of_last, fastest) {
        (Some(last), Some(fastest))
            if fastest.1.as_secs_f64() < last.1.as_secs_f64() * MAX_TIME_RATIO =>
        {
            fastest.0
        }
        (Some(last), _) => last.0,
        (None, Some(fastest)) => fastest.0,
        (None, None) => unreachable!("two backends are always available"),
    }
}

/// One ring of frames with plaintext and one with ciphertext.
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

    /// Times a backend: it seals a packet of `len` bytes in each frame, and then opens them.
    fn time(&mut self, key: &dyn KeyedCipher, len: usize, [sealing, opening]: &mut [BestTimes; 2]) {
        let aad = [0; 12];
        let nonce = |number: usize| {
            let mut nonce = [0; NONCE_LEN];
            nonce[4..].copy_from_slice(&(number as u64).to_be_bytes());
            nonce
        };
        let mut all = true;
        for (chunk, frames) in self.chunks().enumerate() {
            let start = Instant::now();
            for (number, (plain, sealed)) in frames.enumerate() {
                let (ciphertext, rest) = sealed.split_at_mut(len);
                let icv = rest.first_chunk_mut::<ICV_LEN>().expect("room for the ICV");
                all &= key
                    .encrypt(&nonce(number), &aad, &plain[..len], ciphertext, icv)
                    .is_ok();
            }
            sealing.record(chunk, start.elapsed());
        }
        for (chunk, frames) in self.chunks().enumerate() {
            let start = Instant::now();
            for (number, (plain, sealed)) in frames.enumerate() {
                let (ciphertext, rest) = sealed.split_at(len);
                let icv = rest.first_chunk::<ICV_LEN>().expect("room for the ICV");
                all &= key
                    .decrypt(&nonce(number), &aad, ciphertext, icv, &mut plain[..len])
                    .is_ok();
            }
            opening.record(chunk, start.elapsed());
        }
        debug_assert!(all);
    }

    /// Pairs of a plain and a sealed frame, in chunks.
    fn chunks(&mut self) -> impl Iterator<Item = impl Iterator<Item = (&mut [u8], &mut [u8])>> {
        let plain = self.plain.chunks_exact_mut(CHUNK * FRAME_LEN);
        let both = plain.zip(self.sealed.chunks_exact_mut(CHUNK * FRAME_LEN));
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
    fn a_limit_is_the_last_length_before_a_change() {
        let [a, b] = two();
        let limits = |fastest: [Available; 7]| {
            let mut lens = 1..;
            BackendsByLength::from_fastest(fastest.map(|backend| (lens.next().unwrap(), backend)))
        };
        for backend in two() {
            assert_eq!(limits([backend; 7]), BackendsByLength::only(backend));
        }
        for (fastest, shorter, longest) in [
            ([a, b, b, b, b, b, b], vec![(1, a)], b),
            ([a, a, a, a, a, a, b], vec![(6, a)], b),
            ([a, a, b, b, b, a, a], vec![(2, a), (5, b)], a),
        ] {
            assert_eq!(limits(fastest), BackendsByLength { shorter, longest });
        }
    }

    #[test]
    fn a_small_gain_does_not_change_the_backend() {
        let [a, b] = two();
        let times = |a_ns, b_ns| {
            [
                (a, Duration::from_nanos(a_ns)),
                (b, Duration::from_nanos(b_ns)),
            ]
        };
        assert_eq!(select(&times(1000, 999), None), b);
        assert_eq!(select(&times(1000, 999), Some(a)), a);
        assert_eq!(select(&times(1000, 970), Some(a)), b);
        assert_eq!(select(&times(970, 1000), Some(b)), a);
        assert_eq!(select(&times(999, 1000), Some(b)), b);
    }

    #[test]
    fn a_disturbance_of_one_round_does_not_count() {
        let mut best = BestTimes::NONE;
        assert_eq!(best.total(), Duration::MAX);
        for disturbed in [3, 7] {
            for chunk in 0..CHUNKS {
                let more = if chunk == disturbed { 4_000_000 } else { 0 };
                best.record(chunk, Duration::from_nanos(10_000 + more));
            }
        }
        assert_eq!(best.total(), Duration::from_nanos(10_000) * CHUNKS as u32);
    }

    #[test]
    fn the_backends_are_measured_once_per_process() {
        for cipher in Cipher::ALL {
            for direction in [Direction::Seal, Direction::Open] {
                assert_eq!(fastest(cipher, direction), fastest(cipher, direction));
            }
        }
    }
}
