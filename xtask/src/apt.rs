//! Debian's package manager.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use causeway_lab::output::print_line;

use crate::shell;

/// Access to apt as root.
pub struct Apt {
    lists_are_fresh: bool,
}

impl Apt {
    /// Fails if apt-get is missing or the user is not root.
    pub fn open() -> Result<Self> {
        if shell::which("apt-get").is_none() {
            bail!(
                "apt-get is not installed; setup installs packages only on Debian and its derivatives"
            );
        }
        if !rustix::process::geteuid().is_root() {
            bail!("installing Debian packages needs root; run this command as root");
        }
        Ok(Self {
            lists_are_fresh: false,
        })
    }

    /// Installs packages without a prompt. Fails if apt would have to remove a package.
    pub fn install(&mut self, packages: &[&str]) -> Result<()> {
        if !self.lists_are_fresh {
            // One broken source does not prevent the installation from another one.
            if let Err(error) = shell::run(apt_get().arg("update")) {
                print_line(format_args!(
                    "{error}; continuing with the existing package lists"
                ))?;
            }
            self.lists_are_fresh = true;
        }
        let mut install = apt_get();
        install.args(["install", "--yes", "--no-remove", "--no-install-recommends"]);
        shell::run(install.args(packages)).with_context(|| install_command(packages))
    }
}

/// Unpacks packages of another architecture into the directory `into`. apt keeps its lists and downloads in `own`, so
/// the lists and packages of this machine do not change. Needs no root.
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
    // By default apt downloads as the user `_apt`, which cannot write to this directory.
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

/// The command that installs these packages.
pub fn install_command(packages: &[&str]) -> String {
    format!("apt-get install {}", packages.join(" "))
}

fn apt_get() -> std::process::Command {
    let mut command = shell::command("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    // On a new machine an unattended upgrade often holds the lock.
    command.args(["-qq", "-o", "DPkg::Lock::Timeout=300"]);
    command
}
