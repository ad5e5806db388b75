//! A real terminal: it is taken, drawn on, and given back as it was.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

const PATIENCE: Duration = Duration::from_secs(30);
/// What switches to the alternate screen and hides the cursor, and back.
const TAKEN: &str = "\x1b[?1049h";
const GIVEN_BACK: &str = "\x1b[?1049l";
const CURSOR: &str = "\x1b[?25h";

/// `causeway top` on a terminal of its own.
struct Session {
    controller: OwnedFd,
    terminal: OwnedFd,
    before: Termios,
    top: Child,
    /// What it draws, piece by piece.
    drawn: Receiver<Vec<u8>>,
    screen: String,
}

impl Session {
    fn start() -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let terminal = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
        let session = |terminal: &OwnedFd| Stdio::from(terminal.try_clone().unwrap());
        let before = tcgetattr(&terminal).unwrap();
        resize(&controller, 24, 80);
        let top = Command::new(env!("CARGO_BIN_EXE_causeway"))
            .args([
                "top",
                "--interval",
                "0.1",
                "--endpoint",
                "/nowhere/control.sock",
            ])
            .stdin(session(&terminal))
            .stdout(session(&terminal))
            .stderr(session(&terminal))
            .spawn()
            .unwrap();
        let (tell, drawn) = channel();
        let mut reader = File::from(controller.try_clone().unwrap());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if tell.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut session = Self {
            controller,
            terminal,
            before,
            top,
            drawn,
            screen: String::new(),
        };
        session.shows(TAKEN);
        session.shows("ANSWER");
        session
    }

    /// Waits until this word is drawn that was not before: between words the cursor may move.
    fn shows(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.screen.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let piece = self.drawn.recv_timeout(left);
            let piece = piece.unwrap_or_else(|_| panic!("{text:?} is not drawn"));
            self.screen += &String::from_utf8_lossy(&piece);
        }
        let end = self.screen.find(text).unwrap_or(0) + text.len();
        self.screen.drain(..end);
    }

    fn press(&self, keys: &str) {
        rustix::io::write(&self.controller, keys.as_bytes()).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.top), signal).unwrap();
    }

    /// Waits for its end, and looks at what it leaves behind.
    fn ends(mut self) -> ExitStatus {
        self.shows(GIVEN_BACK);
        self.shows(CURSOR);
        let status = self.top.wait().unwrap();
        let after = tcgetattr(&self.terminal).unwrap();
        assert_eq!(after.local_modes, self.before.local_modes);
        assert_eq!(after.input_modes, self.before.input_modes);
        assert_eq!(after.output_modes, self.before.output_modes);
        status
    }
}

fn resize(controller: &OwnedFd, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(controller, size).unwrap();
}

#[test]
fn a_key_ends_it() {
    for key in ["q", "\x03"] {
        let session = Session::start();
        let raw = tcgetattr(&session.terminal).unwrap();
        assert_ne!(raw.local_modes, session.before.local_modes, "it takes keys");
        session.press(key);
        assert!(session.ends().success());
    }
}

#[test]
fn a_signal_ends_it() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let session = Session::start();
        session.signal(signal);
        assert!(session.ends().success());
    }
}

#[test]
fn keys_and_sizes_are_obeyed() {
    let mut session = Session::start();
    session.press("?");
    session.shows("closes");
    session.press("x");
    // No letter of it stands where the help had the same.
    session.shows("ROLES");
    session.press("p");
    session.shows("PAUSED");
    resize(&session.controller, 8, 200);
    session.signal(Signal::WINCH);
    // All of it is drawn anew, and with the column that had no room.
    session.shows("RECEIVED/s");
    session.shows("ASKED");
    // Not by a key: one that comes with a new size may wait for the next (crossterm 0.29).
    session.signal(Signal::TERM);
    assert!(session.ends().success());
}
