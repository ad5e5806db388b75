//! Opening packets of a peer with the key: arbitrary plaintext under arbitrary sequence numbers.

use causeway_esp::{Cipher, InboundConfig, InboundSa, OpenError, Opened};

use crate::esp::{forge_with_iv, forge_without_esn, key, spi};
use crate::input::Input;
use crate::open::untouched_or_zeroed;

/// The sequence number of the first packet, which the replay window has seen.
const FIRST: u64 = 1 << 20;

/// Input: outer TOS, a byte that selects the IV and extended sequence numbers, the sequence number, a bit to flip, then
/// the plaintext with its trailer.
pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let (tos, kind, number, flipped) = (input.octet(), input.octet(), input.long(), input.word());
    let plaintext = input.0;
    let esn = kind & 2 == 0;
    let number = if esn { number } else { number & 0xffff_ffff };
    let forge = |number: u64, iv: u64, plaintext: &[u8]| match esn {
        true => forge_with_iv(number, iv, plaintext),
        false => forge_without_esn(number as u32, iv, plaintext),
    };
    // The window has seen a first number, so that smaller numbers can be too old.
    let config = InboundConfig::new(spi(), key(Cipher::Aes128Gcm), 64);
    let receiver = InboundSa::new(InboundConfig { esn, ..config });
    let mut receiver = receiver.expect("a window");
    let first = forge(FIRST, FIRST, &[0, 59]);
    let opened = receiver.open(&first, 0, &mut [0; 64]);
    assert_eq!(opened, Ok(Opened::Dummy));

    let iv = if kind & 1 == 0 { number } else { !number };
    let esp = forge(number, iv, plaintext);
    let mut bad = esp.clone();
    let at = usize::from(flipped >> 3) % bad.len();
    bad[at] ^= 1 << (flipped & 7);
    let mut out = vec![0xcc; esp.len()];
    assert!(receiver.open(&bad, tos, &mut out).is_err());
    assert!(untouched_or_zeroed(&out), "released plaintext");

    match receiver.open(&esp, tos, &mut out) {
        Ok(Opened::Packet { len }) => check_packet(&plaintext[..len], &out[..len], tos),
        Ok(Opened::Dummy) => assert_eq!(plaintext.last(), Some(&59)),
        Err(OpenError::TooShort) => return,
        // Whether a number is too old, or so far ahead that it looks too old, depends on the number alone.
        Err(error @ (OpenError::TooOld | OpenError::BadIcv | OpenError::Replayed)) => {
            let new = FIRST < number && number < FIRST + (1 << 31);
            assert!(!new, "{error:?} for {number:#x}");
            return;
        }
        Err(_) => {}
    }
    // The packet was authentic, so its number is used up regardless of its content.
    let again = receiver.open(&esp, tos, &mut out);
    assert_eq!(again, Err(OpenError::Replayed), "opened twice");
}

/// The opened packet equals the inner packet except for ECN and the IPv4 header checksum.
fn check_packet(inner: &[u8], out: &[u8], outer_tos: u8) {
    let word = |at: usize| usize::from(u16::from_be_bytes([inner[at], inner[at + 1]]));
    let tos = |packet: &[u8]| match packet[0] >> 4 {
        4 => packet[1],
        _ => packet[0] << 4 | packet[1] >> 4,
    };
    let (old, new) = (tos(inner), tos(out));
    assert_eq!(inner[0] >> 4, out[0] >> 4);
    assert_eq!(old >> 2, new >> 2, "the DSCP is unchanged");
    assert!(
        old & 3 == 0 || outer_tos & 3 != 3 || new & 3 == 3,
        "congestion experienced is kept"
    );
    if inner[0] >> 4 == 4 {
        assert_eq!(word(2), inner.len());
        assert_eq!(inner[0], out[0]);
        assert_eq!(inner[2..10], out[2..10]);
        assert_eq!(inner[12..], out[12..]);
    } else {
        assert_eq!(inner[0] >> 4, 6);
        assert_eq!(40 + word(4), inner.len());
        assert_eq!(inner[1] & 0xf, out[1] & 0xf, "the flow label is unchanged");
        assert_eq!(inner[2..], out[2..]);
    }
}
