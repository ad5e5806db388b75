//! The reference figures to exceed: DPDK's ipsec-secgw with intel-ipsec-mb over memory rings, on one core (2.3 GHz TSC,
//! AVX-512 with VAES). Sizes are of inner packets.

use causeway_esp::Cipher;
use serde::Serialize;

use super::figures::Cell;
use super::points::{Axis, Place};
use crate::engine::figures::Direction;

/// Mpps at 64, 512 and 1400 bytes.
const PEER: [(Cipher, Direction, [f64; 3]); 4] = [
    (Cipher::Aes128Gcm, Direction::Seal, [10.0, 6.6, 4.3]),
    (Cipher::Aes256Gcm, Direction::Seal, [9.9, 6.6, 3.8]),
    (Cipher::ChaCha20Poly1305, Direction::Seal, [4.1, 2.3, 1.5]),
    (Cipher::Aes128Gcm, Direction::Open, [8.4, 5.8, 3.9]),
];
const SIZES: [&str; 3] = ["64", "512", "1400"];

/// A figure of Causeway, and the figure of DPDK ipsec-secgw for the same packets.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "PeerFigure"))]
pub struct Row {
    /// The AEAD.
    pub cipher: &'static str,
    /// Size of the inner packet in bytes.
    pub size: &'static str,
    /// The direction of the packets.
    pub direction: Direction,
    /// Million packets per second of ipsec-secgw, as given.
    pub peer_mpps: f64,
    /// Million packets per second of Causeway.
    pub mpps: f64,
    /// `mpps` over `peer_mpps`.
    pub ratio: f64,
}

/// One row for each peer figure that was measured here, with frames in L2 as in the peer's measurement.
pub fn rows(cells: &[Cell]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (cipher, direction, figures) in PEER {
        for (size, peer_mpps) in SIZES.into_iter().zip(figures) {
            let ours = cells.iter().find(|cell| {
                let place = (cell.axis, cell.frames) == (Axis::Table, Place::L2);
                place
                    && (cell.cipher, cell.direction, &*cell.size)
                        == (cipher.name(), direction, size)
            });
            rows.extend(ours.map(|ours| Row {
                cipher: cipher.name(),
                size,
                direction,
                peer_mpps,
                mpps: ours.mpps,
                ratio: ours.mpps / peer_mpps,
            }));
        }
    }
    rows
}
