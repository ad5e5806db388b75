//! The control socket: who may ask, what is understood, what becomes of the socket.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use causeway::control::{
    Answer, ClientError, NewGateway, NewSa, NewWeight, Request, Socket, SocketError, Which, ask,
};
use causeway::explain::packet::LONGEST;
use causeway::explain::{Packet, Question};
use causeway_rescale::Weight;
use support::Directory;
use tokio::sync::oneshot;

/// A role that tells what it was asked.
struct Role {
    path: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Role {
    fn start(path: &Path) -> Self {
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let at = path.to_owned();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async {
                let socket = Socket::bind(&at).unwrap();
                ready.send(()).unwrap();
                tokio::select! {
                    ended = socket.serve(|request| Answer::Done(format!("{request:?}"))) => ended.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        is_ready.recv().unwrap();
        Self {
            path: path.to_owned(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// What it answers to these octets, line by line, until it closes.
    fn say(&self, octets: &[u8]) -> Vec<String> {
        let mut stream = UnixStream::connect(&self.path).unwrap();
        stream.write_all(octets).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // An early close may cut off what was not read: the lines before that count.
        BufReader::new(stream)
            .lines()
            .map_while(Result::ok)
            .collect()
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn a_request_arrives_as_it_was_sent() {
    let directory = Directory::new();
    // The directory is made too.
    let path = directory.path().join("run/control.sock");
    let role = Role::start(&path);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let wanted = NewSa {
        gateway: "gateway-1".to_owned(),
        worker: None,
        peering: Some("vpc-2".to_owned()),
        spi: 4097,
        key_file: "/etc/causeway/b.key".into(),
    };
    let gateway = Which {
        gateway: "gateway-2".to_owned(),
        peering: Some("vpc-2".to_owned()),
    };
    for request in [
        Request::Explain(Question {
            packet: Packet::Frame(vec![0xff; LONGEST]),
            queue: 63,
            at_peer: false,
        }),
        Request::SaList {},
        Request::SaInstall(wanted.clone()),
        Request::SaSwitch(wanted),
        Request::SaRetire {
            spi: 4097,
            after_seconds: 30,
        },
        Request::GatewayList {},
        Request::GatewayAdd(NewGateway {
            gateway: "gateway-3".to_owned(),
            peering: None,
            address: Some("10.1.0.103".parse().unwrap()),
            weight: Some(Weight::ONE),
        }),
        Request::GatewayDrain(gateway.clone()),
        Request::GatewayRemove(gateway),
        Request::GatewayWeight(NewWeight {
            gateway: "gateway-2".to_owned(),
            peering: None,
            weight: Weight::new(64).unwrap(),
        }),
    ] {
        let answer = ask(&path, &request).unwrap();
        assert_eq!(answer, Answer::Done(format!("{request:?}")));
    }
    drop(role);
    assert!(!path.exists(), "the socket stays behind");
}

#[test]
fn what_is_not_understood_is_refused_and_the_next_line_is_heard() {
    let directory = Directory::new();
    let role = Role::start(&directory.file("control.sock"));
    for wrong in [
        "",
        "sa-list",
        "{\"sa-list\":{\"all\":true}}",
        "{\"sa-retire\":{\"spi\":4097}}",
        "{\"sa-retire\":{\"spi\":-1,\"after-seconds\":1}}",
        "{\"sa-install\":{\"gateway\":\"g\",\"spi\":4097,\"key-file\":\"k\",\"key\":\"00\"}}",
        "{\"gateway-add\":{}}",
        "{\"gateway-drain\":{\"gateway\":\"g\",\"weight\":1}}",
        "{\"gateway-weight\":{\"gateway\":\"g\",\"weight\":65}}",
        "{\"sa-list\":{},\"sa-list\":{}}",
        "\u{0}\u{1}",
    ] {
        let lines = role.say(format!("{wrong}\n{{\"sa-list\":{{}}}}\n").as_bytes());
        assert_eq!(lines.len(), 2, "{wrong}: {lines:?}");
        assert!(
            lines[0].contains("the request is not understood"),
            "{lines:?}"
        );
        assert_eq!(lines[1], "{\"done\":\"SaList\"}");
    }
    for endless in [vec![b'x'; 100_000], b"{\"sa-list\":{}}".to_vec()] {
        let lines = role.say(&endless);
        assert!(lines.len() <= 1, "{lines:?}");
        assert!(
            lines
                .iter()
                .all(|line| line.contains("in one line of at most"))
        );
    }
    assert_eq!(role.say(b"{\"sa-list\":{}}\n"), ["{\"done\":\"SaList\"}"]);
}

#[test]
fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
    let directory = Directory::new();
    let path = directory.file("control.sock");
    // A process that was killed leaves its socket.
    drop(UnixListener::bind(&path).unwrap());
    let nobody = ask(&path, &Request::SaList {}).unwrap_err();
    assert!(
        matches!(nobody, ClientError::NobodyThere { .. }),
        "{nobody}"
    );
    let role = Role::start(&path);
    let error = Socket::bind(&path).unwrap_err();
    assert!(matches!(error, SocketError::InUse { .. }), "{error}");
    assert!(
        ask(&path, &Request::SaList {}).is_ok(),
        "the living one suffered"
    );
    drop(role);

    fs::write(&path, "precious").unwrap();
    let error = Socket::bind(&path).unwrap_err();
    assert!(matches!(error, SocketError::NotASocket { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let deep = directory.path().join("a/b/control.sock");
    let error = Socket::bind(&deep).unwrap_err().to_string();
    assert!(error.contains("control.socket"), "{error}");
}
