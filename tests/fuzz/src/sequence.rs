//! The reservation of an SA's sequence numbers: whatever stands in the file, no number below it is
//! ever handed out, and none at all if the file says that it is another one.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use causeway::sequence::{Reservation, peek, sequence_file};

use crate::config::write;
use crate::directory::Directory;
use crate::input::Input;

/// Octets: how many numbers are wanted, then the file, in which `@` stands for what it is.
pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let count = input.long();
    let directory = Directory::new();
    let key = directory.file("a.key");
    let file = sequence_file(&key);
    write(&key, b"");
    write(&file, b"");
    let identity = identity(&file);
    let text = match input.0.iter().position(|&octet| octet == b'@') {
        Some(at) => [&input.0[..at], identity.as_bytes(), &input.0[at + 1..]].concat(),
        None => input.0.to_vec(),
    };
    write(&file, &text);
    let (peeked, opened) = (peek(&key), Reservation::open(&key));
    let Ok(next) = peeked else {
        assert!(opened.is_err(), "peek and open differ");
        return;
    };
    let text = std::str::from_utf8(&text).expect("what was read is text");
    let (number, rest) = text.split_once(' ').expect("a number and what file it is");
    assert_eq!(number.trim_start_matches('0'), next.to_string());
    let plain = |text: &str| -> Vec<u128> {
        let numbers = text.trim_end().split(' ').map(str::parse);
        numbers.collect::<Result<_, _>>().expect("numbers")
    };
    assert_eq!(
        plain(rest),
        plain(&identity),
        "took another file for this one"
    );
    assert!(rest.ends_with('\n') && next > 0);
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

fn identity(path: &Path) -> String {
    let metadata = fs::metadata(path).expect("an own file");
    let birth = metadata.created().map_or(0, |birth| {
        let birth = birth.duration_since(SystemTime::UNIX_EPOCH);
        birth.expect("after 1970").as_nanos()
    });
    format!("{} {birth}", metadata.ino())
}
