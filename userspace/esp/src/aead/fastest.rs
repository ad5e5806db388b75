//! Which backend is the faster one on this CPU, for each cipher and length.
//!
//! It is measured, because it hangs on the CPU, on the target features that this build may take for
//! granted and on the versions of both. Both backends cost a fixed time and a time per byte, so
//! there is at most one length at which the order changes.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::backend::{Backend, Keyed};
use super::{ICV_LEN, NONCE_LEN};
use crate::cipher::Cipher;

/// Which backend takes the short packets and which the long ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) short: Backend,
    pub(super) long: Backend,
    /// The longest plaintext, in bytes, that counts as short.
    pub(super) limit: usize,
}

impl Split {
    /// One backend for every length.
    pub(super) const fn only(backend: Backend) -> Split {
        Split {
            short: backend,
            long: backend,
            limit: usize::MAX,
        }
    }

    /// From the winners at rising lengths.
    fn between(winners: &[(usize, Backend)]) -> Split {
        let [(_, short), .., (_, long)] = *winners else {
            unreachable!("there are more lengths than one");
        };
        let limit = winners
            .iter()
            .take_while(|(_, winner)| *winner == short)
            .last()
            .map_or(0, |&(len, _)| len);
        if short == long {
            return Split::only(short);
        }
        Split { short, long, limit }
    }
}

/// Plaintext lengths at which the backends are compared, in bytes: the smallest packets, the bulk
/// of the largest, and between them.
const LENGTHS: [usize; 4] = [66, 258, 578, 1410];
/// Packets sealed and opened in a row.
const BURST: u64 = 4;
/// Rounds, of which the fastest counts: what disturbs a measurement only ever adds to it.
const ROUNDS: usize = 12;
/// No more rounds begin after this time at one length, which only builds without optimisation reach.
const PATIENCE: Duration = Duration::from_millis(1);

/// The split for a cipher, measured when it is asked for the first time.
pub(super) fn fastest(cipher: Cipher) -> Split {
    static MEASURED: [OnceLock<Split>; Cipher::ALL.len()] = [const { OnceLock::new() }; 3];
    *MEASURED[cipher as usize].get_or_init(|| {
        // A key of the measurement's own, which guards nothing.
        let keyed = Backend::ALL.map(|backend| {
            let secret = &[0x5a; 32][..cipher.secret_len()];
            (backend, Keyed::new(backend, cipher, secret))
        });
        Split::between(&LENGTHS.map(|len| (len, winner(&keyed, len))))
    })
}

fn winner(keyed: &[(Backend, Keyed); Backend::ALL.len()], len: usize) -> Backend {
    let mut best = [Duration::MAX; Backend::ALL.len()];
    let start = Instant::now();
    for round in 0..ROUNDS {
        // In turn, so that a change of the clock rate meets both.
        for ((_, key), best) in keyed.iter().zip(&mut best) {
            *best = (*best).min(time(key, len));
        }
        if round > 0 && start.elapsed() > PATIENCE {
            break;
        }
    }
    let [(first, _), (second, _)] = keyed;
    if best[0] <= best[1] { *first } else { *second }
}

fn time(key: &Keyed, len: usize) -> Duration {
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
    use Backend::{AwsLc, RustCrypto};

    #[test]
    fn the_split_lies_where_the_order_changes() {
        let split = |winners: [Backend; 4]| {
            Split::between(&[1, 2, 3, 4].map(|len| (len, winners[len - 1])))
        };
        for backend in Backend::ALL {
            assert_eq!(split([backend; 4]), Split::only(backend));
        }
        let (short, long) = (RustCrypto, AwsLc);
        for (winners, limit) in [
            ([short, long, long, long], 1),
            ([short, short, short, long], 3),
            // A disturbed measurement must not make a packet go astray, only the choice.
            ([short, long, short, long], 1),
        ] {
            assert_eq!(split(winners), Split { short, long, limit });
        }
    }

    #[test]
    fn the_answer_stands() {
        for cipher in Cipher::ALL {
            assert_eq!(fastest(cipher), fastest(cipher));
        }
    }
}
