//! Hex digits in buffers that are overwritten when dropped.

use zeroize::Zeroizing;

/// The octets of `digits`, or `None` if they are not pairs of hex digits.
pub(crate) fn decode(digits: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    // With its whole capacity from the start: a buffer that grows leaves copies behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks_exact(2) {
        octets.push(value(pair[0])? << 4 | value(pair[1])?);
    }
    Some(octets)
}

/// Appends `octets` as lower-case hex digits. The caller reserves the room beforehand.
pub(crate) fn encode(octets: &[u8], into: &mut String) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    for octet in octets {
        into.push(DIGITS[usize::from(octet >> 4)]);
        into.push(DIGITS[usize::from(octet & 15)]);
    }
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decoding_undoes_encoding(octets: Vec<u8>) {
            let mut text = String::new();
            encode(&octets, &mut text);
            for text in [text.to_uppercase(), text] {
                let decoded = decode(text.as_bytes()).unwrap();
                prop_assert_eq!(decoded.as_slice(), &octets);
            }
        }

        #[test]
        fn what_is_not_hex_is_refused(text in "[0-9a-f]{0,8}[^0-9a-fA-F][0-9a-f]{0,8}") {
            prop_assert!(decode(text.as_bytes()).is_none());
        }
    }

    #[test]
    fn an_odd_digit_is_refused() {
        assert!(decode(b"abc").is_none());
    }
}
