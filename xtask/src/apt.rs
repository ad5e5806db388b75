//! Debian's package manager.

use anyhow::{Context, Result, bail};

use crate::shell;

/// apt on this machine, usable by this user.
pub struct Apt {
    lists_are_fresh: bool,
}

impl Apt {
    /// Fails with a sentence where there is no apt-get or no root to run it.
    pub fn open() -> Result<Self> {
        if shell::which("apt-get").is_none() {
            bail!("there is no apt-get: setup installs packages on Debian and its kin only");
        }
        if !rustix::process::geteuid().is_root() {
            bail!("installing Debian packages needs root");
        }
        Ok(Self {
            lists_are_fresh: false,
        })
    }

    /// Installs packages without a question. Refuses rather than remove anything.
    pub fn install(&mut self, packages: &[&str]) -> Result<()> {
        if !self.lists_are_fresh {
            // One broken source among several is no reason to stop: the install tells.
            if let Err(error) = shell::run(apt_get().arg("update")) {
                println!("{error}; going on with the lists that are there");
            }
            self.lists_are_fresh = true;
        }
        let mut install = apt_get();
        install.args(["install", "--yes", "--no-remove", "--no-install-recommends"]);
        shell::run(install.args(packages)).with_context(|| by_hand(packages))
    }
}

/// What a person would type.
pub fn by_hand(packages: &[&str]) -> String {
    format!("apt-get install {}", packages.join(" "))
}

fn apt_get() -> std::process::Command {
    let mut command = shell::command("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    // A new machine often has its unattended upgrade running: wait for its lock, not for ever.
    command.args(["-qq", "-o", "DPkg::Lock::Timeout=300"]);
    command
}
