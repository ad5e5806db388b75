//! The TOML schema of the configuration file. `Spanned` keeps the place of a value for errors.
//!
//! Addresses and prefixes are text here, and numbers have the range of TOML. [`convert`](super::convert) parses and checks
//! them, so that all errors have one format.

use serde::Deserialize;
use toml::Spanned;

/// The configuration file of a demux or a gateway.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    /// The NIC of the cluster's traffic.
    pub nic: Nic,
    /// The HTTP server for metrics and status; absent: none.
    pub http: Option<Http>,
    /// The control socket; absent: none.
    pub control: Option<Control>,
    /// The VPC of this host.
    pub vpc: Vpc,
    /// The steering hash.
    pub steering: Steering,
    /// The implementation of the AEADs.
    #[serde(default)]
    pub crypto: Crypto,
    /// Probes, holds and changes of the cluster.
    #[serde(default)]
    pub rescale: Rescale,
    /// The peer VPCs.
    #[serde(default)]
    pub peering: Vec<Spanned<Peering>>,
    /// The local and remote gateways.
    #[serde(default)]
    pub gateway: Vec<Spanned<Gateway>>,
}

/// `[nic]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Nic {
    pub name: Spanned<String>,
    #[serde(default)]
    pub mode: NicMode,
}

/// `nic.mode`: the attach mode of the XDP program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NicMode {
    /// Driver mode if the driver supports it, else SKB mode with a warning.
    #[default]
    Auto,
    /// Driver mode.
    Driver,
    /// The kernel's generic path: slow, but works on every interface.
    Skb,
}

/// `[http]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Http {
    /// Address and port to listen on.
    pub listen: Spanned<String>,
}

/// `[control]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Control {
    /// The path of the socket; absent: the default path of `causeway local`.
    pub socket: Option<Spanned<String>>,
}

/// `[vpc]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Vpc {
    /// The cluster's name, a label of all metrics.
    pub cluster: Option<Spanned<String>>,
    /// The prefixes of this VPC.
    pub prefixes: Spanned<Vec<Spanned<String>>>,
    /// The address from which the VPC's demux sends requests to this gateway; absent: it takes none.
    pub demux: Option<Spanned<String>>,
}

/// `[steering]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Steering {
    /// The file with the hash key. Both VPCs have the same key.
    pub key_file: Spanned<String>,
}

/// `[crypto]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Crypto {
    pub backend: Option<Spanned<CryptoBackend>>,
}

/// `crypto.backend`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CryptoBackend {
    /// The fastest implementation on this CPU, for each cipher and packet length.
    Auto,
    /// The RustCrypto crates.
    #[serde(rename = "rustcrypto")]
    RustCrypto,
    /// AWS-LC.
    AwsLc,
    /// intel-ipsec-mb, if it is installed.
    IpsecMb,
}

/// `[rescale]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rescale {
    /// The file that stores the tables; absent: the cluster cannot change.
    pub state: Option<Spanned<String>>,
    /// The interval of probes through each gateway pair, in milliseconds.
    pub probe_interval: Option<Spanned<i64>>,
    /// The time without a probe reply after which a pair is dead, in milliseconds.
    pub dead_after: Option<Spanned<i64>>,
    /// The most packets that a worker holds.
    pub hold_packets: Option<Spanned<i64>>,
    /// The longest time of a hold, in milliseconds.
    pub hold_time: Option<Spanned<i64>>,
    /// The action for held packets after `hold-time`.
    #[serde(default)]
    pub hold_timeout_action: HoldTimeoutAction,
    /// The time in which a change moves buckets while they are idle, in milliseconds.
    pub idle_time: Option<Spanned<i64>>,
    /// The most buckets that one barrier moves.
    pub batch: Option<Spanned<i64>>,
}

/// `rescale.hold-timeout-action`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldTimeoutAction {
    /// Drop them, so that no packet is reordered.
    #[default]
    Drop,
    /// Send them, so that no packet is lost.
    Send,
}

/// `[[peering]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Peering {
    /// The peering's name, unique in the file.
    pub name: Spanned<String>,
    /// The peer VPC's prefixes.
    pub prefixes: Spanned<Vec<Spanned<String>>>,
    /// The names of the cluster's gateways, in the same order in both VPCs.
    pub gateways: Spanned<Vec<Spanned<String>>>,
    /// The address of the peer's demux; absent: no probes, and the cluster cannot change.
    pub demux: Option<Spanned<String>>,
    /// Whether the MSS of TCP connections is limited to the size that fits the tunnel.
    #[serde(default)]
    pub clamp_mss: bool,
    /// The lifetime of a path MTU from an ICMP error, in seconds; 0: such errors are ignored.
    pub path_mtu_age: Option<Spanned<i64>>,
}

/// `[[gateway]]`. A gateway with workers is local, others are remote.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Gateway {
    /// The gateway's name, unique in the file.
    pub name: Spanned<String>,
    /// Remote: the address of its host. Local: the outer source address of its tunnels.
    pub address: Option<Spanned<String>>,
    /// The share of the buckets, relative to the weights of the others; absent: 1.
    pub weight: Option<Spanned<i64>>,
    /// The workers of a local gateway.
    #[serde(default)]
    pub worker: Vec<Spanned<Worker>>,
}

/// `[[gateway.worker]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Worker {
    /// The core to which the worker's thread is pinned; absent: not pinned.
    pub core: Option<Spanned<i64>>,
    /// Whether an idle worker polls its rings and does not sleep.
    #[serde(default)]
    pub spin: bool,
    /// One tunnel for each peering of the gateway.
    #[serde(default)]
    pub tunnel: Vec<Spanned<Tunnel>>,
}

/// `[[gateway.worker.tunnel]]`: an outbound and an inbound SA.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tunnel {
    /// The peering's name.
    pub peering: Spanned<String>,
    /// The outer address of the peer gateway.
    pub peer: Spanned<String>,
    pub encapsulation: Encapsulation,
    /// The UDP source port; only with `encapsulation = "udp"`.
    pub source_port: Option<Spanned<i64>>,
    /// The size of the replay window, in packets.
    pub replay_window: Option<Spanned<i64>>,
    /// The outer DSCP; absent: copied from the inner header.
    pub dscp: Option<Spanned<Dscp>>,
    #[serde(default)]
    pub dont_fragment: DontFragment,
    /// Whether sequence numbers have 64 bits.
    #[serde(default = "yes")]
    pub esn: bool,
    /// The length in octets to which shorter inner packets are padded.
    pub tfc_pad_to: Option<Spanned<i64>>,
    /// The idle time after which a dummy packet is sent, in milliseconds; absent: no dummies.
    pub dummy_interval: Option<Spanned<i64>>,
    /// The limits of both SAs; absent: none.
    pub lifetime: Option<Lifetime>,
    /// The SA that seals packets.
    pub outbound: Sa,
    /// The SA that opens packets.
    pub inbound: Sa,
}

/// `encapsulation`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encapsulation {
    /// ESP in UDP, destination port 4500 (RFC 3948).
    Udp,
    /// ESP over IP, protocol 50.
    Esp,
}

const fn yes() -> bool {
    true
}

/// `dscp`: a number, or the keyword `"copy"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected \"copy\" or a number from 0 to 63")]
pub enum Dscp {
    /// The outer DSCP.
    Value(i64),
    /// A keyword; only `copy` is valid.
    Keyword(String),
}

/// `dont-fragment`: the DF flag of an outer IPv4 header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DontFragment {
    /// Copied from the inner header.
    #[default]
    Copy,
    /// Always.
    Set,
    /// Never.
    Clear,
}

/// `lifetime`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Lifetime {
    /// Limits after which the SA is reported as due for a rekey.
    #[serde(default)]
    pub soft: Limits,
    /// Limits after which the SA carries no packets.
    #[serde(default)]
    pub hard: Limits,
}

/// `lifetime.soft` and `lifetime.hard`: each limit applies alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Seconds since the SA was installed.
    pub seconds: Option<Spanned<i64>>,
    /// Inner IP bytes, including padding.
    pub bytes: Option<Spanned<i64>>,
    pub packets: Option<Spanned<i64>>,
}

/// One direction of a tunnel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sa {
    /// The SPI, which the receiver chooses.
    pub spi: Spanned<i64>,
    /// The file with cipher and key.
    pub key_file: Spanned<String>,
}
