//! The lines on the terminal.

use std::time::{Duration, Instant};

use causeway::top::app::{App, Next};
use causeway::top::screen::draw;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use crate::role::{Counters, demux, gateway};

/// A demux and its two gateways after two readings, a second apart. Then gateway-2 does not answer.
fn app(now: Instant) -> App {
    let endpoints = [
        "/run/causeway/control.sock",
        "http://10.1.0.101:9464",
        "http://10.1.0.102:9464",
    ];
    let mut app = App::new(endpoints.map(str::to_owned).into_iter());
    let counters = |times: u64, packets: u64| Counters {
        since: 1_700_000_000,
        packets: times * packets,
        bytes: times * packets * 500,
        drops: times * 3,
        asleep_ns: times * 250_000_000,
        bursts: times * packets / 10,
        timed: times * packets / 31,
    };
    for reading in 1..=2 {
        let at = now - Duration::from_secs(5 - reading);
        app.update(0, at, Ok(demux(reading * 8_000)));
        app.update(
            1,
            at,
            Ok(gateway("gateway-1", counters(reading, 1_240_000))),
        );
        app.update(2, at, Ok(gateway("gateway-2", counters(reading, 4_000))));
    }
    app.update(2, now, Err("Connection refused (os error 111)".to_owned()));
    app
}

/// The lines of the view on a terminal of this size.
fn drawn(app: &mut App, width: u16, height: u16, now: Instant) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal
        .draw(|frame| draw(frame, app, now))
        .expect("a terminal in memory");
    let buffer = terminal.backend().buffer();
    let line = |y| {
        (0..width)
            .map(|x| buffer[(x, y)].symbol())
            .collect::<String>()
    };
    (0..height).map(|y| line(y).trim_end().to_owned()).collect()
}

fn press(app: &mut App, key: KeyCode, now: Instant) -> Next {
    app.press(KeyEvent::new(key, KeyModifiers::NONE), now)
}

#[test]
fn a_wide_terminal_has_all_columns() {
    let now = Instant::now();
    let lines = drawn(&mut app(now), 200, 40, now);
    let screen = lines.join("\n");
    for expected in [
        "causeway top  2 of 3 up  2.48M pkt/s  sealed 4.96G bit/s  opened 0 bit/s",
        "1  demux              ready",
        "2  gateway gateway-1  ready",
        "3  gateway gateway-2  no answer 3s",
        "3  http://10.1.0.102:9464  Connection refused (os error 111)",
        "GATEWAYS of 1 to vpc-2: epoch 4, the peer has the same table",
        "gateway-1  up          1     3072    75%      4.00k  32.0M       312us",
        "gateway-2  dead        1     1024    25%      4.00k  32.0M       312us",
        "2  gateway-1  0     1   75%     1.24M      1.24M         4.96G             0       3     0  21.0us  84.0us  310us  2.40ms      25%   50%       0%  copy",
        "2  gateway-1  0   75",
        "2  XDP program         no-worker          3        6",
        "2  gateway-1 worker 0  replayed           3        6",
        "q quit  s sort: name  p pause  ? help",
    ] {
        assert!(screen.contains(expected), "{expected}\n{screen}");
    }
}

#[test]
fn a_terminal_of_80_columns_has_fewer_columns_and_scrolls() {
    let now = Instant::now();
    let mut app = app(now);
    let lines = drawn(&mut app, 80, 16, now);
    assert!(lines.iter().all(|line| line.chars().count() <= 80));
    assert!(lines[15].ends_with("lines 1 to 14 of 31"), "{lines:?}");
    assert_eq!(lines[1], "ROLES");
    press(&mut app, KeyCode::Down, now);
    assert!(drawn(&mut app, 80, 16, now)[1].starts_with("#  ROLE"));
    for _ in 0..100 {
        press(&mut app, KeyCode::PageDown, now);
    }
    let lines = drawn(&mut app, 80, 16, now);
    assert!(lines[15].ends_with("lines 18 to 31 of 31"), "{lines:?}");
    // A terminal that grows shows more of the end, not less.
    let lines = drawn(&mut app, 80, 33, now);
    assert_eq!(lines[1], "ROLES");
}

#[test]
fn pause_freezes_the_view_and_sort_orders_the_workers() {
    let now = Instant::now();
    let mut app = app(now);
    let first = |app: &mut App| {
        let lines = drawn(app, 120, 60, now);
        let workers = lines
            .iter()
            .position(|line| line == "WORKERS")
            .expect("workers");
        lines[workers + 2].clone()
    };
    app.update(
        2,
        now,
        Ok(gateway(
            "gateway-2",
            Counters {
                packets: 9_000,
                ..Counters::default()
            },
        )),
    );
    app.update(
        2,
        now + Duration::from_secs(1),
        Ok(gateway(
            "gateway-2",
            Counters {
                packets: 9_000,
                bytes: 1 << 40,
                ..Counters::default()
            },
        )),
    );
    assert!(first(&mut app).starts_with("2  gateway-1"));
    press(&mut app, KeyCode::Char('s'), now);
    assert_eq!(app.sort().name(), "traffic");
    assert!(first(&mut app).starts_with("3  gateway-2"));

    press(&mut app, KeyCode::Char('p'), now);
    let before = drawn(&mut app, 120, 60, now);
    app.update(1, now, Err("gone".to_owned()));
    let later = now + Duration::from_secs(100);
    assert_eq!(drawn(&mut app, 120, 60, later), before);
    press(&mut app, KeyCode::Char('p'), later);
    assert_ne!(drawn(&mut app, 120, 60, later), before);
}

#[test]
fn any_key_closes_the_help() {
    let now = Instant::now();
    let mut app = app(now);
    press(&mut app, KeyCode::Char('?'), now);
    let lines = drawn(&mut app, 80, 30, now);
    assert!(
        lines.iter().any(|line| line == "Any key closes this."),
        "{lines:?}"
    );
    assert_eq!(press(&mut app, KeyCode::Char('q'), now), Next::Continue);
    assert!(!app.shows_help());
    assert_eq!(press(&mut app, KeyCode::Char('q'), now), Next::Quit);
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(app.press(interrupt, now), Next::Quit);
}

fn key() -> impl Strategy<Value = KeyCode> {
    prop_oneof![
        prop::sample::select(vec![
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::Home,
            KeyCode::End,
            KeyCode::Esc,
        ]),
        prop::sample::select("jkgG sp?hqx".chars().collect::<Vec<_>>()).prop_map(KeyCode::Char),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For any keys and any role names.
    #[test]
    fn every_terminal_size_can_be_drawn(
        steps in prop::collection::vec((key(), 0u16..200, 0u16..60), 1..12),
        name in ".{0,20}",
    ) {
        let now = Instant::now();
        let mut app = app(now);
        app.update(1, now, Ok(gateway(&name, Counters::default())));
        for (key, width, height) in steps {
            press(&mut app, key, now);
            let lines = drawn(&mut app, width, height, now);
            prop_assert!(lines.iter().all(|line| !line.contains(char::is_control)));
        }
    }
}
