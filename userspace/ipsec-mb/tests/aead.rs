//! Tests with the real library. They fail with the reason if it is not installed; `cargo xtask setup` installs it. Only
//! these tests depend on it.
#![cfg(target_arch = "x86_64")]

use causeway_ipsec_mb::{Cipher, Error, Key, Library};

const CIPHERS: [(Cipher, usize); 3] = [
    (Cipher::Aes128Gcm, 16),
    (Cipher::Aes256Gcm, 32),
    (Cipher::ChaCha20Poly1305, 32),
];

fn library() -> &'static Library {
    Library::get().unwrap_or_else(|reason| panic!("{reason}"))
}

fn key(cipher: Cipher, len: usize) -> Box<Key> {
    Key::new(library(), cipher, &[0x5a; 32][..len]).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    digits
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

/// Test case 4 of the GCM specification, its 256-bit twin 16, and RFC 8439 section 2.8.2. The rest of the
/// vectors, and the comparison with the other backends at every length, are in `causeway-esp`.
#[test]
fn published_vectors() {
    let gcm = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
               1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
    let gcm_aad = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
    let sunscreen = b"Ladies and Gentlemen of the class of '99: \
        If I could offer you only one tip for the future, sunscreen would be it.";
    let cases = [
        (
            Cipher::Aes128Gcm,
            "feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            gcm_aad,
            hex(gcm),
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e\
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
            "5bc94fbc3221a5db94fae95ae7121a47",
        ),
        (
            Cipher::Aes256Gcm,
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            gcm_aad,
            hex(gcm),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ),
        (
            Cipher::ChaCha20Poly1305,
            "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
            "070000004041424344454647",
            "50515253c0c1c2c3c4c5c6c7",
            sunscreen.to_vec(),
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6\
             3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36\
             92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc\
             3ff4def08e4b7a9de576d26586cec64b6116",
            "1ae10b594f09e26a7e902ecbd0600691",
        ),
    ];
    for (cipher, secret, nonce, aad, plaintext, ciphertext, icv) in cases {
        let key = Key::new(library(), cipher, &hex(secret)).unwrap();
        let nonce = hex(nonce).try_into().unwrap();
        let (mut sealed, mut tag) = (vec![0; plaintext.len()], [0; 16]);
        key.seal(&nonce, &hex(aad), &plaintext, &mut sealed, &mut tag)
            .unwrap();
        assert_eq!((&sealed, tag.to_vec()), (&hex(ciphertext), hex(icv)));
        let mut opened = vec![0; plaintext.len()];
        key.open(&nonce, &hex(aad), &sealed, &tag, &mut opened)
            .unwrap();
        assert_eq!(opened, plaintext);
    }
}

#[test]
fn a_wrong_tag_zeroes_the_output() {
    for (cipher, len) in CIPHERS {
        let key = key(cipher, len);
        let (plaintext, mut sealed, mut icv) = ([7; 100], [0; 100], [0; 16]);
        key.seal(&[1; 12], &[2; 8], &plaintext, &mut sealed, &mut icv)
            .unwrap();
        for at in 0..16 {
            for bit in 0..8 {
                let (mut wrong, mut opened) = (icv, [9; 100]);
                wrong[at] ^= 1 << bit;
                let refused = key.open(&[1; 12], &[2; 8], &sealed, &wrong, &mut opened);
                assert_eq!((refused, opened), (Err(Error::Forged), [0; 100]));
            }
        }
        let mut opened = [9; 100];
        key.open(&[1; 12], &[2; 8], &sealed, &icv, &mut opened)
            .unwrap();
        assert_eq!(opened, plaintext);
    }
}

#[test]
fn lengths_are_checked_before_the_library_is_called() {
    for (cipher, len) in CIPHERS {
        let key = key(cipher, len);
        let (short, mut long, mut icv) = ([0; 63], [9; 64], [9; 16]);
        let refused = key.seal(&[1; 12], &[], &short, &mut long, &mut icv);
        assert_eq!((refused, icv), (Err(Error::Lengths), [9; 16]));
        let refused = key.open(&[1; 12], &[], &short, &icv, &mut long);
        assert_eq!((refused, long), (Err(Error::Lengths), [9; 64]));
        for got in [0, 15, 17, 24, 31, 33] {
            let refused = Key::new(library(), cipher, &vec![0; got]).err();
            assert_eq!(refused, Some(Error::KeyLength { expected: len, got }));
        }
    }
}

/// A key may move to the thread of its worker: it gives the same result in each of several threads.
#[test]
fn keys_work_in_any_thread() {
    for (cipher, len) in CIPHERS {
        let key = key(cipher, len);
        let seal = || {
            let (mut sealed, mut icv) = ([0; 700], [0; 16]);
            for _ in 0..300 {
                key.seal(&[1; 12], &[2; 12], &[7; 700], &mut sealed, &mut icv)
                    .unwrap();
            }
            (sealed, icv)
        };
        let expected = seal();
        std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(seal));
            for thread in threads {
                assert_eq!(thread.join().unwrap(), expected);
            }
        });
    }
}

#[test]
fn debug_shows_no_byte() {
    let key = key(Cipher::Aes128Gcm, 16);
    assert_eq!(format!("{key:?}"), "Key(redacted)");
}
