//! What a lab is asked to be.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The largest cluster the lab builds on each side.
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
        /// Each gateway on a host of its own; the demux sends packets on to it.
        Remote = "remote",
        /// All gateways on the demux's host, as workers of its NIC.
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
    /// How ESP travels over the trunk.
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
    /// What the hosts of the two VPCs say to each other.
    Inner {
        /// IPv4 alone.
        Ipv4 = "ipv4",
        /// IPv6 alone.
        Ipv6 = "ipv6",
        /// Half the flows in each.
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

    /// The family of one flow of many: they take turns.
    pub fn family(self, flow: u16) -> Family {
        let families = self.families();
        families[usize::from(flow) % families.len()]
    }
}

named! {
    /// The XDP mode that the configuration asks for.
    NicMode {
        /// Driver mode, falling back to SKB mode.
        Auto = "auto",
        /// Driver mode or nothing.
        Driver = "driver",
        /// SKB (generic) mode.
        Skb = "skb",
    }
}

/// The shape of a lab.
#[derive(Clone, Debug)]
pub struct Options {
    /// Gateways on each side, 1 to 10.
    pub gateways: u8,
    /// How many of them, the last ones, are in no cluster at first.
    pub standby: u8,
    /// Where they run.
    pub placement: Placement,
    /// Their AEAD.
    pub cipher: Cipher,
    /// Their encapsulation.
    pub encapsulation: Encapsulation,
    /// What they carry.
    pub inner: Inner,
    /// What carries them.
    pub outer: Family,
    /// Plain hosts on each side, 2 to 50.
    pub hosts: u8,
    /// MTU of every link, trunk included, in bytes.
    pub mtu: u32,
    /// What the trunk adds to the time of a packet, each way.
    pub delay: Duration,
    /// Clamp the MSS of TCP connections that enter the tunnel.
    pub clamp_mss: bool,
    /// XDP mode written into the configuration files.
    pub nic_mode: NicMode,
    /// The `causeway` binary.
    pub causeway: PathBuf,
    /// The XDP program's object file.
    pub xdp_object: PathBuf,
}

impl Options {
    /// Three remote gateways a side, AES-128-GCM in UDP over IPv4, both families inside, MTU 1500.
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

    /// Whether machines have addresses of this family. One that is neither carried nor carries is
    /// absent from the lab altogether.
    pub(crate) fn has(&self, family: Family) -> bool {
        self.outer == family || self.inner.families().contains(&family)
    }

    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            (1..=MAX_GATEWAYS).contains(&self.gateways),
            "a lab has 1 to {MAX_GATEWAYS} gateways a side, {} were asked for",
            self.gateways
        );
        anyhow::ensure!(
            self.standby < self.gateways,
            "a cluster has a gateway at first, {} standbys of {} were asked for",
            self.standby,
            self.gateways
        );
        anyhow::ensure!(
            (2..=50).contains(&self.hosts),
            "a lab has 2 to 50 hosts a side, {} were asked for",
            self.hosts
        );
        anyhow::ensure!(
            !self.has(Family::Ipv6) || self.mtu >= 1280,
            "IPv6 wants links of at least 1280 octets (RFC 8200 section 5), {} were asked for",
            self.mtu
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_written() {
        for cipher in [
            Cipher::Aes128Gcm,
            Cipher::Aes256Gcm,
            Cipher::ChaCha20Poly1305,
        ] {
            assert_eq!(cipher.to_string().parse(), Ok(cipher));
        }
        let refused = "both".parse::<Placement>().unwrap_err();
        assert_eq!(refused, "expected one of remote, local, got \"both\"");
    }

    #[test]
    fn flows_take_turns_between_the_families() {
        let of = |inner: Inner| [0, 1, 2].map(|flow| inner.family(flow));
        assert_eq!(of(Inner::Ipv6), [Family::Ipv6; 3]);
        assert_eq!(of(Inner::Both), [Family::Ipv4, Family::Ipv6, Family::Ipv4]);
    }

    #[test]
    fn sizes_outside_the_plan_are_refused() {
        for gateways in [0, 11] {
            let options = Options {
                gateways,
                ..Options::new("c", "x")
            };
            assert!(options.check().is_err(), "{gateways} gateways");
        }
    }
}
