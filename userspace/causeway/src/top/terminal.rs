//! The live view: the terminal is taken, and given back as it was however this ends.

use std::io;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use ratatui::DefaultTerminal;
use tokio::signal::unix::{SignalKind, signal};

use super::app::{App, Flow};
use super::endpoint::Endpoint;
use super::{poll, screen};

/// Shows the roles at these endpoints until somebody quits or a signal ends the process.
///
/// # Errors
/// The terminal cannot be taken, or fails.
pub async fn show(endpoints: &[Endpoint], every: Duration) -> anyhow::Result<()> {
    // Gives the terminal back in a panic as well, before its message is printed.
    let mut terminal = ratatui::try_init().context("cannot take the terminal")?;
    let shown = follow(&mut terminal, endpoints, every).await;
    ratatui::try_restore().context("cannot give the terminal back")?;
    shown
}

async fn follow(
    terminal: &mut DefaultTerminal,
    endpoints: &[Endpoint],
    every: Duration,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut events = EventStream::new();
    let mut app = App::new(endpoints.iter().map(Endpoint::to_string));
    let mut heard = poll::start(endpoints, every);
    loop {
        draw(terminal, &mut app)?;
        let flow = tokio::select! {
            _ = terminate.recv() => Flow::Quit,
            _ = interrupt.recv() => Flow::Quit,
            _ = hangup.recv() => Flow::Quit,
            event = events.next() => match event {
                Some(Ok(Event::Key(key))) => app.press(key, Instant::now()),
                // A new size, which the next drawing finds by itself.
                Some(Ok(_)) => Flow::On,
                Some(Err(error)) => return Err(error).context("cannot read the terminal"),
                None => Flow::Quit,
            },
            Some(one) = heard.recv() => {
                app.heard(one.place, one.at, one.answer);
                Flow::On
            }
        };
        if flow == Flow::Quit {
            return Ok(());
        }
    }
}

fn draw(terminal: &mut DefaultTerminal, app: &mut App) -> io::Result<()> {
    terminal.draw(|frame| screen::draw(frame, app, Instant::now()))?;
    Ok(())
}
