//! The environment in which cargo builds for aarch64.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use causeway_lab::output::print_line;

use super::compiler::{Compiler, TARGET};
use crate::apt;
use crate::shell;
use crate::workspace::Workspace;

/// The libraries that libbpf, libxdp and the configure script of libxdp need.
const LIBRARIES: [&str; 6] = [
    "libelf-dev",
    "libelf1",
    "zlib1g-dev",
    "zlib1g",
    "libpcap0.8-dev",
    "libpcap0.8",
];
/// The directory of Debian's C library for aarch64.
const C_LIBRARY: &str = "/usr/aarch64-linux-gnu";

/// A directory with the libraries, a cargo home and the target directory.
pub struct Cross {
    workspace: PathBuf,
    folder: PathBuf,
    rustc: PathBuf,
}

impl Cross {
    /// Unpacks missing packages into `target/aarch64`.
    pub fn prepare(workspace: &Workspace) -> Result<Self> {
        let compiler = Compiler::find()?;
        let folder = workspace.aarch64();
        let packages: Vec<String> = LIBRARIES
            .map(str::to_owned)
            .into_iter()
            .chain(compiler.library)
            .collect();
        let root = folder.join("root");
        let wanted = packages.join("\n");
        let stamp = folder.join("packages");
        if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
            print_line(format_args!(
                "unpacking into {}: {}",
                root.display(),
                packages.join(" ")
            ))?;
            apt::unpack_foreign("arm64", &folder.join("apt"), &packages, &root)?;
            fs::write(&stamp, wanted)?;
        }
        let cross = Self {
            workspace: workspace.root().to_owned(),
            folder,
            rustc: compiler.rustc,
        };
        cross.write_linker()?;
        cross.link_cargo_home()?;
        Ok(cross)
    }

    /// Cargo for aarch64.
    pub fn cargo(&self, command: &str) -> Command {
        let mut cargo = shell::cargo();
        let variable = |name: &str| {
            format!(
                "CARGO_TARGET_{}_{name}",
                TARGET.to_uppercase().replace('-', "_")
            )
        };
        let std = self
            .folder
            .join("root/usr/lib/rustlib")
            .join(TARGET)
            .join("lib");
        cargo
            .current_dir(&self.workspace)
            .env_remove("RUSTUP_TOOLCHAIN")
            .env("RUSTC", &self.rustc)
            .env("CARGO_HOME", self.cargo_home())
            .env(variable("LINKER"), self.linker())
            .env(variable("RUSTFLAGS"), format!("-L{}", std.display()))
            .env(variable("RUNNER"), self.runner().join(" "))
            // This build is made once and is not debugged.
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            // The makefiles of libxdp read only these variables.
            .env("CC", self.linker())
            .env("LD", "aarch64-linux-gnu-ld")
            .env("AR", "aarch64-linux-gnu-ar")
            .env("OBJCOPY", "aarch64-linux-gnu-objcopy")
            .env("ARCH_INCLUDES", format!("-I{C_LIBRARY}/include"))
            .env("HOST_CC", "gcc")
            .args([
                command,
                "--offline",
                "--locked",
                "--target",
                TARGET,
                "--target-dir",
            ])
            .arg(self.folder.join("target"));
        cargo
    }

    /// A program of the build, under qemu.
    pub fn start(&self, program: &str) -> Command {
        let runner = self.runner();
        let mut command = shell::command(&runner[0]);
        let path = self
            .folder
            .join("target")
            .join(TARGET)
            .join("debug")
            .join(program);
        command.args(&runner[1..]).arg(path);
        command
    }

    fn runner(&self) -> Vec<String> {
        let root = self.folder.join("root");
        let folder = |name| root.join(name).display().to_string();
        let path = [
            folder("usr/lib/aarch64-linux-gnu"),
            folder("lib/aarch64-linux-gnu"),
        ]
        .join(":");
        vec![
            "qemu-aarch64".to_owned(),
            "-L".to_owned(),
            C_LIBRARY.to_owned(),
            "-E".to_owned(),
            format!("LD_LIBRARY_PATH={path}"),
        ]
    }

    fn linker(&self) -> PathBuf {
        self.folder.join("cc")
    }

    /// Writes a wrapper of the cross compiler that adds the library directory. It ignores unresolved symbols of libpcap,
    /// which come from libraries that we do not call.
    fn write_linker(&self) -> Result<()> {
        let text = format!(
            "#!/bin/sh\nexec aarch64-linux-gnu-gcc -L{} -Wl,--unresolved-symbols=ignore-in-shared-libs \"$@\"\n",
            self.folder.join("root/usr/lib/aarch64-linux-gnu").display()
        );
        let path = self.linker();
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    fn cargo_home(&self) -> PathBuf {
        self.folder.join("cargo")
    }

    /// Makes a second cargo home that shares downloads and settings with the first.
    ///
    /// libxdp is compiled in the directory of its source, inside the cargo home. make would take the objects there for
    /// up to date although they are for another CPU.
    fn link_cargo_home(&self) -> Result<()> {
        let mut fetch = shell::cargo();
        shell::run(
            fetch
                .current_dir(&self.workspace)
                .args(["fetch", "--locked"]),
        )?;
        let first = std::env::var_os("CARGO_HOME").map_or_else(
            || {
                PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| OsString::from("/root")))
                    .join(".cargo")
            },
            PathBuf::from,
        );
        let own = self.cargo_home();
        fs::create_dir_all(own.join("registry"))?;
        for name in ["registry/cache", "registry/index", "config.toml", "git"] {
            link(&first.join(name), &own.join(name))?;
        }
        Ok(())
    }
}

/// Replaces the link `at` by one to `target`, if that exists.
fn link(target: &Path, at: &Path) -> Result<()> {
    if at.is_symlink() {
        fs::remove_file(at)?;
    }
    if target.exists() {
        symlink(target, at).with_context(|| format!("cannot link {}", at.display()))?;
    }
    Ok(())
}
