//! The maps, and the verdict's view of them.

use aya_ebpf::{
    macros::map,
    maps::{
        Array, HashMap, LpmTrie, PerCpuArray,
        lpm_trie::Key,
        xdp::{DevMap, XskMap},
    },
    programs::XdpContext,
};
use causeway_steering::{
    Address, BUCKETS, MAX_ADDRESSES, MAX_GATEWAYS, MAX_PEERINGS, MAX_PREFIXES, MAX_QUEUES, MAX_SAS,
    MAX_WORKERS, Tables,
    maps::{Destination, Gateway, Host, Traffic},
    reason::counter,
};

#[map]
static HOST: Array<Host> = Array::with_max_entries(1, 0);
#[map]
static WORKER_OF_SPI: HashMap<u32, u32> = HashMap::with_max_entries(MAX_SAS, 0);
#[map]
static DESTINATIONS_V4: LpmTrie<[u8; 4], u32> =
    LpmTrie::with_max_entries(MAX_PREFIXES + MAX_ADDRESSES, 0);
#[map]
static DESTINATIONS_V6: LpmTrie<[u8; 16], u32> =
    LpmTrie::with_max_entries(MAX_PREFIXES + MAX_ADDRESSES, 0);
#[map]
static GATEWAY_OF_BUCKET: Array<u32> = Array::with_max_entries(MAX_PEERINGS * BUCKETS, 0);
#[map]
static GATEWAYS: Array<Gateway> = Array::with_max_entries(MAX_GATEWAYS, 0);
#[map]
static SOCKETS: XskMap = XskMap::with_max_entries(MAX_QUEUES * MAX_WORKERS, 0);
#[map]
static NIC: DevMap = DevMap::with_max_entries(1, 0);
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::COUNT, 0);
#[map]
static TRAFFIC: PerCpuArray<Traffic> = PerCpuArray::with_max_entries(MAX_GATEWAYS, 0);

/// The tables as the verdict reads them.
pub struct Maps<'a> {
    pub ctx: &'a XdpContext,
}

impl Tables for Maps<'_> {
    #[inline(always)]
    fn host(&self) -> Option<Host> {
        // Zero until the host wrote it: an unfilled table steers nothing.
        HOST.get(0).copied().filter(|host| host.mac != [0; 3])
    }

    #[inline(always)]
    fn worker_of(&self, spi: u32) -> Option<u32> {
        // SAFETY: a word is copied out before anything could replace the element.
        unsafe { WORKER_OF_SPI.get(spi) }.copied()
    }

    #[inline(always)]
    fn destination(&self, address: Address) -> Option<Destination> {
        // A trie compares octets from the first on, so the address stands in network order.
        // A trie for each family: in a common one `::/0` would cover IPv4-mapped addresses too.
        let value = match address.ipv4() {
            Some(address) => DESTINATIONS_V4.get(Key::new(32, address.octets())),
            None => DESTINATIONS_V6.get(Key::new(128, address.bits().to_be_bytes())),
        }?;
        Some((*value).into())
    }

    #[inline(always)]
    fn gateway_of(&self, peering: u32, bucket: u32) -> Option<u32> {
        GATEWAY_OF_BUCKET.get(peering * BUCKETS + bucket).copied()
    }

    #[inline(always)]
    fn gateway(&self, index: u32) -> Option<Gateway> {
        GATEWAYS.get(index).copied()
    }

    #[inline(always)]
    fn queue(&self) -> u32 {
        // SAFETY: the kernel hands a valid context to the program.
        unsafe { (*self.ctx.ctx).rx_queue_index }
    }
}

/// Adds one to a counter of `causeway_steering::reason::counter`.
#[inline(always)]
pub fn count(index: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: the element is this CPU's own, and the program is not preempted by itself.
        unsafe { *counter += 1 };
    }
}

/// Adds a packet to what went to a gateway.
#[inline(always)]
pub fn count_gateway(index: u32, bytes: u64) {
    if let Some(traffic) = TRAFFIC.get_ptr_mut(index) {
        // SAFETY: as in `count`.
        unsafe {
            (*traffic).packets += 1;
            (*traffic).bytes += bytes;
        }
    }
}

/// Hands the packet to the socket of `worker` on its own queue; false where none is bound.
#[inline(always)]
pub fn redirect_to_worker(queue: u32, worker: u32) -> bool {
    // The flags are the verdict for an empty slot: 0 is XDP_ABORTED, which `redirect` returns
    // as an error, so that the caller names the reason.
    SOCKETS.redirect(queue * MAX_WORKERS + worker, 0).is_ok()
}

/// Sends the packet out of the NIC on which it came.
///
/// A device map and not XDP_TX, which leaves frames lying on a veth of kernel 6.18.
#[inline(always)]
pub fn redirect_to_nic() -> bool {
    NIC.redirect(0, 0).is_ok()
}
