//! The BPF maps, and the verdict's access to them.

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::map,
    maps::{
        Array, HashMap, LpmTrie, PerCpuArray,
        lpm_trie::Key,
        xdp::{DevMap, XskMap},
    },
    programs::XdpContext,
};
use causeway_steering::{
    Address, BUCKETS, Bucket, MAX_ADDRESSES, MAX_GATEWAYS, MAX_PEERINGS, MAX_PREFIXES, MAX_QUEUES,
    MAX_SAS, MAX_WORKERS, Tables,
    bucket::clock,
    maps::{Counts, Destination, Gateway, Host},
};

/// The cache of destinations has 1024 entries of 24 octets per CPU, which fit into the L2 cache.
const RECENT_BITS: u32 = 10;

#[map]
static HOST: Array<Host> = Array::with_max_entries(1, 0);
#[map]
static WORKER_OF_SPI: HashMap<u32, u32> = HashMap::with_max_entries(MAX_SAS, 0);
#[map]
static DESTINATIONS_V4: LpmTrie<[u8; 4], u32> =
    LpmTrie::with_max_entries(MAX_PREFIXES + MAX_ADDRESSES + MAX_GATEWAYS, 0);
#[map]
static DESTINATIONS_V6: LpmTrie<[u8; 16], u32> =
    LpmTrie::with_max_entries(MAX_PREFIXES + MAX_ADDRESSES + MAX_GATEWAYS, 0);
#[map(name = "BUCKETS")]
static ENTRIES: Array<u64> = Array::with_max_entries(MAX_PEERINGS * BUCKETS, 0);
#[map]
static GATEWAYS: Array<Gateway> = Array::with_max_entries(MAX_GATEWAYS, 0);
#[map]
static SOCKETS: XskMap = XskMap::with_max_entries(MAX_QUEUES * MAX_WORKERS, 0);
#[map]
static NIC: DevMap = DevMap::with_max_entries(1, 0);
#[map]
static RECENT: PerCpuArray<Recent> = PerCpuArray::with_max_entries(1 << RECENT_BITS, 0);
#[map]
static COUNTERS: PerCpuArray<Counts> = PerCpuArray::with_max_entries(1, 0);

/// One run of the program: its packet, the host's parameters and this CPU's counters. A map lookup
/// costs some nanoseconds, so these two are looked up once per packet.
pub struct Run<'a> {
    pub ctx: &'a XdpContext,
    pub host: &'a Host,
    counts: *mut Counts,
}

impl<'a> Run<'a> {
    /// Never returns `None`, because each of the two maps has one element.
    #[inline(always)]
    pub fn new(ctx: &'a XdpContext) -> Option<Self> {
        Some(Self {
            ctx,
            host: HOST.get(0)?,
            counts: COUNTERS.get_ptr_mut(0)?,
        })
    }

    /// Adds one to a counter of `causeway_steering::reason::counter`.
    #[inline(always)]
    pub fn count(&self, index: u32) {
        // SAFETY: the element is this CPU's own, and the program does not preempt itself.
        if let Some(counter) = unsafe { (*self.counts).ends.get_mut(index as usize) } {
            *counter += 1;
        }
    }

    /// Counts a packet that was steered to a gateway.
    #[inline(always)]
    pub fn count_gateway(&self, index: u32, bytes: u64) {
        // SAFETY: as in `count`.
        if let Some(traffic) = unsafe { (*self.counts).gateways.get_mut(index as usize) } {
            traffic.packets += 1;
            traffic.bytes += bytes;
        }
    }
}

impl Tables for Run<'_> {
    #[inline(always)]
    fn host(&self) -> Option<Host> {
        // The MAC address is zero until the host has filled the tables.
        Some(*self.host).filter(|host| host.mac != [0; 3])
    }

    #[inline(always)]
    fn worker_of(&self, spi: u32) -> Option<u32> {
        // SAFETY: the word is copied out before the element could be replaced.
        unsafe { WORKER_OF_SPI.get(spi) }.copied()
    }

    #[inline(always)]
    fn destination(&self, address: Address) -> Option<Destination> {
        let Some(recent) = Recent::slot(address) else {
            return longest_prefix(address);
        };
        if recent.known != 0 && recent.address == address {
            return Some(recent.destination.into());
        }
        let destination = longest_prefix(address)?;
        *recent = Recent {
            address,
            destination: destination.into(),
            known: 1,
        };
        Some(destination)
    }

    #[inline(always)]
    fn gateway_of(&self, peering: u32, bucket: u32, host: &Host) -> Option<u32> {
        let entry = ENTRIES.get_ptr_mut(peering * BUCKETS + bucket)?;
        // SAFETY: an aligned word of the map; volatile, so that it is loaded once and whole.
        let word = unsafe { entry.read_volatile() };
        let bucket = Bucket::from(word);
        Some(match bucket.is_moving() {
            true => route_moving(entry, word, host.skew),
            false => bucket.gateway as u32,
        })
    }

    #[inline(always)]
    fn gateway(&self, index: u32) -> Option<Gateway> {
        GATEWAYS.get(index).copied()
    }

    #[inline(always)]
    fn queue(&self) -> u32 {
        // SAFETY: the kernel passes a valid context to the program.
        unsafe { (*self.ctx.ctx).rx_queue_index }
    }
}

/// The owner of the longest prefix that covers `address`, from the tries.
#[inline(always)]
fn longest_prefix(address: Address) -> Option<Destination> {
    // A trie compares octets from the first on, so the key is in network order.
    // Each family has its own trie: in a common one `::/0` would also cover IPv4-mapped addresses.
    let value = match address.ipv4() {
        Some(address) => DESTINATIONS_V4.get(Key::new(32, address.octets())),
        None => DESTINATIONS_V6.get(Key::new(128, address.bits().to_be_bytes())),
    }?;
    Some((*value).into())
}

/// A cached lookup in the tries, per CPU. The host writes the prefixes before the first packet is steered and never again.
/// Later it adds addresses of gateways, which had no entry to be cached, and removes them, which leaves the entry of an
/// address that only ESP is compared with.
#[repr(C)]
struct Recent {
    address: Address,
    destination: u32,
    /// 0 if the entry is empty.
    known: u32,
}

impl Recent {
    /// The only slot that may hold `address`.
    #[inline(always)]
    fn slot(address: Address) -> Option<&'static mut Self> {
        // Fibonacci hashing: the upper bits of the product depend on all of the address.
        let mixed = (address.high ^ address.low).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = RECENT.get_ptr_mut((mixed >> (64 - RECENT_BITS)) as u32)?;
        // SAFETY: the element is this CPU's own, and the program does not preempt itself.
        Some(unsafe { &mut *slot })
    }
}

/// The gateway of a packet in a moving bucket whose entry was read as `word`. Not inlined, so that
/// the verifier and the processor's cache handle it apart from the fast path.
#[inline(never)]
fn route_moving(entry: *mut u64, mut word: u64, skew: u32) -> u32 {
    // If another CPU or the host has written in between, the new value is evaluated. After four lost
    // races the packet goes to the old gateway, like the packet just before.
    for _ in 0..4 {
        // SAFETY: a helper without preconditions.
        let now = || clock(unsafe { bpf_ktime_get_ns() });
        let routed = Bucket::from(word).route(now, skew);
        let found = compare_exchange(entry, word, routed.into());
        if found == word {
            return routed.gateway as u32;
        }
        word = found;
    }
    Bucket::from(word).gateway as u32
}

/// Writes `new` if the value is `old`, and returns the value before.
///
/// Rust offers no atomics for BPF, which has had the instruction since Linux 5.12.
#[cfg(target_arch = "bpf")]
#[inline(always)]
fn compare_exchange(word: *mut u64, old: u64, new: u64) -> u64 {
    let found;
    // SAFETY: `word` is an element of a map, which the verifier checks again.
    unsafe {
        core::arch::asm!(
            "r0 = cmpxchg_64({word} + 0, r0, {new})",
            word = in(reg) word,
            new = in(reg) new,
            inout("r0") old => found,
        );
    }
    found
}

/// A stub for clippy, which compiles the program for the host.
#[cfg(not(target_arch = "bpf"))]
fn compare_exchange(_: *mut u64, _: u64, _: u64) -> u64 {
    unreachable!("the program runs in the kernel alone")
}

/// Redirects the packet to the socket of `worker` on the packet's queue; false if none is bound.
#[inline(always)]
pub fn redirect_to_worker(queue: u32, worker: u32) -> bool {
    // The flags are the action for an empty slot: 0 is XDP_ABORTED. `redirect` returns it as an
    // error, so that the caller counts the reason.
    SOCKETS.redirect(queue * MAX_WORKERS + worker, 0).is_ok()
}

/// Sends the packet through the NIC on which it arrived.
///
/// It uses a device map, because XDP_TX on a veth leaves frames unsent in kernel 6.18.
#[inline(always)]
pub fn redirect_to_nic() -> bool {
    NIC.redirect(0, 0).is_ok()
}
