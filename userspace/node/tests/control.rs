//! The control socket: its permissions, valid and invalid requests, and its removal.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use causeway_api::client::{self, ClientError};
use causeway_api::control::{Answer, GatewayRef, NewGateway, NewSa, NewWeight, Request};
use causeway_api::explain::Query;
use causeway_api::packet::{MAX_FRAME, Packet};
use causeway_node::Transient;
use causeway_node::control_socket::{Socket, SocketError};
use causeway_rescale::Weight;
use tempfile::tempdir;
use tokio::sync::oneshot;

/// A role that answers each request with the request.
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
                let answer = |request| Answer::Done(format!("{request:?}"));
                tokio::select! {
                    never = socket.serve(answer, Transient::default()) => match never {},
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

    /// Sends octets and returns the lines of the answer until the role closes the connection.
    fn send(&self, octets: &[u8]) -> Vec<String> {
        let mut stream = UnixStream::connect(&self.path).unwrap();
        stream.write_all(octets).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // If the role closes the connection early, the rest of the answer is lost.
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
    let directory = tempdir().unwrap();
    // The directory is created too.
    let path = directory.path().join("run/control.sock");
    let role = Role::start(&path);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let sa = NewSa {
        gateway: "gateway-1".to_owned(),
        worker: None,
        peering: Some("vpc-2".to_owned()),
        spi: 4097,
        key_file: "/etc/causeway/b.key".into(),
    };
    let gateway = GatewayRef {
        gateway: "gateway-2".to_owned(),
        peering: Some("vpc-2".to_owned()),
    };
    for request in [
        Request::Explain(Query {
            packet: Packet::Frame(vec![0xff; MAX_FRAME]),
            queue: 63,
            at_peer: false,
        }),
        Request::SaList {},
        Request::SaInstall(sa.clone()),
        Request::SaSwitch(sa),
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
        let answer = client::request(&path, &request).unwrap();
        assert_eq!(answer, Answer::Done(format!("{request:?}")));
    }
    drop(role);
    assert!(!path.exists(), "the socket was not removed");
}

#[test]
fn an_invalid_request_is_refused_and_the_next_line_is_answered() {
    let directory = tempdir().unwrap();
    let role = Role::start(&directory.path().join("control.sock"));
    for invalid in [
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
        let lines = role.send(format!("{invalid}\n{{\"sa-list\":{{}}}}\n").as_bytes());
        assert_eq!(lines.len(), 2, "{invalid}: {lines:?}");
        assert!(lines[0].contains("invalid request"), "{lines:?}");
        assert_eq!(lines[1], "{\"done\":\"SaList\"}");
    }
    for incomplete in [vec![b'x'; 100_000], b"{\"sa-list\":{}}".to_vec()] {
        let lines = role.send(&incomplete);
        assert!(lines.len() <= 1, "{lines:?}");
        assert!(
            lines
                .iter()
                .all(|line| line.contains("in one line of at most"))
        );
    }
    assert_eq!(role.send(b"{\"sa-list\":{}}\n"), ["{\"done\":\"SaList\"}"]);
}

#[test]
fn a_stale_socket_is_replaced_and_a_served_one_is_not() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("control.sock");
    // A process that was killed leaves its socket.
    drop(UnixListener::bind(&path).unwrap());
    let error = client::request(&path, &Request::SaList {}).unwrap_err();
    assert!(matches!(error, ClientError::NotServed { .. }), "{error}");
    let role = Role::start(&path);
    let error = Socket::bind(&path).unwrap_err();
    assert!(matches!(error, SocketError::InUse { .. }), "{error}");
    assert!(
        client::request(&path, &Request::SaList {}).is_ok(),
        "the served socket does not answer"
    );
    drop(role);

    fs::write(&path, "content").unwrap();
    let error = Socket::bind(&path).unwrap_err();
    assert!(matches!(error, SocketError::NotASocket { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "content");
    let nested = directory.path().join("a/b/control.sock");
    let error = Socket::bind(&nested).unwrap_err().to_string();
    assert!(error.contains("control.socket"), "{error}");
}
