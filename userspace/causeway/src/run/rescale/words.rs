//! What the tunnels of this host's own workers bring for its demux.

use std::sync::Arc;
use std::thread::Builder;
use std::time::Instant;

use anyhow::Context;
use causeway_gateway::Word;
use crossbeam::channel::{Receiver, Select, TryRecvError};

use super::noise::Noise;
use super::socket::Ear;
use crate::wire::{PORT, Seals, parse};

/// A worker's words, and for each of its tunnels whom they concern.
pub struct Mouth {
    /// What it brings.
    pub words: Receiver<Word>,
    /// The peering of each tunnel, if it is changed at run time.
    pub ears: Vec<Option<Ear>>,
}

/// Starts the thread that hears the workers. It ends when the last of them has.
///
/// # Errors
/// Where the thread cannot be started.
pub fn hear(mouths: Vec<Mouth>, seals: Arc<Seals>) -> anyhow::Result<()> {
    Builder::new()
        .name("words".into())
        .spawn(move || listen(mouths, &seals))
        .context("cannot start the thread that hears the peers' demuxes")?;
    Ok(())
}

fn listen(mut mouths: Vec<Mouth>, seals: &Seals) {
    let mut noise = Noise::default();
    while !mouths.is_empty() {
        let mut select = Select::new();
        for mouth in &mouths {
            select.recv(&mouth.words);
        }
        let ready = select.ready();
        match mouths[ready].words.try_recv() {
            Ok(word) => hand(&word, &mouths[ready].ears, seals, &mut noise),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                mouths.swap_remove(ready);
            }
        }
    }
}

fn hand(word: &Word, ears: &[Option<Ear>], seals: &Seals, noise: &mut Noise) {
    let Some(packet) = parse(word.packet()) else {
        return;
    };
    let from = (packet.from, PORT).into();
    match ears.get(word.tunnel) {
        Some(Some(ear)) if ear.demux == packet.from => match seals.open(packet.payload) {
            Ok(said) => ear.word(Instant::now(), said),
            Err(error) => noise.heard(from, &error),
        },
        _ => noise.heard(from, &"this is not the peer's demux"),
    }
}
