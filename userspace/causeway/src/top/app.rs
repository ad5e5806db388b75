//! What the screen shows, and what keys do to it.

use std::time::Instant;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::Role;
use super::table::Table;
use super::tables::{Sort, tables};
use crate::status::Status;

/// Lines by which a page overlaps the next.
const OVERLAP: usize = 2;

/// The state of the view.
#[derive(Clone, Debug)]
pub struct App {
    roles: Vec<Role>,
    /// What was shown when the view was paused, and when.
    frozen: Option<(Vec<Role>, Instant)>,
    sort: Sort,
    help: bool,
    /// The first line that is shown.
    scroll: usize,
    /// Lines that were there, and that had room, when the view was drawn last.
    lines: usize,
    room: usize,
}

/// Whether the view goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    On,
    /// Somebody wants it to end.
    Quit,
}

impl App {
    /// A view of the roles at these endpoints.
    pub fn new(endpoints: impl Iterator<Item = String>) -> Self {
        Self {
            roles: endpoints.map(Role::new).collect(),
            frozen: None,
            sort: Sort::default(),
            help: false,
            scroll: 0,
            lines: 0,
            room: 0,
        }
    }

    /// The role at a place has answered, or not.
    pub fn heard(&mut self, place: usize, at: Instant, answer: Result<Status, String>) {
        match answer {
            Ok(status) => self.roles[place].saw(at, status),
            Err(trouble) => self.roles[place].missed(trouble),
        }
    }

    /// What is known now, also while the view is paused.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The roles as they are shown.
    pub fn shown(&self) -> &[Role] {
        match &self.frozen {
            Some((roles, _)) => roles,
            None => &self.roles,
        }
    }

    /// The tables that are shown.
    pub fn tables(&self, now: Instant) -> Vec<Table> {
        let now = self.frozen.as_ref().map_or(now, |(_, then)| *then);
        tables(self.shown(), self.sort, now)
    }

    /// Whether it stands still.
    pub fn is_paused(&self) -> bool {
        self.frozen.is_some()
    }

    /// Whether the help stands in front of it.
    pub fn shows_help(&self) -> bool {
        self.help
    }

    /// What its rows stand by.
    pub fn sort(&self) -> Sort {
        self.sort
    }

    /// The first line to show, of so many, where so many have room.
    pub fn scrolled(&mut self, lines: usize, room: usize) -> usize {
        (self.lines, self.room) = (lines, room);
        self.scroll = self.scroll.min(lines.saturating_sub(room));
        self.scroll
    }

    /// A key was pressed at this time.
    pub fn press(&mut self, key: KeyEvent, now: Instant) -> Flow {
        if key.kind == KeyEventKind::Release {
            return Flow::On;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let page = self.room.saturating_sub(OVERLAP).max(1);
        match key.code {
            KeyCode::Char('c') if control => return Flow::Quit,
            // Any key ends the help, and does nothing else.
            _ if self.help => self.help = false,
            KeyCode::Char('q') | KeyCode::Esc => return Flow::Quit,
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char('p') => {
                self.frozen = match self.frozen.take() {
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
        Flow::On
    }

    fn move_to(&mut self, line: usize) {
        self.scroll = line.min(self.lines.saturating_sub(self.room));
    }
}
