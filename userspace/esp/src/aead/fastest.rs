//! Which backend is the fastest one on this CPU, for each cipher and length.
//!
//! It is measured, because it hangs on the CPU, on the target features that this build may take for
//! granted, on the backends' versions and on which of them there are.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::backend::{Available, Backend, Keyed, keyed};
use super::{ICV_LEN, NONCE_LEN};
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
/// Packets sealed and opened in a row.
const BURST: u64 = 4;
/// Rounds, of which the fastest counts: what disturbs a measurement only ever adds to it.
const ROUNDS: usize = 12;
/// No more rounds begin after this time at one length, which only builds without optimisation reach.
const PATIENCE: Duration = Duration::from_millis(1);

/// How much faster a backend must be to take over from the one that serves the shorter packets: less is
/// the measurement's noise, and not worth a second key in the cache.
const WORTH_A_CHANGE: f64 = 0.98;

/// The split for a cipher, measured when it is asked for the first time.
pub(super) fn fastest(cipher: Cipher) -> &'static Split {
    static MEASURED: [OnceLock<Split>; Cipher::ALL.len()] = [const { OnceLock::new() }; 3];
    MEASURED[cipher as usize].get_or_init(|| {
        // A key of the measurement's own, which guards nothing.
        let secret = &[0x5a; 32][..cipher.secret_len()];
        let contenders: Vec<Contender> = Backend::present()
            .map(|backend| (backend, keyed(backend, cipher, secret)))
            .collect();
        let mut last = None;
        Split::between(LENGTHS.map(|len| {
            let winner = winner(&times(&contenders, len), last);
            last = Some(winner);
            (len, winner)
        }))
    })
}

type Contender = (Available, Box<dyn Keyed>);

/// The best time of each backend at one length.
fn times(contenders: &[Contender], len: usize) -> Vec<(Available, Duration)> {
    let mut best: Vec<_> = contenders
        .iter()
        .map(|&(backend, _)| (backend, Duration::MAX))
        .collect();
    let start = Instant::now();
    for round in 0..ROUNDS {
        // In turn, so that a change of the clock rate meets all.
        for ((_, key), (_, best)) in contenders.iter().zip(&mut best) {
            *best = (*best).min(time(&**key, len));
        }
        if round > 0 && start.elapsed() > PATIENCE {
            break;
        }
    }
    best
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

fn time(key: &dyn Keyed, len: usize) -> Duration {
    let plaintext = [0x45; LENGTHS[LENGTHS.len() - 1]];
    let mut ciphertext = plaintext;
    let mut back = plaintext;
    let mut icv = [0; ICV_LEN];
    let aad = [0; 12];
    let start = Instant::now();
    for number in 0..BURST {
        let mut nonce = [0; NONCE_LEN];
        nonce[4..].copy_from_slice(&number.to_be_bytes());
        let sealed = key.encrypt(
            &nonce,
            &aad,
            &plaintext[..len],
            &mut ciphertext[..len],
            &mut icv,
        );
        let opened = key.decrypt(&nonce, &aad, &ciphertext[..len], &icv, &mut back[..len]);
        debug_assert!(sealed.is_ok() && opened.is_ok());
    }
    start.elapsed()
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
    fn the_answer_stands() {
        for cipher in Cipher::ALL {
            assert_eq!(fastest(cipher), fastest(cipher));
        }
    }
}
