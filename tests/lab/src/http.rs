//! HTTP GET to a role, from inside its namespace.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// The HTTP address of every role, each on the loopback of its own namespace.
pub const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);
const TIMEOUT: Duration = Duration::from_secs(30);

/// Gets a path and returns the status code and the body. The calling thread must be in the namespace.
pub fn get(path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&ADDRESS, TIMEOUT)
        .with_context(|| format!("cannot connect to http://{ADDRESS}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    // An HTTP/1.0 response is not chunked and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {ADDRESS}\r\n\r\n")?;
    let mut response = String::new();
    stream
        .read_to_string(&mut response)
        .with_context(|| format!("incomplete response from http://{ADDRESS}{path}"))?;
    parse(&response)
        .with_context(|| format!("expected an HTTP response from http://{ADDRESS}{path}"))
}

fn parse(response: &str) -> Option<(u16, String)> {
    let (head, body) = response.split_once("\r\n\r\n")?;
    let mut words = head.lines().next()?.split(' ');
    words
        .next()
        .filter(|version| version.starts_with("HTTP/"))?;
    Some((words.next()?.parse().ok()?, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_response_is_split_into_code_and_body() {
        let response = "HTTP/1.0 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno";
        assert_eq!(parse(response), Some((503, "no".to_owned())));
        assert_eq!(parse("SSH-2.0-x\r\n\r\n"), None);
    }
}
