//! The command line of `perf gateway`.

use std::path::PathBuf;

use causeway_esp::Cipher;

use crate::options::{Built, Output, absolute};

/// Options of `gateway`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub output: Output,
    /// Core of the gateway and the plain forwarder
    #[arg(long, default_value_t = last_core())]
    pub core: usize,
    /// Core that generates the packets and delivers them
    #[arg(long, default_value_t = 0)]
    pub load_core: usize,
    /// AEAD of the tunnel
    #[arg(long, default_value_t = Cipher::Aes128Gcm)]
    pub cipher: Cipher,
    /// Measure only these sizes of inner packets, in bytes, or `imix`
    #[arg(long, value_parser = ["64", "512", "1400", "imix"])]
    pub size: Vec<String>,
    /// Packets that arrive in one batch, as with one interrupt of a NIC
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub batch: u32,
    /// Number of rounds; each figure is the median of its rounds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Length of one turn in milliseconds; a turn that decrypts ends with its 200,000 sealed packets
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub window: u64,
    #[command(flatten)]
    pub built: Built,
    /// The causeway binary of another build, measured in the same rounds: before a change and after it
    #[arg(long, value_name = "FILE", value_parser = absolute)]
    pub against: Option<PathBuf>,
    /// Object file of the load programs that this measurement runs in the kernel
    #[arg(
        long,
        env = "CAUSEWAY_LOAD_OBJECT",
        default_value = "target/causeway-load.o",
        value_parser = absolute
    )]
    pub load: PathBuf,
}

fn last_core() -> usize {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    cores.last().map_or(1, |core| core.id)
}
