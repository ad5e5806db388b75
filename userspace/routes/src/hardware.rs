//! What a NIC's driver tells over ethtool's netlink: channels, rings and offloads.

use ethtool::{
    EthtoolAttr, EthtoolChannelAttr, EthtoolError, EthtoolFeatureAttr, EthtoolHandle,
    EthtoolRingAttr,
};
use futures_util::{Stream, TryStreamExt};

use crate::xdp::{self, XdpFeatures};

/// A driver's settings, each part only where the driver speaks of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hardware {
    /// Queues (ethtool(8), `-l`).
    pub channels: Option<Channels>,
    /// Descriptor rings of a queue (`-g`).
    pub rings: Option<Rings>,
    /// Offloads (`-k`), by the kernel's names, such as `rx-lro`.
    pub offloads: Vec<Offload>,
    /// What it can do with XDP.
    pub xdp: Option<XdpFeatures>,
}

/// Queues in use, and the most that there can be.
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
    /// Queues that receive, and queues that transmit.
    pub fn in_use(&self) -> (u32, u32) {
        let both = self.combined.current;
        (
            both.saturating_add(self.rx.current),
            both.saturating_add(self.tx.current),
        )
    }
}

/// Descriptors of each queue's rings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rings {
    /// To receive.
    pub rx: Count,
    /// To transmit.
    pub tx: Count,
}

/// A number that can be set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// As it is.
    pub current: u32,
    /// The most that the driver takes.
    pub most: u32,
}

/// An offload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offload {
    /// The kernel's name for it.
    pub name: String,
    /// Whether it is in force.
    pub on: bool,
    /// Whether it can be neither turned on nor off.
    pub fixed: bool,
}

impl Hardware {
    /// The offload of this name, if the driver has one.
    pub fn offload(&self, name: &str) -> Option<&Offload> {
        self.offloads.iter().find(|offload| offload.name == name)
    }
}

/// Asks the driver of the NIC with this name and index, in the caller's network namespace. What it does
/// not answer is missing from the result.
///
/// Call it within a tokio runtime that has I/O enabled.
pub async fn hardware(name: &str, index: u32) -> Hardware {
    let asked = ask(async |handle| {
        Some(Hardware {
            channels: channels_of(handle, name).await,
            rings: rings(handle, name).await,
            offloads: offloads(handle, name).await.unwrap_or_default(),
            xdp: xdp::features(handle, index).await,
        })
    });
    asked.await.unwrap_or_default()
}

/// The NIC's queues, where the driver speaks of channels.
pub(crate) async fn channels(name: &str) -> Option<Channels> {
    ask(async |handle| channels_of(handle, name).await).await
}

async fn ask<T>(question: impl AsyncFnOnce(&mut EthtoolHandle) -> Option<T>) -> Option<T> {
    let (connection, mut handle, _unsolicited) = ethtool::new_connection().ok()?;
    tokio::select! {
        answer = question(&mut handle) => answer,
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
            EthtoolChannelAttr::CombinedMax(most) => channels.combined.most = most,
            EthtoolChannelAttr::RxCount(count) => channels.rx.current = count,
            EthtoolChannelAttr::RxMax(most) => channels.rx.most = most,
            EthtoolChannelAttr::TxCount(count) => channels.tx.current = count,
            EthtoolChannelAttr::TxMax(most) => channels.tx.most = most,
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
            EthtoolRingAttr::RxMax(most) => rings.rx.most = most,
            EthtoolRingAttr::Tx(count) => rings.tx.current = count,
            EthtoolRingAttr::TxMax(most) => rings.tx.most = most,
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
            // The one list that names all; the others name those that they hold of.
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

/// The answer to a question about one NIC; a driver that has none gives an error.
async fn first<M>(
    answers: Result<impl Stream<Item = Result<M, EthtoolError>>, EthtoolError>,
) -> Option<M> {
    Box::pin(answers.ok()?).try_next().await.ok()?
}
