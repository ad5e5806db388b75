//! Published test vectors.

use super::*;
use crate::cipher::Cipher;
use crate::window::ReplayWindow;

struct Vector {
    cipher: Cipher,
    key: &'static str,
    salt: &'static str,
    iv: &'static str,
    aad: &'static str,
    plaintext: &'static str,
    ciphertext: &'static str,
    icv: &'static str,
}

/// Test cases 1, 2, 4, 13, 14 and 16 of the GCM specification as submitted to NIST.
const NIST_GCM: [Vector; 6] = [
    Vector {
        cipher: Cipher::Aes128Gcm,
        key: "00000000000000000000000000000000",
        salt: "00000000",
        iv: "0000000000000000",
        aad: "",
        plaintext: "",
        ciphertext: "",
        icv: "58e2fccefa7e3061367f1d57a4e7455a",
    },
    Vector {
        cipher: Cipher::Aes128Gcm,
        key: "00000000000000000000000000000000",
        salt: "00000000",
        iv: "0000000000000000",
        aad: "",
        plaintext: "00000000000000000000000000000000",
        ciphertext: "0388dace60b6a392f328c2b971b2fe78",
        icv: "ab6e47d42cec13bdf53a67b21257bddf",
    },
    Vector {
        cipher: Cipher::Aes128Gcm,
        key: "feffe9928665731c6d6a8f9467308308",
        salt: "cafebabe",
        iv: "facedbaddecaf888",
        aad: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        plaintext: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                    1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        ciphertext: "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e\
                     21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
        icv: "5bc94fbc3221a5db94fae95ae7121a47",
    },
    Vector {
        cipher: Cipher::Aes256Gcm,
        key: "0000000000000000000000000000000000000000000000000000000000000000",
        salt: "00000000",
        iv: "0000000000000000",
        aad: "",
        plaintext: "",
        ciphertext: "",
        icv: "530f8afbc74536b9a963b4f1c4cb738b",
    },
    Vector {
        cipher: Cipher::Aes256Gcm,
        key: "0000000000000000000000000000000000000000000000000000000000000000",
        salt: "00000000",
        iv: "0000000000000000",
        aad: "",
        plaintext: "00000000000000000000000000000000",
        ciphertext: "cea7403d4d606b6e074ec5d3baf39d18",
        icv: "d0d1c8a799996bf0265b98b5d48ab919",
    },
    Vector {
        cipher: Cipher::Aes256Gcm,
        key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
        salt: "cafebabe",
        iv: "facedbaddecaf888",
        aad: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        plaintext: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                    1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        ciphertext: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
                     8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
        icv: "76fc6ece0f4e1768cddf8853bb2d551b",
    },
];

/// RFC 4106 in ESP: draft-mcgrew-gcm-test-01. The first vector has an extended sequence number.
const ESP_GCM: [Vector; 2] = [
    Vector {
        cipher: Cipher::Aes128Gcm,
        key: "4c80cdefbb5d10da906ac73c3613a634",
        salt: "2e443b68",
        iv: "4956ed7e3b244cfe",
        aad: "000043218765432100000000",
        plaintext: "45000048699a000080114db7c0a80102c0a801010a9bf15638d3010000010000\
                    00000000045f736970045f756470037369700963796265726369747902646b00\
                    0021000101020201",
        ciphertext: "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34\
                     cfa2436f14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce\
                     61bc17d768fd9732",
        icv: "459018148f6cbe722fd04796562dfdb4",
    },
    Vector {
        cipher: Cipher::Aes256Gcm,
        key: "abbccddef00112233445566778899aababbccddef00112233445566778899aab",
        salt: "11223344",
        iv: "0102030405060708",
        aad: "4a2cbfe300000002",
        plaintext: "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee000000000\
                    7002400020bf0000020405b40101040201020201",
        ciphertext: "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763\
                     748a637985771d347f0545659f14e99def842d8e",
        icv: "b335f4eecfdbf831824b4c4915956c96",
    },
];

/// RFC 8439 section 2.8.2, and the ESP packet of RFC 7634 appendix A (without ESN).
const CHACHA: [Vector; 2] = [
    Vector {
        cipher: Cipher::ChaCha20Poly1305,
        key: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
        salt: "07000000",
        iv: "4041424344454647",
        aad: "50515253c0c1c2c3c4c5c6c7",
        plaintext: "4c616469657320616e642047656e746c656d656e206f662074686520636c6173\
                    73206f66202739393a204966204920636f756c64206f6666657220796f75206f\
                    6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73\
                    637265656e20776f756c642062652069742e",
        ciphertext: "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6\
                     3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36\
                     92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc\
                     3ff4def08e4b7a9de576d26586cec64b6116",
        icv: "1ae10b594f09e26a7e902ecbd0600691",
    },
    Vector {
        cipher: Cipher::ChaCha20Poly1305,
        key: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
        salt: "a0a1a2a3",
        iv: "1011121314151617",
        aad: "0102030400000005",
        plaintext: "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec10\
                    0007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223\
                    2425262728292a2b2c2d2e2f303132333435363701020204",
        ciphertext: "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6\
                     14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3\
                     cbec163fac469b502773f6fb94e664da9165b82829f641e0",
        icv: "76aaa8266b7fb0f7b11b369907e1ad43",
    },
];

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn aead(vector: &Vector, backend: Available) -> Aead {
    let material = bytes(&[vector.key, vector.salt].concat());
    let key = Key::new(vector.cipher, &material).unwrap();
    Aead::new(&key, true, BackendChoice::Only(backend), Direction::Open)
}

fn check(vector: &Vector) {
    for backend in Backend::present() {
        check_with(vector, backend);
    }
}

fn check_with(vector: &Vector, backend: Available) {
    let aead = aead(vector, backend);
    let nonce = aead.nonce(&bytes(vector.iv).try_into().unwrap());
    let aad = bytes(vector.aad);
    let plaintext = bytes(vector.plaintext);
    let expected = bytes(vector.ciphertext);
    let expected_icv: [u8; ICV_LEN] = bytes(vector.icv).try_into().unwrap();

    let mut ciphertext = vec![0; plaintext.len()];
    let mut icv = [0; ICV_LEN];
    aead.longest
        .encrypt(&nonce, &aad, &plaintext, &mut ciphertext, &mut icv)
        .unwrap();
    assert_eq!((&ciphertext, icv), (&expected, expected_icv), "{backend:?}");

    let mut back = vec![0; ciphertext.len()];
    aead.longest
        .decrypt(&nonce, &aad, &ciphertext, &icv, &mut back)
        .unwrap();
    assert_eq!(back, plaintext, "{backend:?}");
}

/// Standard: gcm-sizes
#[test]
fn nist_gcm_vectors() {
    NIST_GCM.iter().for_each(check);
}

/// RFC 4106.
/// Standard: gcm-icv, gcm-sizes, gcm-aad
#[test]
fn esp_gcm_vectors() {
    ESP_GCM.iter().for_each(check);
}

/// RFC 8439 and RFC 7634.
/// Standard: chacha-layout, chacha-worked
#[test]
fn chacha20_poly1305_vectors() {
    CHACHA.iter().for_each(check);
}

/// RFC 4106 section 5: with ESN the AAD is SPI and 64-bit number, high half first. The receiver takes
/// the high half from its window and the IV from the packet.
/// Standard: esn-wire, gcm-aad-esn
#[test]
fn the_aad_holds_the_extended_sequence_number() {
    let vector = &ESP_GCM[0];
    let window = ReplayWindow::with_top(0x8765_4321_0000_0000 - 1);
    for backend in Backend::present() {
        let candidate = window.check(0).unwrap();
        let ciphertext = bytes(vector.ciphertext);
        let mut plaintext = vec![0; ciphertext.len()];
        let authentic = aead(vector, backend)
            .open(
                candidate,
                Spi::new(0x4321).unwrap(),
                &bytes(vector.iv).try_into().unwrap(),
                &ciphertext,
                &bytes(vector.icv).try_into().unwrap(),
                &mut plaintext,
            )
            .ok()
            .expect("the ICV is valid");
        assert_eq!(authentic.number(), 0x8765_4321_0000_0000);
        assert_eq!(plaintext, bytes(vector.plaintext));
    }
}
