//! What people write: the TOML schema, with the place of every value that can be wrong.
//!
//! Addresses and prefixes stay text here, so that the one conversion in
//! [`convert`](super::convert) refuses them in its own words.

use serde::Deserialize;
use toml::Spanned;

/// A configuration file of either role.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    /// The NIC that carries the cluster's traffic.
    pub nic: Nic,
    /// The HTTP endpoint for metrics and status; absent: none.
    pub http: Option<Http>,
    /// The control socket; absent: none.
    pub control: Option<Control>,
    /// This side of the peerings.
    pub vpc: Vpc,
    /// The steering hash.
    pub steering: Steering,
    /// The AEADs' implementation; absent: the faster one.
    #[serde(default)]
    pub crypto: Crypto,
    /// How the cluster may change while it carries.
    #[serde(default)]
    pub rescale: Rescale,
    /// The VPCs this one is joined with.
    #[serde(default)]
    pub peering: Vec<Spanned<Peering>>,
    /// The gateways, local and remote.
    #[serde(default)]
    pub gateway: Vec<Spanned<Gateway>>,
}

/// `[nic]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Nic {
    /// The interface's name, such as `eth0`.
    pub name: Spanned<String>,
    /// How the XDP program is attached.
    #[serde(default)]
    pub mode: NicMode,
}

/// `nic.mode`: how the XDP program is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NicMode {
    /// In the driver, else as SKB with a warning.
    #[default]
    Auto,
    /// In the driver, or not at all.
    Driver,
    /// In the kernel's generic path: slow, works on every interface.
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
    /// Where the socket is; absent: where `causeway local` looks.
    pub socket: Option<Spanned<String>>,
}

/// `[vpc]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Vpc {
    /// The cluster's name, a label of all metrics; absent: none.
    pub cluster: Option<Spanned<String>>,
    /// What the cluster protects on this side.
    pub prefixes: Spanned<Vec<Spanned<String>>>,
}

/// `[steering]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Steering {
    /// The file with the hash key, the same in both VPCs.
    pub key_file: Spanned<String>,
}

/// `[crypto]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Crypto {
    /// Which implementation of the AEADs the workers use.
    pub backend: Option<Spanned<CryptoBackend>>,
}

/// `crypto.backend`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CryptoBackend {
    /// For each cipher and packet length the one that is fastest on this CPU.
    Auto,
    /// Pure Rust.
    #[serde(rename = "rustcrypto")]
    RustCrypto,
    /// C and assembly.
    AwsLc,
    /// intel-ipsec-mb, where it is installed.
    IpsecMb,
}

/// `[rescale]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rescale {
    /// The file that keeps the tables; absent: the cluster cannot change.
    pub state: Option<Spanned<String>>,
    /// Milliseconds between two probes of a gateway pair.
    pub probe_interval: Option<Spanned<u64>>,
    /// Milliseconds without an answer after which a pair is dead.
    pub dead_after: Option<Spanned<u64>>,
    /// Packets that a worker holds at most.
    pub hold_packets: Option<Spanned<u64>>,
    /// Milliseconds for which it holds them at most.
    pub hold_time: Option<Spanned<u64>>,
    /// What happens to held packets then.
    #[serde(default)]
    pub at_limit: AtLimit,
    /// Milliseconds that a change waits for buckets to fall idle.
    pub idle_time: Option<Spanned<u64>>,
    /// Buckets that one barrier moves at most.
    pub batch: Option<Spanned<u64>>,
}

/// `rescale.at-limit`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AtLimit {
    /// They are dropped, so that nothing is reordered.
    #[default]
    Drop,
    /// They are sent, so that nothing is lost.
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
    /// The cluster, by gateway names; the same order in both VPCs.
    pub gateways: Spanned<Vec<Spanned<String>>>,
    /// The peer's demux; absent: the cluster is neither watched nor changed.
    pub demux: Option<Spanned<String>>,
    /// Whether TCP's maximum segment size is clamped to what fits the tunnel.
    #[serde(default)]
    pub clamp_mss: bool,
    /// How long an MTU that ICMP tells of the path is believed, in seconds; 0: not at all.
    pub path_mtu_age: Option<Spanned<u64>>,
}

/// `[[gateway]]`: local if it has workers, else remote.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Gateway {
    /// The gateway's name, unique in the file.
    pub name: Spanned<String>,
    /// Remote: where the demux sends its packets. Local: outer source address of its tunnels.
    pub address: Option<Spanned<String>>,
    /// Its share of the buckets against the others'; absent: 1.
    pub weight: Option<Spanned<u64>>,
    /// The workers of a local gateway.
    #[serde(default)]
    pub worker: Vec<Spanned<Worker>>,
}

/// `[[gateway.worker]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Worker {
    /// The core the worker's thread is pinned to; absent: not pinned.
    pub core: Option<Spanned<usize>>,
    /// Whether an idle worker polls its rings instead of sleeping.
    #[serde(default)]
    pub spin: bool,
    /// One tunnel for each peering that the gateway serves.
    #[serde(default)]
    pub tunnel: Vec<Spanned<Tunnel>>,
}

/// `[[gateway.worker.tunnel]]`: a pair of SAs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tunnel {
    /// The peering's name.
    pub peering: Spanned<String>,
    /// Outer address of the peer gateway.
    pub peer: Spanned<String>,
    /// ESP in UDP, or ESP right over IP.
    pub encapsulation: Encapsulation,
    /// UDP source port; only with `encapsulation = "udp"`.
    pub source_port: Option<Spanned<u16>>,
    /// Size of the replay window, in packets.
    pub replay_window: Option<Spanned<u32>>,
    /// The outer DSCP; absent: the inner one.
    pub dscp: Option<Spanned<Dscp>>,
    /// The outer "don't fragment".
    #[serde(default)]
    pub dont_fragment: DontFragment,
    /// Whether sequence numbers have 64 bits.
    #[serde(default = "yes")]
    pub esn: bool,
    /// Octets to which shorter inner packets are filled up.
    pub tfc_pad_to: Option<Spanned<u32>>,
    /// Milliseconds without a packet after which a dummy is sent; absent: none ever.
    pub dummy_interval: Option<Spanned<u64>>,
    /// How long the SAs may live; absent: without limit.
    pub lifetime: Option<Lifetime>,
    /// The SA that seals.
    pub outbound: Sa,
    /// The SA that opens.
    pub inbound: Sa,
}

/// `encapsulation`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encapsulation {
    /// ESP in UDP, destination port 4500 (RFC 3948).
    Udp,
    /// IP protocol 50.
    Esp,
}

const fn yes() -> bool {
    true
}

/// `dscp`: a number, or the word `"copy"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected \"copy\" or a number from 0 to 63")]
pub enum Dscp {
    /// The outer DSCP.
    Value(i64),
    /// A word.
    Word(String),
}

/// `dont-fragment`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DontFragment {
    /// As in the inner header.
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
    /// Beyond these somebody is told.
    #[serde(default)]
    pub soft: Limits,
    /// Beyond these nothing is carried.
    #[serde(default)]
    pub hard: Limits,
}

/// `lifetime.soft` and `lifetime.hard`: the first one reached counts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Since the SA was made.
    pub seconds: Option<Spanned<u64>>,
    /// Inner IP bytes with their padding.
    pub bytes: Option<Spanned<u64>>,
    /// Packets.
    pub packets: Option<Spanned<u64>>,
}

/// One direction of a tunnel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sa {
    /// The security parameters index, chosen by the receiver.
    pub spi: Spanned<u32>,
    /// The file with cipher and key.
    pub key_file: Spanned<String>,
}
