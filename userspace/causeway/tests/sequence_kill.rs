//! Law 3 under `kill -9`: a process that reserves numbers is killed at random moments, again and
//! again. What it had handed out before is never handed out after.
//!
//! The killed process is this program with a key file as its argument, so there is no test harness.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use causeway::key;
use causeway::sequence::{Reservation, peek};
use causeway_esp::Cipher;
use support::Directory;

const ROUNDS: u64 = 40;
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
    }
    assert!(
        runs > ROUNDS,
        "only {runs} reservations: nothing was tested"
    );
    println!("{runs} reservations over {ROUNDS} kills: no number twice");
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
