//! Debian's package manager.

use std::fs;
use std::path::Path;

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

/// Unpacks packages of another architecture into a directory, with whatever belongs to apt in `own`: this
/// machine's lists and packages stay as they are, so it needs no root either.
pub fn unpack_foreign(
    architecture: &str,
    own: &Path,
    packages: &[String],
    into: &Path,
) -> Result<()> {
    let (lists, debs) = (own.join("lists"), own.join("debs"));
    for folder in [&lists.join("partial"), &debs, into] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let settings = own.join("apt.conf");
    let text = format!(
        "APT::Architecture \"{architecture}\";\n#clear APT::Architectures;\n\
         APT::Architectures {{ \"{architecture}\"; }};\nDir::State::Lists \"{}\";\nDir::Cache \"{}\";\n",
        lists.display(),
        own.display()
    );
    fs::write(&settings, text).with_context(|| format!("cannot write {}", settings.display()))?;
    shell::run(apt_get().env("APT_CONFIG", &settings).arg("update"))?;
    let mut download = apt_get();
    // As this user, who owns the directory, and not as apt's own.
    download.args(["-o", "APT::Sandbox::User=root", "download"]);
    shell::run(
        download
            .env("APT_CONFIG", &settings)
            .current_dir(&debs)
            .args(packages),
    )?;
    for entry in fs::read_dir(&debs)? {
        let deb = entry?.path();
        shell::run(shell::command("dpkg").arg("-x").arg(deb).arg(into))?;
    }
    Ok(())
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
