//! Settings of a NIC's driver over ethtool netlink: channels, rings and offloads.

use ethtool::{
    EthtoolAttr, EthtoolChannelAttr, EthtoolError, EthtoolFeatureAttr, EthtoolHandle,
    EthtoolRingAttr,
};
use futures_util::{Stream, TryStreamExt};

use crate::xdp::{self, XdpFeatures};

/// A driver's settings. A part is absent if the driver does not report it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hardware {
    /// Queues (ethtool(8), `-l`).
    pub channels: Option<Channels>,
    /// Descriptor rings of a queue (`-g`).
    pub rings: Option<Rings>,
    /// Offloads (`-k`), by the kernel's names, such as `rx-lro`.
    pub offloads: Vec<Offload>,
    /// XDP features of the driver.
    pub xdp: Option<XdpFeatures>,
}

/// Queues in use, and their maxima.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Channels {
    /// Queues that receive and transmit.
    pub combined: Count,
    /// Queues that only receive.
    pub rx: Count,
    /// Queues that only transmit.
    pub tx: Count,
}

impl Channels {
    /// The number of receive queues and of transmit queues in use.
    pub fn in_use(&self) -> (u32, u32) {
        let both = self.combined.current;
        (
            both.saturating_add(self.rx.current),
            both.saturating_add(self.tx.current),
        )
    }
}

/// Descriptors in the rings of each queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rings {
    /// Receive descriptors.
    pub rx: Count,
    /// Transmit descriptors.
    pub tx: Count,
}

/// A configurable number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// The current setting.
    pub current: u32,
    /// The driver's maximum.
    pub max: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offload {
    /// The kernel's name of the offload.
    pub name: String,
    /// True if the offload is active.
    pub on: bool,
    /// True if the offload cannot be changed.
    pub fixed: bool,
}

impl Hardware {
    /// The offload with this name, if the driver has it.
    pub fn offload(&self, name: &str) -> Option<&Offload> {
        self.offloads.iter().find(|offload| offload.name == name)
    }
}

/// Queries the driver of the NIC with this name and index, in the caller's network namespace. Parts that the driver
/// does not report are absent from the result.
///
/// Call it within a tokio runtime that has I/O enabled.
pub async fn hardware(name: &str, index: u32) -> Hardware {
    let settings = query(async |handle| {
        Some(Hardware {
            channels: channels_of(handle, name).await,
            rings: rings(handle, name).await,
            offloads: offloads(handle, name).await.unwrap_or_default(),
            xdp: xdp::features(handle, index).await,
        })
    });
    settings.await.unwrap_or_default()
}

/// The NIC's queues, if the driver reports channels.
pub(crate) async fn channels(name: &str) -> Option<Channels> {
    query(async |handle| channels_of(handle, name).await).await
}

async fn query<T>(request: impl AsyncFnOnce(&mut EthtoolHandle) -> Option<T>) -> Option<T> {
    let (connection, mut handle, _unsolicited) = ethtool::new_connection().ok()?;
    tokio::select! {
        answer = request(&mut handle) => answer,
        () = connection => None,
    }
}

async fn channels_of(handle: &mut EthtoolHandle, name: &str) -> Option<Channels> {
    let answer = first(handle.channel().get(Some(name)).execute().await).await?;
    let mut channels = Channels::default();
    for attribute in answer.payload.nlas {
        let EthtoolAttr::Channel(attribute) = attribute else {
            continue;
        };
        match attribute {
            EthtoolChannelAttr::CombinedCount(count) => channels.combined.current = count,
            EthtoolChannelAttr::CombinedMax(max) => channels.combined.max = max,
            EthtoolChannelAttr::RxCount(count) => channels.rx.current = count,
            EthtoolChannelAttr::RxMax(max) => channels.rx.max = max,
            EthtoolChannelAttr::TxCount(count) => channels.tx.current = count,
            EthtoolChannelAttr::TxMax(max) => channels.tx.max = max,
            _ => {}
        }
    }
    Some(channels)
}

async fn rings(handle: &mut EthtoolHandle, name: &str) -> Option<Rings> {
    let answer = first(handle.ring().get(Some(name)).execute().await).await?;
    let mut rings = Rings::default();
    for attribute in answer.payload.nlas {
        let EthtoolAttr::Ring(attribute) = attribute else {
            continue;
        };
        match attribute {
            EthtoolRingAttr::Rx(count) => rings.rx.current = count,
            EthtoolRingAttr::RxMax(max) => rings.rx.max = max,
            EthtoolRingAttr::Tx(count) => rings.tx.current = count,
            EthtoolRingAttr::TxMax(max) => rings.tx.max = max,
            _ => {}
        }
    }
    Some(rings)
}

async fn offloads(handle: &mut EthtoolHandle, name: &str) -> Option<Vec<Offload>> {
    let answer = first(handle.feature().get(Some(name)).execute().await).await?;
    let (mut changeable, mut active, mut pinned) = (Vec::new(), Vec::new(), Vec::new());
    for attribute in answer.payload.nlas {
        match attribute {
            // This list has every offload; the other lists have only those that are active or fixed.
            EthtoolAttr::Feature(EthtoolFeatureAttr::Hw(bits)) => changeable = bits,
            EthtoolAttr::Feature(EthtoolFeatureAttr::Active(bits)) => active = bits,
            EthtoolAttr::Feature(EthtoolFeatureAttr::NoChange(bits)) => pinned = bits,
            _ => {}
        }
    }
    let offloads = changeable.into_iter().map(|bit| Offload {
        on: active.iter().any(|on| on.name == bit.name),
        fixed: !bit.value || pinned.iter().any(|fixed| fixed.name == bit.name),
        name: bit.name,
    });
    Some(offloads.collect())
}

/// The first answer to a request about one NIC. `None` if the driver returns an error.
async fn first<M>(
    answers: Result<impl Stream<Item = Result<M, EthtoolError>>, EthtoolError>,
) -> Option<M> {
    Box::pin(answers.ok()?).try_next().await.ok()?
}
