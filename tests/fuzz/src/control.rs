//! The control socket of a role: any octets get one answer a line, and only whole requests are obeyed.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::thread;

use causeway::control::{Answer, Request, Socket};

use crate::directory::Directory;

/// A socket that tells each request back. It lives as long as the process.
fn socket() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let (ready, listens) = channel();
        thread::spawn(move || {
            let directory = Directory::new();
            let path = directory.file("control.sock");
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                let socket = Socket::bind(&path).expect("a socket in an own directory");
                ready.send(path.clone()).expect("somebody waits for it");
                socket.serve(|request| Answer::Done(text(&request))).await
            })
        });
        listens.recv().expect("it listens")
    })
}

fn text(request: &Request) -> String {
    serde_json::to_string(request).expect("a request is JSON")
}

/// Octets: what is said on one connection.
pub(crate) fn run(input: &[u8]) {
    let mut stream = UnixStream::connect(socket()).expect("a place among the connections");
    // Whoever says nonsense is cut off after the answer, and may still be speaking.
    let _ = stream.write_all(input);
    let _ = stream.shutdown(Shutdown::Write);
    let mut said = Vec::new();
    stream.read_to_end(&mut said).expect("an end");
    let said = String::from_utf8(said).expect("answers are text");

    let lines = input.split_inclusive(|&octet| octet == b'\n');
    let mut answers = said.lines();
    for line in lines {
        let answer = answers.next().expect("an answer to each line");
        let answer: Answer = serde_json::from_str(answer).expect("an answer is JSON, in one line");
        match (answer, serde_json::from_slice::<Request>(line)) {
            (Answer::Done(told), Ok(request)) => {
                assert!(line.ends_with(b"\n"), "obeyed half a line");
                let again: Request = serde_json::from_str(&told).expect("what was told");
                assert_eq!(again, request);
            }
            (Answer::Refused(why), parsed) => {
                assert!(parsed.is_err() || !line.ends_with(b"\n"), "{why}");
            }
            (answer, parsed) => panic!("{answer:?} to {parsed:?}"),
        }
    }
    assert_eq!(answers.next(), None, "an answer to nothing");
}
