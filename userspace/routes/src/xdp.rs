//! XDP features of a NIC's driver, from the kernel's `netdev` family of generic netlink (since Linux 6.3).

use ethtool::EthtoolHandle;
use futures_util::TryStreamExt;
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};
use rtnetlink::packet_core::{
    DecodeError, DefaultNla, Emitable, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload, NlaBuffer,
    NlasIterator, Parseable, ParseableParametrized, parse_u64,
};

// From linux/netdev.h.
const CMD_DEV_GET: u8 = 1;
const ATTRIBUTE_IFINDEX: u16 = 1;
const ATTRIBUTE_XDP_FEATURES: u16 = 3;
const FEATURE_BASIC: u64 = 1;
const FEATURE_REDIRECT: u64 = 2;
const FEATURE_NDO_XMIT: u64 = 4;
const FEATURE_ZERO_COPY: u64 = 8;

/// XDP features as the driver reports them. A driver may report fewer features while it lacks resources, for example
/// queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XdpFeatures {
    /// The driver runs XDP programs itself, before the kernel allocates a socket buffer.
    pub native: bool,
    /// XDP programs may redirect packets, also to an AF_XDP socket.
    pub redirect: bool,
    /// The NIC transmits packets that were redirected to it.
    pub transmit: bool,
    /// The NIC reads and writes the frames of AF_XDP sockets without a copy.
    pub zero_copy: bool,
}

impl XdpFeatures {
    fn of(bits: u64) -> Self {
        Self {
            native: bits & FEATURE_BASIC != 0,
            redirect: bits & FEATURE_REDIRECT != 0,
            transmit: bits & FEATURE_NDO_XMIT != 0,
            zero_copy: bits & FEATURE_ZERO_COPY != 0,
        }
    }
}

/// The features of the NIC with this index. `None` if the kernel does not support the request.
pub(crate) async fn features(handle: &mut EthtoolHandle, index: u32) -> Option<XdpFeatures> {
    let message = Message(vec![DefaultNla::new(
        ATTRIBUTE_IFINDEX,
        index.to_ne_bytes().to_vec(),
    )]);
    let mut request = NetlinkMessage::from(GenlMessage::from_payload(message));
    request.header.flags = NLM_F_REQUEST;
    let mut answers = handle.handle.request(request).await.ok()?;
    let NetlinkPayload::InnerMessage(answer) = answers.try_next().await.ok()??.payload else {
        return None;
    };
    answer.payload.features()
}

/// The attributes of a request or of an answer.
#[derive(Debug)]
struct Message(Vec<DefaultNla>);

impl Message {
    fn features(&self) -> Option<XdpFeatures> {
        use rtnetlink::packet_core::Nla;
        let mut attributes = self.0.iter();
        let features = attributes.find(|attribute| attribute.kind() == ATTRIBUTE_XDP_FEATURES)?;
        let mut octets = vec![0; features.value_len()];
        features.emit_value(&mut octets);
        Some(XdpFeatures::of(parse_u64(&octets).ok()?))
    }
}

impl GenlFamily for Message {
    fn family_name() -> &'static str {
        "netdev"
    }

    fn command(&self) -> u8 {
        CMD_DEV_GET
    }

    fn version(&self) -> u8 {
        1
    }
}

impl Emitable for Message {
    fn buffer_len(&self) -> usize {
        self.0.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.0.as_slice().emit(buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Message {
    fn parse_with_param(octets: &[u8], _: GenlHeader) -> Result<Self, DecodeError> {
        let attributes = NlasIterator::new(octets)
            .map(|attribute: Result<NlaBuffer<&[u8]>, _>| DefaultNla::parse(&attribute?))
            .collect::<Result<_, _>>()?;
        Ok(Self(attributes))
    }
}
