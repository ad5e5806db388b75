//! Brings up a lab without roles and holds it until Ctrl-C, for exploring by
//! hand with `ip netns exec`.

use std::io::Write;

use causeway_lab::{Lab, Options};

fn main() -> anyhow::Result<()> {
    let lab = Lab::new(Options::new("causeway", "causeway-xdp.o"))?;
    for vpc in [1, 2] {
        for site in lab.sites(vpc) {
            println!("{:<16} {}", site.address(), lab.namespace(site));
        }
    }
    println!("lab {} is up; Ctrl-C removes it", lab.id());
    std::io::stdout().flush()?;
    loop {
        std::thread::park();
    }
}
