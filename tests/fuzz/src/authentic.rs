//! Opening what a peer with the key may send: any plaintext at all, under any numbers.

use causeway_esp::{Cipher, OpenError, Opened};

use crate::esp::{forge_with_iv, inbound};
use crate::input::Input;
use crate::open::untouched_or_zeroed;

/// Octets: outer TOS, how the IV is chosen, a number, a change, then the plaintext with its trailer.
pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let (tos, kind, number, turned) = (input.octet(), input.octet(), input.long(), input.word());
    let plaintext = input.0;
    // A window that has seen a first number, so that there is a left of it.
    let mut receiver = inbound(Cipher::Aes128Gcm, 64);
    let first = forge_with_iv(1 << 20, 1 << 20, &[0, 59]);
    let opened = receiver.open(&first, 0, &mut [0; 64]);
    assert_eq!(opened, Ok(Opened::Dummy));

    let iv = if kind & 1 == 0 { number } else { !number };
    let esp = forge_with_iv(number, iv, plaintext);
    let mut bad = esp.clone();
    let at = usize::from(turned >> 3) % bad.len();
    bad[at] ^= 1 << (turned & 7);
    let mut out = vec![0xcc; esp.len()];
    assert!(receiver.open(&bad, tos, &mut out).is_err());
    assert!(untouched_or_zeroed(&out), "released plaintext");

    match receiver.open(&esp, tos, &mut out) {
        Ok(Opened::Packet { len }) => {
            let inner = &plaintext[..len];
            assert!(len >= 20 && usize::from(u16::from_be_bytes([inner[2], inner[3]])) == len);
            assert_eq!(inner[0], out[0]);
            assert_eq!(inner[1] >> 2, out[1] >> 2, "the DSCP stays");
            assert_eq!(inner[2..10], out[2..10]);
            assert_eq!(inner[12..], out[12..len]);
            assert!(
                inner[1] & 3 == 0 || tos & 3 != 3 || out[1] & 3 == 3,
                "congestion experienced survives"
            );
        }
        Ok(Opened::Dummy) => assert_eq!(plaintext.last(), Some(&59)),
        // What is left and right of the window depends on the number alone.
        Err(OpenError::Old | OpenError::BadIcv | OpenError::Replayed | OpenError::TooShort) => {
            return;
        }
        Err(_) => {}
    }
    // Whatever it held, it was authentic, and its number is used.
    let again = receiver.open(&esp, tos, &mut out);
    assert_eq!(again, Err(OpenError::Replayed), "opened twice");
}
