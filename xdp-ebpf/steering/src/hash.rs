//! The bucket of a flow: SipHash-1-3 over the flow's key.
//!
//! The hash is keyed, so that an outsider cannot choose addresses and ports that all hash to one
//! gateway. It is a pseudorandom function, not just a mixer, because an outsider can see which
//! gateway answers. An IPv4 flow has 13 octets (two words, five rounds), an IPv6 flow 37 octets
//! (five words, eight rounds). BPF has all the operations: addition, rotation and xor.

use crate::flow::FlowKey;
use crate::limits::BUCKETS;

/// The keyed hash with which both VPCs of a peering steer. The same key on both sides gives a flow
/// and its replies the same bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct SteerHash {
    /// The 128-bit key as two words.
    pub key: [u64; 2],
}

impl SteerHash {
    /// A hash with this 16-octet `key`.
    pub fn new(key: [u8; 16]) -> Self {
        let word = |half: &[u8]| {
            let mut octets = [0; 8];
            octets.copy_from_slice(half);
            u64::from_le_bytes(octets)
        };
        Self {
            key: [word(&key[..8]), word(&key[8..])],
        }
    }

    /// The 64-bit hash of a flow.
    #[inline(always)]
    pub fn hash(&self, flow: &FlowKey) -> u64 {
        let ((low, low_port), (high, high_port)) = (flow.low, flow.high);
        let ports = (low_port as u64) << 16 | high_port as u64;
        let rest = (flow.protocol as u64) << 32 | ports;
        if low.is_ipv4() && high.is_ipv4() {
            return self.siphash([low.low << 32 | high.low & 0xffff_ffff], rest, 13);
        }
        self.siphash([low.high, low.low, high.high, high.low], rest, 37)
    }

    /// The hash of `octets` octets: `words`, then the at most seven octets of `rest`. SipHash puts the
    /// length into the last octet of the last word, so equal bits of two families hash differently.
    #[inline(always)]
    fn siphash<const WORDS: usize>(&self, words: [u64; WORDS], rest: u64, octets: u64) -> u64 {
        let [k0, k1] = self.key;
        let mut v = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        for word in words {
            compress(&mut v, word);
        }
        compress(&mut v, octets << 56 | rest);
        v[2] ^= 0xff;
        round(&mut v);
        round(&mut v);
        round(&mut v);
        v[0] ^ v[1] ^ v[2] ^ v[3]
    }

    /// The bucket of a flow, below [`BUCKETS`].
    #[inline(always)]
    pub fn bucket(&self, flow: &FlowKey) -> u32 {
        self.hash(flow) as u32 & (BUCKETS - 1)
    }
}

#[inline(always)]
fn compress(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    round(v);
    v[0] ^= word;
}

#[inline(always)]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}
