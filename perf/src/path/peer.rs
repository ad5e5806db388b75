//! The peer to beat: DPDK's ipsec-secgw with intel-ipsec-mb over memory rings, one core of this class (2.3 GHz TSC,
//! AVX-512 with VAES), inner sizes.

use causeway_esp::Cipher;
use serde::Serialize;

use super::figures::Cell;
use super::points::{Axis, Place};
use crate::engine::figures::Direction;

/// Million packets per second at 64, 512 and 1400 bytes.
const PEER: [(Cipher, Direction, [f64; 3]); 4] = [
    (Cipher::Aes128Gcm, Direction::Seal, [10.0, 6.6, 4.3]),
    (Cipher::Aes256Gcm, Direction::Seal, [9.9, 6.6, 3.8]),
    (Cipher::ChaCha20Poly1305, Direction::Seal, [4.1, 2.3, 1.5]),
    (Cipher::Aes128Gcm, Direction::Open, [8.4, 5.8, 3.9]),
];
const SIZES: [&str; 3] = ["64", "512", "1400"];

/// Ours beside the peer's.
#[derive(Serialize)]
pub struct Row {
    pub cipher: &'static str,
    pub size: &'static str,
    pub direction: Direction,
    pub peer_mpps: f64,
    pub mpps: f64,
    /// Ours over the peer's.
    pub ratio: f64,
}

/// A row for each figure of the peer's that was measured here, with frames in L2 as the peer's are.
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
