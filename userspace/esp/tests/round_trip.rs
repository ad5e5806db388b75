//! Law 4: open(seal(p)) = p. No input causes a panic.

mod common;

use causeway_esp::{BackendChoice, Cipher, OpenError, Opened, SealError, TAIL_ROOM, peek};
use common::*;
use proptest::prelude::*;

#[test]
fn a_sealed_packet_of_every_size_opens() {
    let choices = choices();
    for cipher in Cipher::ALL {
        // Each backend opens packets that another backend sealed.
        let next = choices.iter().cycle().skip(1);
        for ((&seals, &opens), encapsulation) in
            choices.iter().zip(next).zip([RAW, UDP].into_iter().cycle())
        {
            let mut sender = outbound_by(seals, cipher, encapsulation, 1);
            let mut receiver = inbound_by(opens, cipher, 64);
            // Every length near the ends of blocks and padding, then in strides to beyond 9000.
            for len in (20..=1600).chain((1601..=9100).step_by(37)) {
                let inner = packet(len);
                let sealed = seal(&mut sender, &inner).unwrap();
                assert_eq!(sealed.len(), len + sender.overhead(len));
                let opened = open(&mut receiver, esp(&sealed), 0);
                assert_eq!(opened.as_ref(), Ok(&inner), "{cipher} {len}");
            }
        }
    }
}

fn any_choice() -> impl Strategy<Value = BackendChoice> {
    prop::sample::select(choices())
}

fn any_cipher() -> impl Strategy<Value = Cipher> {
    prop::sample::select(&Cipher::ALL[..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Standard: inner-ipv4
    #[test]
    fn any_sealed_packet_opens(
        cipher in any_cipher(),
        udp: bool,
        body in prop::collection::vec(any::<u8>(), 0..9000),
        tos: u8,
        number in 1..1u64 << 31,
        seals in any_choice(),
        opens in any_choice(),
    ) {
        let mut inner = packet_with_tos(20 + body.len(), tos);
        inner[20..].copy_from_slice(&body);
        let mut sender = outbound_by(seals, cipher, if udp { UDP } else { RAW }, number);
        let sealed = seal(&mut sender, &inner).unwrap();
        prop_assert_eq!(peek(esp(&sealed)), Some((spi(), number as u32)));
        prop_assert_eq!(open(&mut inbound_by(opens, cipher, 4096), esp(&sealed), sealed[1]), Ok(inner));
    }

    /// One changed bit anywhere in SPI, number, IV, ciphertext or ICV is detected, and no byte of plaintext
    /// is released.
    #[test]
    fn a_changed_bit_is_refused(
        cipher in any_cipher(),
        len in 20..200usize,
        at: prop::sample::Index,
        bit in 0..8,
        opens in any_choice(),
    ) {
        let sealed = seal(&mut outbound(cipher, RAW, 1), &packet(len)).unwrap();
        let mut forged = esp(&sealed).to_vec();
        forged[at.index(sealed.len() - 20)] ^= 1u8 << bit;
        let mut out = vec![0xcc; forged.len()];
        let answer = inbound_by(opens, cipher, 64).open(&forged, 0, &mut out);
        // Only a changed sequence number is refused by the window, before the ICV is checked.
        prop_assert!(matches!(answer, Err(OpenError::BadIcv | OpenError::Replayed | OpenError::TooOld)));
        prop_assert!(holds_nothing(&out));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn random_bytes_neither_panic_nor_open(
        cipher in any_cipher(),
        bytes in prop::collection::vec(any::<u8>(), 0..120),
        tos: u8,
        room in 0..120usize,
        opens in any_choice(),
    ) {
        let mut out = vec![0xcc; room];
        let mut receiver = inbound_by(opens, cipher, 64);
        prop_assert!(receiver.open(&bytes, tos, &mut out).is_err());
        prop_assert!(holds_nothing(&out));
        let _ = peek(&bytes);
    }

    /// Authentic packets with malformed content, from a peer that holds the key.
    #[test]
    fn malformed_authentic_packets_never_panic(
        mut plaintext in prop::collection::vec(any::<u8>(), 0..80),
        ipv4: bool,
        tail in prop::option::of(0..4u8),
        tos: u8,
    ) {
        if ipv4 && plaintext.len() > 4 {
            plaintext[0] = 0x45;
            plaintext[2] = 0;
        }
        if let Some(pad) = tail {
            plaintext.extend((1..=pad).chain([pad, 4]));
        }
        let esp = forge(1, &plaintext);
        let mut out = vec![0; esp.len()];
        if let Ok(Opened::Packet { len }) = pair().1.open(&esp, tos, &mut out) {
            prop_assert!(len >= 20 && len + 2 <= plaintext.len());
            prop_assert_eq!(&out[20..len], &plaintext[20..len]);
        }
    }

    #[test]
    fn random_frames_never_panic(
        mut frame in prop::collection::vec(any::<u8>(), 0..120),
        ipv4: bool,
        inner_len in prop_oneof![0..140usize, any::<usize>()],
        room in 0..200usize,
    ) {
        if ipv4 && frame.len() > 4 {
            frame[0] = 0x45;
            frame[2] = 0;
        }
        let mut sender = outbound(Cipher::Aes128Gcm, RAW, 1);
        let mut out = vec![0; room];
        if let Err(error) = sender.seal(&mut frame, inner_len, &mut out) {
            prop_assert!(matches!(
                error,
                SealError::NotIp | SealError::NoTailRoom | SealError::OutputTooSmall
            ));
            prop_assert_eq!(sender.sequence().next(), 1, "a refused packet used a number");
        }
        let _ = sender.seal_dummy(&mut frame, inner_len, &mut out);
    }
}

/// The largest outer packet is an IPv4 packet of 65535 bytes or slightly less. A larger one is refused.
#[test]
fn a_packet_that_is_too_big_is_refused() {
    let mut sender = outbound(Cipher::Aes128Gcm, RAW, 1);
    let largest = sender.max_inner(usize::from(u16::MAX));
    assert!(seal(&mut sender, &packet(largest)).is_ok());
    assert_eq!(
        seal(&mut sender, &packet(largest + 4)),
        Err(SealError::TooBig)
    );
    let mut frame = vec![0; 70_000 + TAIL_ROOM];
    let mut out = vec![0; 80_000];
    assert_eq!(
        sender.seal_dummy(&mut frame, 70_000, &mut out),
        Err(SealError::TooBig)
    );
}
