//! Opening packets of an attacker without the key: arbitrary bytes, and authentic packets that were modified.

use causeway_esp::{
    Cipher, InboundConfig, InboundSa, OpenError, OutboundConfig, OutboundSa, Outer, Tfc,
};

use crate::esp::{ENDS_V4, RAW, esp, key, packet, packet6, sending, spi};
use crate::input::Input;

/// Input: a byte for the SA and the kind of modification, then its position and content.
pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let kind = input.octet();
    let (mut sender, mut receiver) = pair(kind);
    let inner = if kind & 32 == 0 {
        packet(100)
    } else {
        packet6(100, 0)
    };
    let mut frame = inner.clone();
    frame.resize(200, 0xee);
    let mut outer = vec![0; 300];
    let length = sender.seal(&mut frame, 100, &mut outer);
    let good = esp(&outer[..length.expect("a packet that fits")]).to_vec();
    let bad = match kind % 4 {
        // Random bytes, alone or behind the SPI of the SA.
        0 => input.0.to_vec(),
        1 => [&good[..4], input.0].concat(),
        // A range of an authentic packet is modified.
        2 => {
            let mut bad = good.clone();
            let at = usize::from(input.octet()) % bad.len();
            for (octet, change) in bad[at..].iter_mut().zip(input.0) {
                *octet ^= change;
            }
            bad
        }
        // An authentic packet is truncated, extended or both.
        _ => {
            let keep = usize::from(input.octet()) % (good.len() + 1);
            [&good[..keep], input.0].concat()
        }
    };
    if bad == good {
        return;
    }
    let mut out = vec![0xcc; bad.len()];
    let error = match receiver.open(&bad, kind >> 6, &mut out) {
        Ok(opened) => panic!("opened a packet that was not sealed: {opened:?}"),
        Err(error) => error,
    };
    assert!(
        matches!(
            error,
            OpenError::TooShort | OpenError::Replayed | OpenError::TooOld | OpenError::BadIcv
        ),
        "{error:?} depends on content that is not authentic"
    );
    assert!(untouched_or_zeroed(&out), "released plaintext");
    // The SA is unchanged: the original packet still opens, exactly once.
    let mut out = vec![0; good.len()];
    assert!(receiver.open(&good, 0, &mut out).is_ok());
    assert_eq!(out[..100], inner);
    assert_eq!(receiver.open(&good, 0, &mut out), Err(OpenError::Replayed));
}

/// Both ends of an SA. `kind` selects the cipher, extended sequence numbers and padding.
fn pair(kind: u8) -> (OutboundSa, InboundSa) {
    let cipher = Cipher::ALL[usize::from(kind >> 2 & 3) % 3];
    let esn = kind & 16 == 0;
    let sender = OutboundSa::new(OutboundConfig {
        esn,
        tfc: if kind & 32 == 0 {
            Tfc::Off
        } else {
            Tfc::PadTo(150)
        },
        ..sending(cipher, Outer::new(ENDS_V4, RAW, 64), 1)
    });
    let receiver = InboundSa::new(InboundConfig {
        esn,
        ..InboundConfig::new(spi(), key(cipher), 64)
    });
    (sender, receiver.expect("a window"))
}

/// Whether an output that was filled with 0xcc contains no plaintext of a packet that is not authentic.
pub(crate) fn untouched_or_zeroed(out: &[u8]) -> bool {
    out.iter().all(|&octet| octet == 0xcc || octet == 0)
}
