//! All backends give the same output for the same input, at every length and alignment.

use super::*;
use crate::cipher::Cipher;
use proptest::prelude::*;

const LONGEST: usize = 9000;

/// The key in every available backend: all three after `cargo xtask setup`.
fn all(cipher: Cipher, secret: &[u8]) -> Vec<Box<dyn KeyedCipher>> {
    Backend::present()
        .map(|backend| keyed_cipher(backend, cipher, secret))
        .collect()
}

/// Seals with each backend and compares the outputs, then opens the output with each. Input and output
/// start `from` and `to` bytes behind an aligned address.
fn agree(
    keys: &[Box<dyn KeyedCipher>],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    plaintext: &[u8],
    from: usize,
    to: usize,
) {
    let len = plaintext.len();
    let shifted = |bytes: &[u8]| [&vec![0xee; from][..], bytes].concat();
    let input = shifted(plaintext);
    let mut sealed = keys.iter().map(|key| {
        let mut output = vec![0xdd; to + len + 32];
        let mut icv = [0; ICV_LEN];
        key.encrypt(
            nonce,
            aad,
            &input[from..],
            &mut output[to..to + len],
            &mut icv,
        )
        .unwrap();
        assert!(output[..to].iter().all(|&byte| byte == 0xdd));
        assert!(output[to + len..].iter().all(|&byte| byte == 0xdd));
        (output[to..to + len].to_vec(), icv)
    });
    let reference = sealed.next().unwrap();
    for other in sealed {
        assert_eq!(reference, other, "{len} bytes from {from} to {to}");
    }

    let (ciphertext, icv) = reference;
    let input = shifted(&ciphertext);
    for key in keys {
        let mut output = vec![0xdd; to + len + 32];
        key.decrypt(nonce, aad, &input[from..], &icv, &mut output[to..to + len])
            .unwrap();
        assert_eq!(output[to..to + len], *plaintext);
        assert!(output[..to].iter().all(|&byte| byte == 0xdd));
        assert!(output[to + len..].iter().all(|&byte| byte == 0xdd));
    }
}

#[test]
fn backends_agree_at_every_length() {
    let plaintext: Vec<u8> = (0..LONGEST).map(|at| (at * 31 + at / 256) as u8).collect();
    for cipher in Cipher::ALL {
        let keys = all(cipher, &[0x5a; 32][..cipher.secret_len()]);
        // Every length that an assembly loop could handle as a special case, then strides.
        for len in (0..=1100).chain((1101..=LONGEST).step_by(211)) {
            let nonce = std::array::from_fn(|at| (at * len) as u8);
            agree(
                &keys,
                &nonce,
                &[7; 12],
                &plaintext[..len],
                len % 16,
                len % 7,
            );
        }
    }
}

#[test]
fn backends_agree_at_every_alignment() {
    let plaintext = [0xa5; 331];
    for cipher in Cipher::ALL {
        let keys = all(cipher, &[0x5a; 32][..cipher.secret_len()]);
        for (from, to) in (0..64).flat_map(|from| (0..64).step_by(5).map(move |to| (from, to))) {
            agree(&keys, &[9; NONCE_LEN], &[7; 12], &plaintext, from, to);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn backends_agree_on_any_input(
        cipher in prop::sample::select(&Cipher::ALL[..]),
        secret: [u8; 32],
        nonce: [u8; NONCE_LEN],
        aad in prop::collection::vec(any::<u8>(), 0..40),
        plaintext in prop::collection::vec(any::<u8>(), 0..2000),
        from in 0..64usize,
        to in 0..64usize,
    ) {
        let keys = all(cipher, &secret[..cipher.secret_len()]);
        agree(&keys, &nonce, &aad, &plaintext, from, to);
    }

    /// Every backend refuses a changed bit and releases no byte of plaintext.
    #[test]
    fn backends_refuse_forgeries(
        cipher in prop::sample::select(&Cipher::ALL[..]),
        plaintext in prop::collection::vec(1..=u8::MAX, 1..600),
        at: prop::sample::Index,
        bit in 0..8,
    ) {
        for key in all(cipher, &[0x5a; 32][..cipher.secret_len()]) {
            let (nonce, aad) = ([1; NONCE_LEN], [2; 12]);
            let mut packet = vec![0; plaintext.len() + ICV_LEN];
            let (ciphertext, icv) = packet.split_last_chunk_mut().unwrap();
            key.encrypt(&nonce, &aad, &plaintext, ciphertext, icv).unwrap();
            packet[at.index(plaintext.len() + ICV_LEN)] ^= 1u8 << bit;
            let (ciphertext, icv) = packet.split_last_chunk().unwrap();
            let mut out = vec![0; plaintext.len()];
            prop_assert!(key.decrypt(&nonce, &aad, ciphertext, icv, &mut out).is_err());
            prop_assert!(out.iter().all(|&byte| byte == 0));
        }
    }

    /// The choice of a backend by length changes no bit on the wire.
    #[test]
    fn backends_agree_on_both_sides_of_a_length_limit(
        cipher in prop::sample::select(&Cipher::ALL[..]),
        limit in 1..300usize,
        beyond in 0..3usize,
    ) {
        let len = limit - 1 + beyond;
        let key = Key::new(cipher, &vec![0x5a; cipher.key_len()]).unwrap();
        let [short, longest] = [Backend::RustCrypto, Backend::AwsLc].map(|b| b.available().unwrap());
        let aead = Aead::with_backends(&key, true, &BackendsByLength { shorter: vec![(limit, short)], longest });
        let serves = std::ptr::from_ref(aead.keyed(len)).addr();
        let long = std::ptr::from_ref(&*aead.longest).addr();
        prop_assert_eq!(serves == long, len > limit);
        let plaintext = vec![3; len];
        let nonce = aead.nonce(&[4; IV_LEN]);
        let [expected, got] = [&*aead.shorter[0].1, aead.keyed(len)].map(|keyed| {
            let mut out = (vec![0; len], [0; ICV_LEN]);
            keyed.encrypt(&nonce, &[], &plaintext, &mut out.0, &mut out.1).unwrap();
            out
        });
        prop_assert_eq!(expected, got);
    }
}
