//! What clients can use up: descriptors and connections. The role carries packets meanwhile.

use std::net::TcpStream;

use anyhow::{Result, ensure};
use causeway_e2e_tests::{must_cross, start_lab, stop_cleanly, wait_until, with_gateways};
use causeway_lab::{HTTP_ADDRESS, Lab, Site};
use rustix::process::{Resource, Rlimit, prlimit};

fn log(lab: &Lab, site: Site) -> Result<String> {
    Ok(std::fs::read_to_string(
        lab.folder().join(format!("{site}.err")),
    )?)
}

/// The limit is below what the roles have open, so every further descriptor is refused with EMFILE.
#[test]
fn roles_without_descriptors_carry_on() -> Result<()> {
    let mut lab = start_lab(with_gateways(1)?)?;
    let roles = [Site::demux(1), Site::gateway(1, 1)];
    let none = Rlimit {
        current: Some(3),
        maximum: Some(4096),
    };
    let mut clients = Vec::new();
    for site in roles {
        prlimit(Some(lab.role_pid(site)?), Resource::Nofile, none)?;
        clients.push(lab.inside(site, || Ok(TcpStream::connect(HTTP_ADDRESS)?))?);
        wait_until("a connection cannot be accepted", || {
            Ok(log(&lab, site)?.contains("cannot accept an HTTP connection"))
        })?;
    }
    must_cross(&lab)?;
    let enough = Rlimit {
        current: Some(4096),
        ..none
    };
    for site in roles {
        prlimit(Some(lab.role_pid(site)?), Resource::Nofile, enough)?;
        let failures = lab.status(site)?.transient_errors;
        ensure!(failures > 0, "the failures of {site} are not counted");
    }
    must_cross(&lab)?;
    stop_cleanly(&mut lab)
}

#[test]
fn idle_connections_do_not_end_a_role() -> Result<()> {
    let mut lab = start_lab(with_gateways(1)?)?;
    let site = Site::gateway(1, 1);
    let connect = || Ok(TcpStream::connect(HTTP_ADDRESS)?);
    let idle: Result<Vec<_>> = (0..200).map(|_| lab.inside(site, connect)).collect();
    let idle = idle?;
    must_cross(&lab)?;
    wait_until("the connections are closed", || {
        Ok(lab.status(site).is_ok())
    })?;
    drop(idle);
    stop_cleanly(&mut lab)
}
