//! Opening what an outsider sends: any octets, and authentic packets changed on their way.

use causeway_esp::OpenError;

use crate::esp::{esp, packet, pair, seal};
use crate::input::Input;

/// Octets: how the packet is made, where it is changed, what with.
pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let (mut sender, mut receiver) = pair();
    let outer = seal(&mut sender, &packet(100)).expect("a packet that fits");
    let good = esp(&outer).to_vec();
    let kind = input.octet();
    let bad = match kind % 4 {
        // Noise, as such or behind the header of the SA.
        0 => input.0.to_vec(),
        1 => [&good[..4], input.0].concat(),
        // One stretch of an authentic packet becomes something else.
        2 => {
            let mut bad = good.clone();
            let at = usize::from(input.octet()) % bad.len();
            for (octet, change) in bad[at..].iter_mut().zip(input.0) {
                *octet ^= change;
            }
            bad
        }
        // It grows or shrinks.
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
        Ok(opened) => panic!("opened what nobody sealed: {opened:?}"),
        Err(error) => error,
    };
    assert!(
        matches!(
            error,
            OpenError::TooShort | OpenError::Replayed | OpenError::Old | OpenError::BadIcv
        ),
        "{error:?} tells of content that is not authentic"
    );
    assert!(untouched_or_zeroed(&out), "released plaintext");
    // The SA is as it was: the packet itself still opens, once.
    let mut out = vec![0; good.len()];
    assert!(receiver.open(&good, 0, &mut out).is_ok());
    assert_eq!(out[..100], packet(100));
    assert_eq!(receiver.open(&good, 0, &mut out), Err(OpenError::Replayed));
}

/// What an output that held 0xcc may be when a packet was not authentic.
pub(crate) fn untouched_or_zeroed(out: &[u8]) -> bool {
    out.iter().all(|&octet| octet == 0xcc || octet == 0)
}
