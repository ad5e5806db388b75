//! Roles that are asked over HTTP and over their control sockets, and others who answer there.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};

use causeway::config::Config;
use causeway::control::{Answer, Request, Socket};
use causeway::http;
use causeway::top::endpoint::Endpoint;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::role::{Counted, demux, gateway};

/// Serves a gateway's status.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let source = || gateway("gateway-1", Counted::default());
    tokio::spawn(http::serve_on(listener, source));
    address
}

/// Answers every connection with these bytes.
async fn says(bytes: &'static [u8]) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(bytes).await.unwrap();
        }
    });
    Endpoint::Http(address.to_string())
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn a_role_is_asked_over_http() {
    let endpoint = Endpoint::Http(serve().await.to_string());
    let expected = gateway("gateway-1", Counted::default());
    assert_eq!(endpoint.ask().await.unwrap(), expected);
}

#[tokio::test]
async fn a_role_is_asked_over_its_control_socket() {
    let path = folder("top-socket").join("control.sock");
    let endpoint = Endpoint::Socket(path.clone());
    let refused = endpoint.ask().await.unwrap_err().to_string();
    let remedy = "No such file or directory (os error 2): does the role run, with [control] in its configuration?";
    assert_eq!(refused, remedy);

    let socket = Socket::bind(&path).unwrap();
    tokio::spawn(async move {
        let answer = |request| match request {
            Request::Status {} => Answer::Status(demux(7).into()),
            _ => Answer::Refused("another question".to_owned()),
        };
        socket.serve(answer).await
    });
    assert_eq!(endpoint.ask().await.unwrap(), demux(7));
}

#[tokio::test]
async fn where_nobody_listens_it_says_what_to_look_at() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::Http(listener.local_addr().unwrap().to_string());
    drop(listener);
    let refused = endpoint.ask().await.unwrap_err().to_string();
    let remedy =
        "Connection refused (os error 111): does the role run, with [http] in its configuration?";
    assert_eq!(refused, remedy);
}

#[tokio::test]
async fn somebody_else_is_told_from_a_role() {
    for (bytes, expected) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "invalid HTTP version"),
        (b"", "connection closed"),
        (
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "GET /status was answered with 404 Not Found",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            "the answer is no status document of this version",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}",
            "no whole answer",
        ),
    ] {
        let error = says(bytes).await.ask().await.unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_configuration_says_where_its_role_is_asked() {
    let file = folder("top-config").join("demux.toml");
    let rest =
        "[nic]\nname = \"eth0\"\n\n[vpc]\nprefixes = []\n\n[steering]\nkey-file = \"none\"\n";
    let of = |sections: &str| {
        std::fs::write(&file, format!("{sections}\n{rest}")).unwrap();
        Endpoint::of_config(&file).map_err(|error| error.to_string())
    };
    let http = "[http]\nlisten = \"0.0.0.0:9464\"\n";
    let control = "[control]\nsocket = \"control.sock\"\n";
    let beside = file.parent().unwrap().join("control.sock");
    assert_eq!(of(http), Ok(Endpoint::Http("127.0.0.1:9464".to_owned())));
    assert_eq!(of(control), Ok(Endpoint::Socket(beside)));
    assert_eq!(of("[control]\n"), Ok(Endpoint::usual()));
    assert_eq!(of(&format!("{http}{control}")), of(http));
    let refused = of("").unwrap_err();
    assert!(
        refused.contains("it needs a section [http] or [control]"),
        "{refused}"
    );
    let refused = of("[http]\nlisten = \"here\"\n").unwrap_err();
    assert!(refused.contains("http.listen"), "{refused}");
    // It is no configuration that a role could start with.
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
async fn once_prints_the_tables_and_says_whether_all_answered() {
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
fn without_a_terminal_it_says_what_prints_without_one() {
    let output = top(&[]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said,
        "expected a terminal on stdout; --once prints without one\n"
    );
    let output = top(&["--interval", "0.01"]);
    assert_eq!(output.status.code(), Some(2));
}
