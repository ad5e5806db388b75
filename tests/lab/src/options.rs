//! The options of a lab.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The maximum number of gateways on each side.
pub const MAX_GATEWAYS: u8 = 10;

macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $text),+ })
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    other => Err(format!("expected one of {}, got {other:?}", [$($text),+].join(", "))),
                }
            }
        }
    };
}

named! {
    /// Where the gateways of a VPC run.
    Placement {
        /// Each gateway on its own host, reached from the demux over the network.
        Remote = "remote",
        /// All gateways in the demux's process, as workers on its NIC.
        Local = "local",
    }
}

named! {
    /// The AEAD of the tunnels.
    Cipher {
        /// AES-GCM with a 128-bit key (RFC 4106).
        Aes128Gcm = "aes-128-gcm",
        /// AES-GCM with a 256-bit key (RFC 4106).
        Aes256Gcm = "aes-256-gcm",
        /// ChaCha20-Poly1305 (RFC 7634).
        ChaCha20Poly1305 = "chacha20-poly1305",
    }
}

named! {
    /// The encapsulation of ESP on the trunk.
    Encapsulation {
        /// In UDP, destination port 4500 (RFC 3948).
        Udp = "udp",
        /// As IP protocol 50 (RFC 4303).
        Esp = "esp",
    }
}

named! {
    /// A version of IP.
    Family {
        /// RFC 791.
        Ipv4 = "ipv4",
        /// RFC 8200.
        Ipv6 = "ipv6",
    }
}

named! {
    /// The families of the packets between the hosts of the two VPCs.
    Inner {
        /// IPv4 alone.
        Ipv4 = "ipv4",
        /// IPv6 alone.
        Ipv6 = "ipv6",
        /// Every other flow in each.
        Both = "both",
    }
}

impl Inner {
    /// The families, IPv4 first.
    pub fn families(self) -> &'static [Family] {
        match self {
            Self::Ipv4 => &[Family::Ipv4],
            Self::Ipv6 => &[Family::Ipv6],
            Self::Both => &[Family::Ipv4, Family::Ipv6],
        }
    }

    /// The family of a flow. Successive flows alternate between the families.
    pub fn family(self, flow: u16) -> Family {
        let families = self.families();
        families[usize::from(flow) % families.len()]
    }
}

named! {
    /// The XDP mode in the configuration.
    NicMode {
        /// Driver mode, or SKB mode if the driver lacks it.
        Auto = "auto",
        /// Driver mode only.
        Driver = "driver",
        /// SKB (generic) mode.
        Skb = "skb",
    }
}

/// The options of a lab.
#[derive(Clone, Debug)]
pub struct Options {
    /// Gateways on each side, 1 to 10.
    pub gateways: u8,
    /// The number of gateways that are in no cluster at first. These are the last ones.
    pub standby: u8,
    pub placement: Placement,
    /// The AEAD of the tunnels.
    pub cipher: Cipher,
    pub encapsulation: Encapsulation,
    /// The families inside the tunnels.
    pub inner: Inner,
    /// The family of the tunnels' outer packets.
    pub outer: Family,
    /// Hosts without Causeway on each side, 2 to 50.
    pub hosts: u8,
    /// MTU of every link, including the trunk, in bytes.
    pub mtu: u32,
    /// The delay of the trunk in each direction.
    pub delay: Duration,
    /// Clamp the MSS of TCP connections that enter the tunnel.
    pub clamp_mss: bool,
    pub nic_mode: NicMode,
    /// The `causeway` binary.
    pub causeway: PathBuf,
    /// The XDP program's object file.
    pub xdp_object: PathBuf,
}

impl Options {
    /// Three remote gateways on each side, AES-128-GCM, UDP over IPv4, both families inside, MTU 1500.
    pub fn new(causeway: impl Into<PathBuf>, xdp_object: impl Into<PathBuf>) -> Self {
        Self {
            gateways: 3,
            standby: 0,
            placement: Placement::Remote,
            cipher: Cipher::Aes128Gcm,
            encapsulation: Encapsulation::Udp,
            inner: Inner::Both,
            outer: Family::Ipv4,
            hosts: 2,
            mtu: 1500,
            delay: Duration::ZERO,
            clamp_mss: false,
            nic_mode: NicMode::Auto,
            causeway: causeway.into(),
            xdp_object: xdp_object.into(),
        }
    }

    /// Whether machines have addresses of this family: it is an inner family or the outer one.
    pub(crate) fn has(&self, family: Family) -> bool {
        self.outer == family || self.inner.families().contains(&family)
    }

    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            (1..=MAX_GATEWAYS).contains(&self.gateways),
            "expected 1 to {MAX_GATEWAYS} gateways on each side, got {}",
            self.gateways
        );
        anyhow::ensure!(
            self.standby < self.gateways,
            "expected fewer standbys than gateways, got {} standbys of {} gateways",
            self.standby,
            self.gateways
        );
        anyhow::ensure!(
            (2..=50).contains(&self.hosts),
            "expected 2 to 50 hosts on each side, got {}",
            self.hosts
        );
        anyhow::ensure!(
            !self.has(Family::Ipv6) || self.mtu >= 1280,
            "IPv6 needs an MTU of at least 1280 bytes (RFC 8200 section 5), got {}",
            self.mtu
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_as_they_are_displayed() {
        for cipher in [
            Cipher::Aes128Gcm,
            Cipher::Aes256Gcm,
            Cipher::ChaCha20Poly1305,
        ] {
            assert_eq!(cipher.to_string().parse(), Ok(cipher));
        }
        let error = "both".parse::<Placement>().unwrap_err();
        assert_eq!(error, "expected one of remote, local, got \"both\"");
    }

    #[test]
    fn flows_alternate_between_the_families() {
        let of = |inner: Inner| [0, 1, 2].map(|flow| inner.family(flow));
        assert_eq!(of(Inner::Ipv6), [Family::Ipv6; 3]);
        assert_eq!(of(Inner::Both), [Family::Ipv4, Family::Ipv6, Family::Ipv4]);
    }

    #[test]
    fn a_number_of_gateways_out_of_range_is_refused() {
        for gateways in [0, 11] {
            let options = Options {
                gateways,
                ..Options::new("c", "x")
            };
            assert!(options.check().is_err(), "{gateways} gateways");
        }
    }
}
