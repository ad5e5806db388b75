//! The reservation file of an SA's sequence numbers: with arbitrary content, no number below the stored one is ever
//! reserved, and none at all if the stored identity is that of another file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use causeway_keys::read_sa;
use causeway_keys::sequence::{Reservation, begin, peek, sequence_file};
use tempfile::tempdir;

use crate::config::{key_file, write};
use crate::input::Input;

/// Input: the count to reserve, then the content of the file, in which `@` is replaced by the identity of the file.
pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let count = input.long();
    let directory = tempdir().unwrap();
    let key = directory.path().join("a.key");
    let file = sequence_file(&key);
    write(&key, key_file().as_bytes());
    let own = read_sa(&key).expect("a key file");
    begin(&key, &own.fingerprint()).expect("a reservation");
    let digest = fs::read_to_string(&file).expect("a text");
    let digest = digest.trim_end().rsplit(' ').next().expect("a digest");
    let identity = format!("{} {digest}", identity(&file));
    let text = match input.0.iter().position(|&octet| octet == b'@') {
        Some(at) => [&input.0[..at], identity.as_bytes(), &input.0[at + 1..]].concat(),
        None => input.0.to_vec(),
    };
    write(&file, &text);
    let (peeked, opened) = (peek(&key, &own), Reservation::open(&key, &own));
    let Ok(next) = peeked else {
        assert!(opened.is_err(), "peek and open differ");
        return;
    };
    let text = std::str::from_utf8(&text).expect("the content is text");
    let (number, rest) = text.split_once(' ').expect("a number and an identity");
    assert_eq!(number.trim_start_matches('0'), next.to_string());
    let plain = |text: &str| -> (Vec<u128>, String) {
        let (numbers, digest) = text.trim_end().rsplit_once(' ').expect("a digest");
        let numbers = numbers.split(' ').map(str::parse);
        let numbers = numbers.collect::<Result<_, _>>().expect("numbers");
        (numbers, digest.to_owned())
    };
    assert_eq!(
        plain(rest),
        plain(&identity),
        "accepted the identity of another file or key"
    );
    assert!(rest.ends_with('\n') && next > 0);
    let mut reservation = opened.expect("a file that peek accepts can be opened");
    assert_eq!(reservation.next(), next);
    match reservation.reserve(count) {
        Ok(range) => {
            assert_eq!((range.start, range.end - range.start), (next, count));
            assert_eq!(
                peek(&key, &own).expect("the written file can be read"),
                range.end
            );
        }
        Err(_) => {
            assert!(next.checked_add(count).is_none());
            assert_eq!(peek(&key, &own).expect("the file is unchanged"), next);
        }
    }
}

fn identity(path: &Path) -> String {
    let metadata = fs::metadata(path).expect("the file exists");
    let birth = metadata.created().map_or(0, |birth| {
        let birth = birth.duration_since(SystemTime::UNIX_EPOCH);
        birth.expect("after 1970").as_nanos()
    });
    format!("{} {birth}", metadata.ino())
}
