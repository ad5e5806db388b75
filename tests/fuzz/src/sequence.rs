//! The reservation of an SA's sequence numbers: whatever stands in the file, no number below it is
//! ever handed out.

use causeway::sequence::{Reservation, peek, sequence_file};

use crate::config::write;
use crate::directory::Directory;
use crate::input::Input;

/// Octets: how many numbers are wanted, then the file.
pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let count = input.long();
    let directory = Directory::new();
    let key = directory.file("a.key");
    write(&key, b"");
    write(&sequence_file(&key), input.0);
    let (peeked, opened) = (peek(&key), Reservation::open(&key));
    let Ok(next) = peeked else {
        assert!(opened.is_err(), "peek and open differ");
        return;
    };
    let digits = std::str::from_utf8(input.0).expect("what was read is text");
    assert_eq!(digits.trim_end().trim_start_matches('0'), next.to_string());
    assert!(digits.ends_with('\n') && next > 0);
    let mut reservation = opened.expect("what peek can read can be opened");
    assert_eq!(reservation.next(), next);
    match reservation.reserve(count) {
        Ok(range) => {
            assert_eq!((range.start, range.end - range.start), (next, count));
            assert_eq!(peek(&key).expect("what was written can be read"), range.end);
        }
        Err(_) => {
            assert!(next.checked_add(count).is_none());
            assert_eq!(peek(&key).expect("the file stays"), next);
        }
    }
}
