//! Brings up a lab without roles and keeps it until Ctrl-C, for manual work with `ip netns exec`.

use std::io::Write;

use causeway_lab::output::print_line;
use causeway_lab::{Family, Inner, Lab, Options};

fn main() -> anyhow::Result<()> {
    let lab = Lab::new(Options {
        inner: Inner::Both,
        ..Options::new("causeway", "causeway-xdp.o")
    })?;
    for vpc in [1, 2] {
        for site in lab.sites(vpc) {
            let [v4, v6] = [Family::Ipv4, Family::Ipv6].map(|family| site.address(family));
            print_line(format_args!("{v4:<16} {v6:<16} {}", lab.namespace(site)))?;
        }
    }
    print_line(format_args!("lab {} is up; Ctrl-C removes it", lab.id()))?;
    std::io::stdout().flush()?;
    loop {
        std::thread::park();
    }
}
