//! The view on a terminal of any size: a line on top, the tables, the keys at the bottom.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::app::App;
use super::figures::{short, sum};
use super::model::Role;
use super::table::{Cell, Table, Tone};
use crate::status::Worker;

const HELP: &str = "\
Every figure is what happened between the last two looks at a role, but for
totals and latencies, which are since its start. A role that has just been
found, or has restarted, has no figures until the next look.

  #             a role's number in the first table
  BUSY          share of the time in which the worker did not sleep
  SEALED        inner bits that it encrypted, OPENED: that it decrypted
  p50 .. MAX    time from receive to transmit
  RX, TX RING   how full the rings are; FILL: frames ready to receive into
  STAGES        ns that a packet takes, of one round in 31 that is timed
  BURST         packets that the worker takes at once, and how often how many

  q, Ctrl-C     quit                s     sort by name, traffic, busy, drops
  arrows, j, k  scroll a line       p     pause, and go on
  space, pages  scroll a page       ?     this help
  g, G          the start, the end

Any key closes this.";

/// Draws the view.
pub fn draw(frame: &mut Frame<'_>, app: &mut App, now: Instant) {
    let rows = [
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ];
    let [top, middle, bottom] = Layout::vertical(rows).areas(frame.area());
    let lines = if app.shows_help() {
        HELP.lines().map(Line::from).collect()
    } else {
        lines(&app.tables(now), usize::from(middle.width))
    };
    let count = lines.len();
    let first = app.scrolled(count, usize::from(middle.height));
    frame.render_widget(head(app), top);
    let shown: Vec<_> = lines.into_iter().skip(first).collect();
    frame.render_widget(Paragraph::new(shown), middle);
    frame.render_widget(foot(app, first, count, middle), bottom);
}

fn head(app: &App) -> Line<'static> {
    let roles = app.shown();
    let up = roles.iter().filter(|role| role.trouble.is_none()).count();
    let mut text = format!("causeway top  {up} of {} up", roles.len());
    let paces = || roles.iter().filter_map(Role::pace);
    if paces().next().is_some() {
        let all = |counter: fn(&Worker) -> u64| -> f64 {
            let of_role = |pace: super::model::Pace<'_>| {
                pace.of(|status| sum(status.workers.iter().map(counter)))
            };
            paces().map(of_role).sum()
        };
        let packets = all(|worker| sum([worker.sealed.packets, worker.opened.packets]));
        let sealed = all(|worker| worker.sealed.bytes) * 8.0;
        let opened = all(|worker| worker.opened.bytes) * 8.0;
        text += &format!(
            "  {} pkt/s  sealed {} bit/s  opened {} bit/s",
            short(packets),
            short(sealed),
            short(opened)
        );
    }
    let mut spans = vec![Span::styled(text, Modifier::BOLD)];
    if app.is_paused() {
        spans.push(Span::styled("  PAUSED", style(Tone::Warn)));
    }
    Line::from(spans)
}

fn foot(app: &App, first: usize, count: usize, area: Rect) -> Line<'static> {
    let last = (first + usize::from(area.height)).min(count);
    let mut text = format!("q quit  s sort: {}  p pause  ? help", app.sort().name());
    if last - first < count {
        text += &format!("  lines {} to {last} of {count}", first + 1);
    }
    Line::styled(text, style(Tone::Dim))
}

/// All tables below each other.
fn lines(tables: &[Table], width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for table in tables {
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(Line::styled(
            table.title.clone(),
            Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD),
        ));
        let (header, rows) = table.lines(Some(width));
        lines.push(Line::styled(header, style(Tone::Dim)));
        let span = |cell: &Cell| Span::styled(cell.text().to_owned(), style(cell.tone));
        let row = |row: &Vec<Cell>| Line::from_iter(row.iter().map(span));
        lines.extend(rows.iter().map(row));
    }
    lines
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Warn => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        Tone::Dim => Style::new().add_modifier(Modifier::DIM),
    }
}
