//! Status documents for `causeway top`: arbitrary documents give tables, and no terminal control characters pass through.

use std::time::{Duration, Instant};

use causeway::top::app::App;
use causeway::top::screen::draw;
use causeway::top::text;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use crate::input::Input;

/// Input: two bytes for the size of the terminal, then the answers of a role, one per line.
pub(crate) fn run(input: &[u8]) {
    let mut input = Input(input);
    let (width, height) = (input.octet(), input.octet());
    let start = Instant::now();
    let mut app = App::new(["here".to_owned()].into_iter());
    let mut now = start;
    for line in input.0.split(|&octet| octet == b'\n') {
        now += Duration::from_millis(1500);
        let answer = serde_json::from_slice(line).map_err(|error| error.to_string());
        app.update(0, now, answer);
    }
    let tables = app.tables(now);
    let text = text(&tables);
    let is_control = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(is_control), "{text:?}");
    for table in &tables {
        let columns = table.columns.iter().enumerate();
        for (place, _) in columns.filter(|(_, column)| column.right_aligned) {
            for row in &table.rows {
                let figure = row[place].text();
                let is_number = figure == "-" || figure.starts_with(|c: char| c.is_ascii_digit());
                assert!(is_number, "{figure:?} under {}", table.columns[place].name);
            }
        }
    }
    let backend = TestBackend::new(width.into(), height.into());
    let mut terminal = Terminal::new(backend).expect("a terminal in memory");
    let drawn = terminal.draw(|frame| draw(frame, &mut app, now));
    drawn.expect("a terminal in memory");
}
