//! Law 3 under `kill -9`: a process that reserves numbers is killed at random moments, again and
//! again, and somebody brings an older reservation back each time. What was handed out before is
//! never handed out after.
//!
//! The killed process is this program with a key file as its argument, so there is no test harness.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use causeway::key;
use causeway::sequence::{Reservation, peek, sequence_file};
use causeway_esp::Cipher;
use support::Directory;

const ROUNDS: u64 = 200;
const CHILD: &str = "--reserve-until-killed";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.as_slice() {
        [_, flag, key_file] if flag == CHILD => reserve_until_killed(Path::new(key_file)),
        _ => survives_kills(),
    }
}

fn reserve_until_killed(key_file: &Path) {
    let mut reservation = Reservation::open(key_file).unwrap();
    let mut stdout = std::io::stdout().lock();
    for count in (1..=7).cycle() {
        let run = reservation.reserve(count).unwrap();
        writeln!(stdout, "{} {}", run.start, run.end).unwrap();
    }
}

fn survives_kills() {
    let directory = Directory::new();
    let key_file = directory.file("a.key");
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
                "round {round}: {start} was handed out before, up to {end}"
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
            "round {round}: the disk says {on_disk}, but {end} was reached"
        );
        older.come_back(&key_file);
        assert_eq!(peek(&key_file).unwrap(), on_disk, "the latest is back");
    }
    assert!(
        runs > ROUNDS,
        "only {runs} reservations: nothing was tested"
    );
    println!("{runs} reservations over {ROUNDS} kills: no number twice");
}

/// A reservation as it was before a process used more of it: as a copy, and under another name.
struct Older {
    copy: PathBuf,
    link: PathBuf,
    latest: PathBuf,
}

impl Older {
    fn keep(directory: &Directory, key_file: &Path) -> Self {
        let older = Self {
            copy: directory.file("copy"),
            link: directory.file("link"),
            latest: directory.file("latest"),
        };
        let file = sequence_file(key_file);
        fs::copy(&file, &older.copy).unwrap();
        fs::hard_link(&file, &older.link).unwrap();
        older
    }

    /// Neither is taken for the latest.
    fn come_back(self, key_file: &Path) {
        let file = sequence_file(key_file);
        fs::rename(&file, &self.latest).unwrap();
        for older in [self.copy, self.link] {
            fs::rename(&older, &file).unwrap();
            let opened = Reservation::open(key_file);
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

/// A printed run. A line is one write to a pipe, so a kill cannot cut it.
fn run_of(line: &str) -> (u64, u64) {
    let (start, next) = line.split_once(' ').expect("a run");
    (start.parse().unwrap(), next.parse().unwrap())
}
