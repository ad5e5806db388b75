//! Status over HTTP and over the control socket, from roles and from other servers.

use std::net::SocketAddr;
use std::process::{Command, Output};

use causeway::top::endpoint::Endpoint;
use causeway_api::control::{Answer, Request};
use causeway_config::Config;
use causeway_node::Transient;
use causeway_node::control_socket::Socket;
use causeway_node::http;
use tempfile::tempdir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::role::{Counters, demux, gateway};

/// Serves a gateway's status.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let source = || gateway("gateway-1", Counters::default());
    tokio::spawn(http::serve(listener, source, Transient::default()));
    address
}

/// A server that answers every connection with these bytes.
async fn server_with(bytes: &'static [u8]) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(bytes).await.unwrap();
        }
    });
    Endpoint::Http(address.to_string())
}

#[tokio::test]
async fn the_status_is_read_over_http() {
    let endpoint = Endpoint::Http(serve().await.to_string());
    let expected = gateway("gateway-1", Counters::default());
    assert_eq!(endpoint.status().await.unwrap(), expected);
}

#[tokio::test]
async fn the_status_is_read_over_the_control_socket() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let endpoint = Endpoint::Socket(path.clone());
    let refused = endpoint.status().await.unwrap_err().to_string();
    let advice = "No such file or directory (os error 2); check that the role runs and that its configuration has [control]";
    assert_eq!(refused, advice);

    let socket = Socket::bind(&path).unwrap();
    tokio::spawn(async move {
        let answer = |request| match request {
            Request::Status {} => Answer::Status(demux(7).into()),
            _ => Answer::Refused("another request".to_owned()),
        };
        match socket.serve(answer, Transient::default()).await {}
    });
    assert_eq!(endpoint.status().await.unwrap(), demux(7));
}

#[tokio::test]
async fn a_refused_connection_is_an_error_with_advice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::Http(listener.local_addr().unwrap().to_string());
    drop(listener);
    let refused = endpoint.status().await.unwrap_err().to_string();
    let advice = "Connection refused (os error 111); check that the role runs and that its configuration has [http]";
    assert_eq!(refused, advice);
}

#[tokio::test]
async fn an_answer_that_is_not_a_status_is_an_error() {
    for (bytes, expected) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "invalid HTTP version"),
        (b"", "connection closed"),
        (
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "expected success of GET /status, got 404 Not Found",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            "the answer is not a status document of this version",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}",
            "incomplete answer",
        ),
    ] {
        let error = server_with(bytes).await.status().await.unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_configuration_names_its_endpoint() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("demux.toml");
    let rest =
        "[nic]\nname = \"eth0\"\n\n[vpc]\nprefixes = []\n\n[steering]\nkey-file = \"none\"\n";
    let of = |sections: &str| {
        std::fs::write(&file, format!("{sections}\n{rest}")).unwrap();
        Endpoint::from_config(&file).map_err(|error| error.to_string())
    };
    let http = "[http]\nlisten = \"0.0.0.0:9464\"\n";
    let control = "[control]\nsocket = \"control.sock\"\n";
    let socket = file.parent().unwrap().join("control.sock");
    assert_eq!(of(http), Ok(Endpoint::Http("127.0.0.1:9464".to_owned())));
    assert_eq!(of(control), Ok(Endpoint::Socket(socket)));
    assert_eq!(of("[control]\n"), Ok(Endpoint::default()));
    assert_eq!(of(&format!("{http}{control}")), of(http));
    let refused = of("").unwrap_err();
    assert!(
        refused.contains("add a section [http] or [control]"),
        "{refused}"
    );
    let refused = of("[http]\nlisten = \"here\"\n").unwrap_err();
    assert!(refused.contains("http.listen"), "{refused}");
    // A role cannot start with this file: the key file is missing.
    assert!(Config::load(&file).is_err());
}

fn top(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_causeway"))
        .arg("top")
        .args(arguments)
        .output()
        .unwrap()
}

#[tokio::test]
async fn once_prints_the_tables_and_fails_if_a_role_did_not_answer() {
    let there = format!("http://{}", serve().await);
    let once = async |arguments: &[&str]| {
        let mut all = vec!["--once", "--interval", "0.1", "--endpoint", &there];
        all.extend(arguments);
        let all: Vec<String> = all.into_iter().map(str::to_owned).collect();
        let run = move || top(&all.iter().map(String::as_str).collect::<Vec<_>>());
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = once(&[]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("ROLES\n#  ROLE "), "{text}");
    assert!(text.contains("\n1  gateway gateway-1  ready "), "{text}");

    let (code, text) = once(&["--endpoint", "/nowhere/control.sock"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("\n2  ?                  no answer"), "{text}");
    assert!(
        text.contains("\n2  /nowhere/control.sock  No such file"),
        "{text}"
    );
}

#[test]
fn without_a_terminal_the_error_names_once() {
    let output = top(&[]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        stderr,
        "stdout is not a terminal; --once prints without one\n"
    );
    let output = top(&["--interval", "0.01"]);
    assert_eq!(output.status.code(), Some(2));
}
