//! `causeway top` on a pseudo-terminal: set up, drawn on, and restored.

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

const TIMEOUT: Duration = Duration::from_secs(30);
/// Escape sequences: enter and leave the alternate screen, show the cursor.
const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";
const SHOW_CURSOR: &str = "\x1b[?25h";

/// `causeway top` on its own pseudo-terminal.
struct Session {
    controller: OwnedFd,
    terminal: OwnedFd,
    before: Termios,
    top: Child,
    /// Output of `top`, piece by piece.
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
        let (sender, drawn) = channel();
        let mut reader = File::from(controller.try_clone().unwrap());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
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
        session.wait_for(ENTER);
        session.wait_for("ANSWER");
        session
    }

    /// Waits until `text` is drawn. Use one word that is not on the screen yet: the cursor may move between words,
    /// and equal letters are not drawn again.
    fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + TIMEOUT;
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

    /// Waits until `top` exits, and checks that the terminal is restored.
    fn exit(mut self) -> ExitStatus {
        self.wait_for(LEAVE);
        self.wait_for(SHOW_CURSOR);
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
fn a_key_quits() {
    for key in ["q", "\x03"] {
        let session = Session::start();
        let raw = tcgetattr(&session.terminal).unwrap();
        assert_ne!(raw.local_modes, session.before.local_modes, "raw mode");
        session.press(key);
        assert!(session.exit().success());
    }
}

#[test]
fn a_signal_quits() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let session = Session::start();
        session.signal(signal);
        assert!(session.exit().success());
    }
}

#[test]
fn keys_and_a_new_size_change_the_view() {
    let mut session = Session::start();
    session.press("?");
    session.wait_for("closes");
    session.press("x");
    // No letter of ROLES is at a place where the help has the same letter.
    session.wait_for("ROLES");
    session.press("p");
    session.wait_for("PAUSED");
    resize(&session.controller, 8, 200);
    session.signal(Signal::WINCH);
    // Everything is drawn again, with a column that did not fit before.
    session.wait_for("RECEIVED/s");
    session.wait_for("ENDPOINT");
    // Not a key, because crossterm 0.29 may delay a key that arrives with a new size until the next key.
    session.signal(Signal::TERM);
    assert!(session.exit().success());
}
