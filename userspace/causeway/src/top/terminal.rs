//! The live view. It sets the terminal up, and restores it at the end, also after a panic or a signal.

use std::io;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{SignalKind, signal};

use super::app::{App, Next};
use super::endpoint::Endpoint;
use super::{poll, screen};

/// Shows the roles at `endpoints` until a key or a signal closes the view.
///
/// # Errors
/// The terminal cannot be set up, read or drawn on.
pub async fn show(endpoints: &[Endpoint], every: Duration) -> anyhow::Result<()> {
    // Also restores the terminal after a panic, before the panic's message is printed.
    let mut terminal = ratatui::try_init().context("cannot set up the terminal")?;
    let shown = run(&mut terminal, endpoints, every).await;
    ratatui::try_restore().context("cannot restore the terminal")?;
    shown
}

async fn run(
    terminal: &mut DefaultTerminal,
    endpoints: &[Endpoint],
    every: Duration,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut events = EventStream::new();
    let mut app = App::new(endpoints.iter().map(Endpoint::to_string));
    let mut readings = poll::start(endpoints, every);
    loop {
        draw(terminal, &mut app)?;
        let next = tokio::select! {
            _ = terminate.recv() => Next::Quit,
            _ = interrupt.recv() => Next::Quit,
            _ = hangup.recv() => Next::Quit,
            event = events.next() => match event {
                Some(Ok(Event::Key(key))) => app.press(key, Instant::now()),
                // For example a new size, which the next drawing uses.
                Some(Ok(_)) => Next::Continue,
                Some(Err(error)) => return Err(error).context("cannot read the terminal"),
                None => Next::Quit,
            },
            Some(reading) = readings.recv() => {
                app.update(reading.index, reading.at, reading.answer);
                Next::Continue
            }
        };
        if next == Next::Quit {
            return Ok(());
        }
    }
}

fn draw(terminal: &mut DefaultTerminal, app: &mut App) -> io::Result<()> {
    terminal.draw(|frame| screen::draw(frame, app, Instant::now()))?;
    Ok(())
}
