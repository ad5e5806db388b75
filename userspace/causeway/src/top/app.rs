//! The state of the view, and the effect of keys.

use std::time::Instant;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::Role;
use super::table::Table;
use super::tables::{Sort, tables};
use causeway_api::status::Status;

/// Lines that two consecutive pages have in common.
const OVERLAP: usize = 2;

#[derive(Clone, Debug)]
pub struct App {
    roles: Vec<Role>,
    /// The roles at the time of the pause, while the view is paused.
    paused: Option<(Vec<Role>, Instant)>,
    sort: Sort,
    help: bool,
    /// The first visible line.
    scroll: usize,
    /// All lines, and visible lines, of the last drawing.
    lines: usize,
    visible: usize,
}

/// Whether the view stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Continue,
    Quit,
}

impl App {
    /// A view of the roles at `endpoints`.
    pub fn new(endpoints: impl Iterator<Item = String>) -> Self {
        Self {
            roles: endpoints.map(Role::new).collect(),
            paused: None,
            sort: Sort::default(),
            help: false,
            scroll: 0,
            lines: 0,
            visible: 0,
        }
    }

    /// Records the result of a reading of the role at `index`.
    pub fn update(&mut self, index: usize, at: Instant, answer: Result<Status, String>) {
        match answer {
            Ok(status) => self.roles[index].answered(at, status),
            Err(error) => self.roles[index].failed(error),
        }
    }

    /// The roles as of the last reading, also while the view is paused.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The roles that the view shows.
    pub fn shown(&self) -> &[Role] {
        match &self.paused {
            Some((roles, _)) => roles,
            None => &self.roles,
        }
    }

    /// The tables that the view shows.
    pub fn tables(&self, now: Instant) -> Vec<Table> {
        let now = self.paused.as_ref().map_or(now, |(_, then)| *then);
        tables(self.shown(), self.sort, now)
    }

    pub fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    pub fn shows_help(&self) -> bool {
        self.help
    }

    pub fn sort(&self) -> Sort {
        self.sort
    }

    /// The first visible line of `lines`, of which `visible` fit on the screen.
    pub fn first_line(&mut self, lines: usize, visible: usize) -> usize {
        (self.lines, self.visible) = (lines, visible);
        self.scroll = self.scroll.min(lines.saturating_sub(visible));
        self.scroll
    }

    /// Handles a key that was pressed at `now`.
    pub fn press(&mut self, key: KeyEvent, now: Instant) -> Next {
        if key.kind == KeyEventKind::Release {
            return Next::Continue;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let page = self.visible.saturating_sub(OVERLAP).max(1);
        match key.code {
            KeyCode::Char('c') if control => return Next::Quit,
            // Any key closes the help and has no other effect.
            _ if self.help => self.help = false,
            KeyCode::Char('q') | KeyCode::Esc => return Next::Quit,
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char('p') => {
                self.paused = match self.paused.take() {
                    Some(_) => None,
                    None => Some((self.roles.clone(), now)),
                };
            }
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('j') | KeyCode::Down => self.move_to(self.scroll + 1),
            KeyCode::Char('k') | KeyCode::Up => self.move_to(self.scroll.saturating_sub(1)),
            KeyCode::Char(' ') | KeyCode::PageDown => self.move_to(self.scroll + page),
            KeyCode::PageUp => self.move_to(self.scroll.saturating_sub(page)),
            KeyCode::Char('g') | KeyCode::Home => self.move_to(0),
            KeyCode::Char('G') | KeyCode::End => self.move_to(self.lines),
            _ => {}
        }
        Next::Continue
    }

    fn move_to(&mut self, line: usize) {
        self.scroll = line.min(self.lines.saturating_sub(self.visible));
    }
}
