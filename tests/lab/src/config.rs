//! The configuration files and keys of the roles, each as on its own machine.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::http;
use crate::options::{Encapsulation, Options, Placement};
use crate::tool::{self, write_private};
use crate::topology::{self, NIC, Node, Site, carrier, gateway_name, other};

/// A role's control socket, in its folder.
pub const SOCKET: &str = "control.sock";

/// Where a role's own configuration file is.
pub fn path(folder: &Path, role: Site) -> PathBuf {
    home(folder, role).join("causeway.toml")
}

/// Makes one folder per role with everything it reads.
pub fn write_all(options: &Options, folder: &Path) -> Result<()> {
    let steering_key = tool::hex(&tool::random::<16>()?);
    let cores = cores()?;
    for vpc in [1, 2] {
        for role in topology::roles(options, vpc) {
            let home = home(folder, role);
            fs::create_dir(&home)?;
            write_private(&home.join("steering.key"), &format!("{steering_key}\n"))?;
            write_private(&path(folder, role), &text(options, role, &cores))?;
        }
    }
    for number in 1..=options.gateways {
        for vpc in [1, 2] {
            make_key(options, folder, (vpc, number), 0)?;
        }
    }
    Ok(())
}

/// The key of an epoch of the SA from gateway `number` of `vpc` to its peer. The
/// sender alone has the reservation of sequence numbers beside it.
pub fn make_key(
    options: &Options,
    folder: &Path,
    (vpc, number): (u8, u8),
    epoch: u32,
) -> Result<()> {
    let home = |vpc| home(folder, carrier(options, vpc, number));
    let outbound = home(vpc).join(outbound_key(number, epoch));
    tool::run(
        Command::new(&options.causeway)
            .args(["key", "new", "--cipher", &options.cipher.to_string()])
            .arg(&outbound),
    )?;
    let inbound = home(other(vpc)).join(inbound_key(number, epoch));
    let key = fs::read_to_string(&outbound)
        .with_context(|| format!("`causeway key new` left no {}", outbound.display()))?;
    write_private(&inbound, &key)
}

/// The sender's key file of an epoch, in its folder.
pub fn outbound_key(number: u8, epoch: u32) -> String {
    format!("{}-outbound-{epoch}.key", gateway_name(number))
}

/// The receiver's.
pub fn inbound_key(number: u8, epoch: u32) -> String {
    format!("{}-inbound-{epoch}.key", gateway_name(number))
}

/// The SPI of an epoch of the SA that gateway `number` of `vpc` sends with. The
/// configuration has epoch 0.
pub fn spi(vpc: u8, number: u8, epoch: u32) -> u32 {
    (epoch << 16) + u32::from(vpc) * 0x1000 + u32::from(number)
}

/// A role's own folder.
pub fn home(folder: &Path, role: Site) -> PathBuf {
    folder.join(role.to_string())
}

fn text(options: &Options, role: Site, cores: &[usize]) -> String {
    let vpc = role.vpc;
    // A gateway host knows its own gateway only; the demux knows all.
    let carried: Vec<u8> = match role.node {
        Node::Gateway(number) => vec![number],
        _ => (1..=options.gateways).collect(),
    };
    // On its own host a standby is the cluster: only the demux deals buckets.
    let in_cluster = match role.node {
        Node::Gateway(_) => carried.len(),
        _ => usize::from(options.gateways - options.standby),
    };
    let names: Vec<_> = carried[..in_cluster]
        .iter()
        .map(|number| format!("\"{}\"", gateway_name(*number)))
        .collect();
    let mut text = format!(
        "[nic]\nname = \"{NIC}\"\nmode = \"{mode}\"\n\n\
         [http]\nlisten = \"{listen}\"\n\n\
         [control]\nsocket = \"{SOCKET}\"\n\n\
         [vpc]\nprefixes = [{own}]\n\n\
         [steering]\nkey-file = \"steering.key\"\n\n\
         {rescale}[[peering]]\nname = \"{peering}\"\nprefixes = [{theirs}]\n\
         gateways = [{names}]\nclamp-mss = {clamp}\n{demux}",
        mode = options.nic_mode,
        listen = http::ADDRESS,
        own = prefixes(options, vpc),
        peering = peering(vpc),
        theirs = prefixes(options, other(vpc)),
        names = names.join(", "),
        clamp = options.clamp_mss,
        rescale = match role.node {
            Node::Demux => "[rescale]\nstate = \"tables.json\"\n\n",
            _ => "",
        },
        demux = demux(options, role),
    );
    for number in carried {
        let carrier = carrier(options, vpc, number);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n[[gateway]]\nname = \"{}\"\naddress = \"{}\"\n",
            gateway_name(number),
            carrier.address(options.outer)
        );
        if carrier == role {
            text += &worker(options, role, number, cores);
        }
    }
    text
}

/// The peer's demux, for the demux alone.
fn demux(options: &Options, role: Site) -> String {
    match role.node {
        Node::Demux => {
            let family = options.inner.families()[0];
            let peer = Site::demux(other(role.vpc)).address(family);
            format!("demux = \"{peer}\"\n")
        }
        _ => String::new(),
    }
}

fn worker(options: &Options, role: Site, number: u8, cores: &[usize]) -> String {
    let vpc = role.vpc;
    // Both ends of a pair on different cores, where there are two.
    let core = cores[usize::from(number + vpc) % cores.len()];
    // Gateways on one host share its address and differ in their source port.
    let source_port = match (options.encapsulation, options.placement) {
        (Encapsulation::Esp, _) => String::new(),
        (Encapsulation::Udp, Placement::Remote) => "source-port = 4500\n".to_owned(),
        (Encapsulation::Udp, Placement::Local) => {
            format!("source-port = {}\n", 4499 + u16::from(number))
        }
    };
    format!(
        "[[gateway.worker]]\ncore = {core}\n\
         [[gateway.worker.tunnel]]\npeering = \"{peering}\"\npeer = \"{peer}\"\n\
         encapsulation = \"{encapsulation}\"\n{source_port}\
         outbound = {{ spi = {spi_out}, key-file = \"{key_out}\" }}\n\
         inbound = {{ spi = {spi_in}, key-file = \"{key_in}\" }}\n",
        peering = peering(vpc),
        peer = carrier(options, other(vpc), number).address(options.outer),
        encapsulation = options.encapsulation,
        spi_out = spi(vpc, number, 0),
        key_out = outbound_key(number, 0),
        spi_in = spi(other(vpc), number, 0),
        key_in = inbound_key(number, 0),
    )
}

/// What a VPC's hosts have addresses in, as a list of TOML strings.
fn prefixes(options: &Options, vpc: u8) -> String {
    let families = options.inner.families().iter();
    let prefixes = families.map(|family| format!("\"{}\"", topology::prefix(vpc, *family)));
    prefixes.collect::<Vec<_>>().join(", ")
}

pub fn peering(vpc: u8) -> String {
    format!("vpc-{}", other(vpc))
}

/// The argument of the binary that names the role.
pub fn subcommand(role: Site) -> &'static str {
    match role.node {
        Node::Gateway(_) => "gateway",
        _ => "demux",
    }
}

/// The cores that this process may run on.
fn cores() -> Result<Vec<usize>> {
    let set = rustix::thread::sched_getaffinity(None).context("cannot read the CPU affinity")?;
    Ok((0..rustix::thread::CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Family, Inner};

    #[test]
    fn a_gateway_host_has_one_tunnel_and_the_demux_none() {
        let options = Options::new("c", "x");
        let gateway = text(&options, Site::gateway(1, 2), &[0, 1]);
        assert_eq!(gateway.matches("[[gateway]]").count(), 1);
        assert!(gateway.contains("gateways = [\"gateway-2\"]"));
        assert_eq!(gateway.matches("[[gateway.worker.tunnel]]").count(), 1);
        assert!(gateway.contains("peer = \"10.2.0.102\""));
        assert!(
            gateway.contains("outbound = { spi = 4098, key-file = \"gateway-2-outbound-0.key\"")
        );
        assert!(gateway.contains("inbound = { spi = 8194, key-file = \"gateway-2-inbound-0.key\""));
        let demux = text(&options, Site::demux(1), &[0, 1]);
        assert_eq!(demux.matches("[[gateway]]").count(), 3);
        assert!(!demux.contains("worker"));
    }

    #[test]
    fn prefixes_are_of_the_inner_families_and_endpoints_of_the_outer_one() {
        let options = Options {
            inner: Inner::Both,
            outer: Family::Ipv6,
            ..Options::new("c", "x")
        };
        let gateway = text(&options, Site::gateway(1, 2), &[0]);
        assert!(gateway.contains("prefixes = [\"10.1.0.0/24\", \"fd00:10:1::/64\"]"));
        assert!(gateway.contains("prefixes = [\"10.2.0.0/24\", \"fd00:10:2::/64\"]"));
        assert!(gateway.contains("address = \"fd00:10:1::102\""));
        assert!(gateway.contains("peer = \"fd00:10:2::102\""));
    }

    #[test]
    fn local_gateways_share_an_address_and_differ_in_port_and_spi() {
        let options = Options {
            placement: Placement::Local,
            ..Options::new("c", "x")
        };
        let demux = text(&options, Site::demux(2), &[0]);
        assert_eq!(demux.matches("address = \"10.2.0.100\"").count(), 3);
        for port in 4500..4503 {
            assert!(demux.contains(&format!("source-port = {port}\n")));
        }
        assert!(demux.contains("spi = 8193") && demux.contains("spi = 4099"));
    }
}
