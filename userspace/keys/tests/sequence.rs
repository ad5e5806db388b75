//! Law 3 on disk: no sequence number is reserved twice, even if the process is killed.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use causeway_esp::Cipher;
use causeway_keys as key;
use causeway_keys::sequence::{Reservation, SequenceError, sequence_file};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tempfile::{TempDir, tempdir};

fn fresh_key(directory: &TempDir) -> PathBuf {
    let path = directory.path().join("a.key");
    key::new_sa(&path, Cipher::ChaCha20Poly1305).unwrap();
    path
}

fn open(key_file: &Path) -> Result<Reservation, SequenceError> {
    Reservation::open(key_file, &key::read_sa(key_file).unwrap())
}

fn peek(key_file: &Path) -> Result<u64, SequenceError> {
    key::sequence::peek(key_file, &key::read_sa(key_file).unwrap())
}

fn set(key_file: &Path, text: &str) {
    fs::write(sequence_file(key_file), text).unwrap();
}

/// The content of a reservation: the next number, and the identity of the file.
fn content(key_file: &Path) -> (u64, String) {
    let text = fs::read_to_string(sequence_file(key_file)).unwrap();
    let (next, file) = text.split_once(' ').unwrap();
    (next.parse().unwrap(), file.to_owned())
}

/// A reservation with at most `left` remaining numbers.
fn almost_used_up(path: &Path, left: u64) -> Reservation {
    let mut reservation = open(path).unwrap();
    reservation
        .reserve(u64::MAX - left - reservation.next())
        .unwrap();
    reservation
}

#[test]
fn a_fresh_key_starts_at_one() {
    let directory = tempdir().unwrap();
    let path = fresh_key(&directory);
    assert_eq!(content(&path).0, 1);
    assert_eq!(open(&path).unwrap().reserve(5).unwrap(), 1..6);
    assert_eq!(content(&path).0, 6);
}

/// Standard: counter-kept
#[test]
fn the_disk_is_ahead_of_the_used_numbers() {
    let directory = tempdir().unwrap();
    let path = fresh_key(&directory);
    let mut reservation = open(&path).unwrap();
    for count in [1, 1 << 24, 3] {
        let run = reservation.reserve(count).unwrap();
        assert_eq!(peek(&path).unwrap(), run.end);
        assert_eq!(reservation.next(), run.end);
    }
}

/// Reservations are opened and dropped at random. Their runs never overlap.
/// Standard: counter-kept, gcm-iv
#[test]
fn runs_never_overlap_across_restarts() {
    let steps = prop::collection::vec((any::<bool>(), 1u64..1 << 40), 1..12);
    TestRunner::new(ProptestConfig::with_cases(32))
        .run(&steps, |steps| {
            let directory = tempdir().unwrap();
            let path = fresh_key(&directory);
            let mut end = 1;
            let mut reservation = open(&path).unwrap();
            for (restart, count) in steps {
                if restart {
                    drop(reservation);
                    reservation = open(&path).unwrap();
                }
                let run = reservation.reserve(count).unwrap();
                prop_assert_eq!(run.start, end);
                prop_assert_eq!(run.end - run.start, count);
                end = run.end;
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_last_numbers_can_be_used_and_no_more() {
    let directory = tempdir().unwrap();
    let path = fresh_key(&directory);
    let mut reservation = almost_used_up(&path, 2);
    let error = reservation.reserve(3).unwrap_err();
    assert!(matches!(error, SequenceError::Exhausted { .. }), "{error}");
    assert!(error.to_string().contains("causeway key new"));
    assert_eq!(reservation.reserve(2).unwrap(), u64::MAX - 2..u64::MAX);
    assert!(reservation.reserve(1).is_err());
}

#[test]
fn a_damaged_reservation_is_refused_with_a_remedy() {
    let directory = tempdir().unwrap();
    let path = fresh_key(&directory);
    let file = content(&path).1;
    let file = file.trim_end();
    for text in [
        "",
        "\n",
        "1",
        "1\n",
        &format!("1 {file}"),
        &format!("0 {file}\n"),
        &format!("-1 {file}\n"),
        &format!("+1 {file}\n"),
        &format!("1  {file}\n"),
        &format!("1 {file} \n"),
        &format!("1 {file} 7\n"),
        &format!("1 {file}\n\n"),
        &format!("0x10 {file}\n"),
        &format!("one {file}\n"),
        &format!("18446744073709551616 {file}\n"),
        &format!("1 {file}{}\n", "0".repeat(63)),
        // The form of earlier versions, without a digest.
        &format!("1 {}\n", file.rsplit_once(' ').unwrap().0),
    ] {
        set(&path, text);
        let error = open(&path).unwrap_err();
        assert!(
            matches!(error, SequenceError::Malformed { .. })
                && error.to_string().contains("`causeway key new`"),
            "{text:?}: {error}"
        );
    }
    fs::remove_file(sequence_file(&path)).unwrap();
    let error = open(&path).unwrap_err();
    assert!(
        matches!(error, SequenceError::Missing { .. })
            && error.to_string().contains("a.key.sequence is missing")
            && error.to_string().contains("`causeway key new`"),
        "{error}"
    );
}

fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
}

/// RFC 4303 section 3.3.3: no number is used twice, even if an older file is restored.
/// Standard: counter-kept, gcm-iv
#[test]
fn an_older_reservation_is_always_detected() {
    type Keep = fn(&Path, &Path);
    let ways: [(&str, Keep); 5] = [
        ("a copy", |file, kept| copy(file, kept)),
        ("a copy with its times", |file, kept| {
            let copied = Command::new("cp").arg("-a").args([file, kept]).status();
            assert!(copied.unwrap().success());
        }),
        ("a link", |file, kept| fs::hard_link(file, kept).unwrap()),
        ("itself, moved away and linked back", |file, kept| {
            fs::rename(file, kept).unwrap();
            fs::hard_link(kept, file).unwrap();
        }),
        ("the key and all", |file, kept| {
            let all = kept.with_extension("all");
            fs::create_dir(&all).unwrap();
            let folder = file.parent().unwrap();
            for name in ["a.key", "a.key.sequence"] {
                fs::copy(folder.join(name), all.join(name)).unwrap();
            }
            fs::rename(all.join("a.key.sequence"), kept).unwrap();
        }),
    ];
    for (way, keep) in ways {
        type Restore = fn(&Path, &Path);
        let restores: [(&str, Restore); 2] = [
            ("in its place", |kept, file| copy(kept, file)),
            ("under its name", |kept, file| {
                fs::rename(kept, file).unwrap()
            }),
        ];
        for (place, restore) in restores {
            let directory = tempdir().unwrap();
            let path = fresh_key(&directory);
            let (file, kept) = (sequence_file(&path), directory.path().join("kept"));
            let mut reservation = open(&path).unwrap();
            reservation.reserve(10).unwrap();
            keep(&file, &kept);
            assert_eq!(reservation.reserve(10).unwrap(), 11..21, "{way}");
            drop(reservation);
            assert_eq!(peek(&path).unwrap(), 21, "{way}");
            restore(&kept, &file);
            for refused in [peek(&path).err(), open(&path).err()] {
                let error = refused.unwrap_or_else(|| panic!("{way} is accepted, {place}"));
                assert!(
                    matches!(
                        error,
                        SequenceError::Restored { .. } | SequenceError::Malformed { .. }
                    ) && error.to_string().contains("`causeway key new`"),
                    "{way}: {error}"
                );
            }
        }
    }
}

/// The operator moves the key `b`, which was used before, over the key `a` of a running role.
#[test]
fn a_key_moved_over_one_in_use_repeats_no_number() {
    let directory = tempdir().unwrap();
    let [a, b] = ["a.key", "b.key"].map(|name| directory.path().join(name));
    for path in [&a, &b] {
        key::new_sa(path, Cipher::Aes128Gcm).unwrap();
    }
    let used = open(&b).unwrap().reserve(1 << 30).unwrap();
    let mut running = open(&a).unwrap();
    running.reserve(1 << 24).unwrap();
    fs::rename(&b, &a).unwrap();
    fs::rename(sequence_file(&b), sequence_file(&a)).unwrap();
    let error = running.reserve(1 << 24).unwrap_err();
    assert!(matches!(error, SequenceError::Moved { .. }), "{error}");
    drop(running);
    assert_eq!(open(&a).unwrap().next(), used.end);
}

#[test]
fn the_reservation_of_another_key_is_refused() {
    let directory = tempdir().unwrap();
    let [a, b] = ["a.key", "b.key"].map(|name| directory.path().join(name));
    for path in [&a, &b] {
        key::new_sa(path, Cipher::Aes128Gcm).unwrap();
    }
    open(&a).unwrap().reserve(1 << 30).unwrap();
    // The reservation alone, whose file is genuine and begins at 1.
    fs::rename(sequence_file(&b), sequence_file(&a)).unwrap();
    for refused in [peek(&a).err(), open(&a).err()] {
        let error = refused.expect("another key's reservation is accepted");
        assert!(matches!(error, SequenceError::OtherKey { .. }), "{error}");
        assert!(error.to_string().contains("`causeway key new`"), "{error}");
    }
    // The key alone: another key in the place of one that is in use.
    let mut running = {
        let directory = tempdir().unwrap();
        let path = fresh_key(&directory);
        let key = key::read_sa(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::copy(&b, &path).unwrap();
        let error = Reservation::open(&path, &key::read_sa(&path).unwrap()).unwrap_err();
        assert!(matches!(error, SequenceError::OtherKey { .. }), "{error}");
        Reservation::open(&path, &key).unwrap()
    };
    let error = running.reserve(1).unwrap_err();
    assert!(matches!(error, SequenceError::Moved { .. }), "{error}");
}

/// A running role uses its own state, not the restored file.
#[test]
fn a_running_role_overwrites_a_restored_file() {
    let directory = tempdir().unwrap();
    let path = fresh_key(&directory);
    let (file, kept) = (sequence_file(&path), directory.path().join("kept"));
    let mut reservation = open(&path).unwrap();
    fs::copy(&file, &kept).unwrap();
    reservation.reserve(10).unwrap();
    fs::copy(&kept, &file).unwrap();
    assert!(peek(&path).is_err());
    assert_eq!(reservation.reserve(5).unwrap(), 11..16);
    drop(reservation);
    assert_eq!(open(&path).unwrap().reserve(1).unwrap(), 16..17);
}

/// A temporary file left by a crash may be a link to the reservation. It is not written.
#[test]
fn a_linked_temporary_file_is_harmless() {
    let directory = tempdir().unwrap();
    let path = fresh_key(&directory);
    let mut reservation = open(&path).unwrap();
    fs::hard_link(
        sequence_file(&path),
        directory.path().join("a.key.sequence.new"),
    )
    .unwrap();
    assert_eq!(reservation.reserve(3).unwrap(), 1..4);
    drop(reservation);
    assert_eq!(open(&path).unwrap().reserve(1).unwrap(), 4..5);
}

#[test]
fn one_key_serves_one_holder() {
    let directory = tempdir().unwrap();
    let path = fresh_key(&directory);
    let link = directory.path().join("link.key");
    symlink(&path, &link).unwrap();
    let held = open(&path).unwrap();
    for name in [&path, &link] {
        let error = open(name).unwrap_err();
        assert!(matches!(error, SequenceError::InUse { .. }), "{error}");
    }
    drop(held);
    // The link and the file have one reservation.
    assert_eq!(open(&link).unwrap().reserve(4).unwrap(), 1..5);
    assert_eq!(open(&path).unwrap().reserve(1).unwrap(), 5..6);
}

#[test]
fn a_write_error_reserves_nothing() {
    let directory = tempdir().unwrap();
    let path = fresh_key(&directory);
    let mut reservation = open(&path).unwrap();
    // A directory in place of the temporary file makes the write fail, for root as well.
    let obstacle = directory.path().join("a.key.sequence.new");
    fs::create_dir(&obstacle).unwrap();
    assert!(reservation.reserve(10).is_err());
    assert_eq!(peek(&path).unwrap(), 1);
    fs::remove_dir(&obstacle).unwrap();
    assert_eq!(reservation.reserve(10).unwrap(), 1..11);
}

#[test]
fn key_files_are_private_and_never_overwritten() {
    let directory = tempdir().unwrap();
    let path = fresh_key(&directory);
    let steering = directory.path().join("steering.key");
    key::new_steering(&steering).unwrap();
    for file in [&path, &sequence_file(&path), &steering] {
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let before = fs::read(&path).unwrap();
    assert!(key::new_sa(&path, Cipher::Aes128Gcm).is_err());
    assert!(key::new_steering(&path).is_err());
    assert_eq!(fs::read(&path).unwrap(), before);

    // A reservation without its key shows that the key was in use, so it is not overwritten.
    let other = directory.path().join("b.key");
    set(&other, "77\n");
    let error = key::new_sa(&other, Cipher::Aes128Gcm).unwrap_err();
    assert!(
        error.to_string().contains("b.key.sequence exists"),
        "{error}"
    );
    assert_eq!(peek_text(&other), "77\n");
    assert!(!other.exists());
}

fn peek_text(key_file: &Path) -> String {
    fs::read_to_string(sequence_file(key_file)).unwrap()
}

#[test]
fn new_keys_differ() {
    let directory = tempdir().unwrap();
    let mut seen = VecDeque::new();
    for cipher in Cipher::ALL {
        for number in 0..4 {
            let path = directory.path().join(format!("{cipher}-{number}.key"));
            key::new_sa(&path, cipher).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            let digits = text.split('"').nth(3).unwrap().to_owned();
            assert_eq!(digits.len(), cipher.key_len() * 2);
            assert!(!seen.contains(&digits));
            seen.push_back(digits);
        }
    }
}
