//! Draws the view on a terminal of any size: a header line, the tables, a footer with the keys.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::app::App;
use super::figures::{short, sum};
use super::model::{Rates, Role};
use super::table::{Cell, Table, Tone};
use causeway_api::status::Worker;

const HELP: &str = "\
Values are rates between the last two readings of a role. Totals and
latencies count from the start of the role. A new or restarted role has no
rates until its second reading.

  #             a role's number in the first table
  BUSY          share of time in which the worker did not sleep
  SEALED        inner bits encrypted; OPENED: inner bits decrypted
  p50 .. MAX    time from receive to transmit
  RX, TX RING   occupancy of the rings; FILL: frames ready to receive into
  STAGES        time per packet in ns; one round in 31 is timed
  BURST         mean burst length, then bursts by length

  q, Ctrl-C     quit                s     sort by name, traffic, busy, drops
  arrows, j, k  scroll a line       p     pause and continue
  space, pages  scroll a page       ?     this help
  g, G          first, last line

Any key closes this.";

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
    let first = app.first_line(count, usize::from(middle.height));
    frame.render_widget(header(app), top);
    let shown: Vec<_> = lines.into_iter().skip(first).collect();
    frame.render_widget(Paragraph::new(shown), middle);
    frame.render_widget(footer(app, first, count, middle), bottom);
}

fn header(app: &App) -> Line<'static> {
    let roles = app.shown();
    let up = roles.iter().filter(|role| role.error.is_none()).count();
    let mut text = format!("causeway top  {up} of {} up", roles.len());
    let rates = || roles.iter().filter_map(Role::rates);
    if rates().next().is_some() {
        let all = |counter: fn(&Worker) -> u64| -> f64 {
            let of_role = |rates: Rates<'_>| {
                rates.per_second(|status| sum(status.workers.iter().map(counter)))
            };
            rates().map(of_role).sum()
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

fn footer(app: &App, first: usize, count: usize, area: Rect) -> Line<'static> {
    let last = (first + usize::from(area.height)).min(count);
    let mut text = format!("q quit  s sort: {}  p pause  ? help", app.sort().name());
    if last - first < count {
        text += &format!("  lines {} to {last} of {count}", first + 1);
    }
    Line::styled(text, style(Tone::Dim))
}

/// The lines of all tables.
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
