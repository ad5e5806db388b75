//! The control socket of a role: each line of arbitrary input gets one answer, and only complete requests are processed.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::thread;

use causeway_api::control::{Answer, Request};
use causeway_node::Transient;
use causeway_node::control_socket::Socket;
use tempfile::tempdir;

/// A socket that answers each request with the request. It exists until the process ends.
fn socket() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let (ready, listens) = channel();
        thread::spawn(move || {
            let directory = tempdir().unwrap();
            let path = directory.path().join("control.sock");
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                let socket = Socket::bind(&path).expect("a socket in a new directory");
                ready.send(path.clone()).expect("the main thread waits");
                let answer = |request| Answer::Done(text(&request));
                match socket.serve(answer, Transient::default()).await {}
            })
        });
        listens.recv().expect("the socket listens")
    })
}

fn text(request: &Request) -> String {
    serde_json::to_string(request).expect("a request is JSON")
}

/// Input: the bytes sent on one connection.
pub(crate) fn run(input: &[u8]) {
    let mut stream = UnixStream::connect(socket()).expect("a free connection");
    // The server closes the connection after an invalid line, possibly before it has read everything.
    let _ = stream.write_all(input);
    let _ = stream.shutdown(Shutdown::Write);
    let mut received = Vec::new();
    stream
        .read_to_end(&mut received)
        .expect("the end of the answers");
    let received = String::from_utf8(received).expect("answers are text");

    let lines = input.split_inclusive(|&octet| octet == b'\n');
    let mut answers = received.lines();
    for line in lines {
        let answer = answers.next().expect("an answer to each line");
        let answer: Answer = serde_json::from_str(answer).expect("an answer is JSON, in one line");
        match (answer, serde_json::from_slice::<Request>(line)) {
            (Answer::Done(echo), Ok(request)) => {
                assert!(line.ends_with(b"\n"), "processed an incomplete line");
                let again: Request =
                    serde_json::from_str(&echo).expect("the request in the answer");
                assert_eq!(again, request);
            }
            (Answer::Refused(why), parsed) => {
                assert!(parsed.is_err() || !line.ends_with(b"\n"), "{why}");
            }
            (answer, parsed) => panic!("{answer:?} to {parsed:?}"),
        }
    }
    assert_eq!(answers.next(), None, "an answer without a request");
}
