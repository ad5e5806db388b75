//! Law 3 under `kill -9`: a process that reserves numbers is killed repeatedly at random times, and an
//! older reservation is restored each time. No number is reserved twice.
//!
//! The killed process is this program with a key file as its argument, so this test has no harness.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use causeway_esp::Cipher;
use causeway_keys as key;
use causeway_keys::sequence::{Reservation, SequenceError, sequence_file};
use tempfile::{TempDir, tempdir};

const ROUNDS: u64 = 200;
const CHILD: &str = "--reserve-until-killed";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.as_slice() {
        [_, flag, key_file] if flag == CHILD => reserve_until_killed(Path::new(key_file)),
        _ => survives_kills(),
    }
}

fn open(key_file: &Path) -> Result<Reservation, SequenceError> {
    Reservation::open(key_file, &key::read_sa(key_file).unwrap())
}

fn peek(key_file: &Path) -> Result<u64, SequenceError> {
    key::sequence::peek(key_file, &key::read_sa(key_file).unwrap())
}

fn reserve_until_killed(key_file: &Path) {
    let mut reservation = open(key_file).unwrap();
    let mut stdout = std::io::stdout().lock();
    for count in (1..=7).cycle() {
        let run = reservation.reserve(count).unwrap();
        writeln!(stdout, "{} {}", run.start, run.end).unwrap();
    }
}

fn survives_kills() {
    let directory = tempdir().unwrap();
    let key_file = directory.path().join("a.key");
    key::new_sa(&key_file, Cipher::Aes128Gcm).unwrap();
    let mut end = 1;
    let mut runs = 0;
    for round in 0..ROUNDS {
        let older = Older::keep(&directory, &key_file);
        let mut child = spawn(&key_file);
        let lines = BufReader::new(child.stdout.take().unwrap());
        for (number, line) in (1..).zip(lines.lines()) {
            let (start, next) = run_of(&line.unwrap());
            assert!(
                start >= end,
                "round {round}: {start} was reserved before, up to {end}"
            );
            end = end.max(next);
            runs += 1;
            // After a few reservations, at any moment of the next ones.
            if number == 1 + round % 4 {
                thread::sleep(Duration::from_micros(round * 617 % 5_000));
                // SIGKILL.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let on_disk = peek(&key_file).expect("a whole reservation after a kill");
        assert!(
            on_disk >= end,
            "round {round}: the disk has {on_disk}, but {end} was reached"
        );
        older.restore(&key_file);
        assert_eq!(peek(&key_file).unwrap(), on_disk, "the latest is back");
    }
    assert!(
        runs > ROUNDS,
        "only {runs} reservations: nothing was tested"
    );
    println!("{runs} reservations over {ROUNDS} kills: no number twice");
}

/// An earlier state of a reservation: a copy, and a link under another name.
struct Older {
    copy: PathBuf,
    link: PathBuf,
    latest: PathBuf,
}

impl Older {
    fn keep(directory: &TempDir, key_file: &Path) -> Self {
        let older = Self {
            copy: directory.path().join("copy"),
            link: directory.path().join("link"),
            latest: directory.path().join("latest"),
        };
        let file = sequence_file(key_file);
        fs::copy(&file, &older.copy).unwrap();
        fs::hard_link(&file, &older.link).unwrap();
        older
    }

    /// Restores each of them. Both must be refused.
    fn restore(self, key_file: &Path) {
        let file = sequence_file(key_file);
        fs::rename(&file, &self.latest).unwrap();
        for older in [self.copy, self.link] {
            fs::rename(&older, &file).unwrap();
            let opened = open(key_file);
            assert!(opened.is_err(), "{}: {opened:?}", older.display());
        }
        fs::rename(&self.latest, &file).unwrap();
    }
}

fn spawn(key_file: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .arg(CHILD)
        .arg(key_file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A printed run. A line is one write to a pipe, so a kill cannot truncate it.
fn run_of(line: &str) -> (u64, u64) {
    let (start, next) = line.split_once(' ').expect("a run");
    (start.parse().unwrap(), next.parse().unwrap())
}
