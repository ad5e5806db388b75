//! The arrows between rooms, held against the table of docs/architecture.md.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

type Rooms = BTreeSet<String>;

/// The rooms that each room may use; `None` for all.
#[derive(Debug)]
pub struct Allowed(BTreeMap<String, Option<Rooms>>);

impl Allowed {
    /// Reads the table of a Markdown page that has the columns `room` and `may use`. The second has rooms in backquotes,
    /// `anything` or `nothing`.
    pub fn parse(page: &str) -> Result<Self> {
        let mut rows = page.lines().map(cells);
        let (room, may_use) = rows
            .find_map(|row| Some((column(&row, "room")?, column(&row, "may use")?)))
            .context("no table with the columns `room` and `may use`")?;
        let mut allowed = BTreeMap::new();
        for row in rows.skip(1).take_while(|row| row.len() > 1) {
            let cell = |column: usize| row.get(column).copied().unwrap_or_default();
            let rooms = match cell(may_use) {
                "anything" => None,
                "nothing" => Some(Rooms::new()),
                text if text.contains('`') => Some(quoted(text)),
                other => {
                    bail!("expected `anything`, `nothing` or rooms in backquotes, got {other:?}")
                }
            };
            for room in quoted(cell(room)) {
                if allowed.insert(room.clone(), rooms.clone()).is_some() {
                    bail!("the room {room:?} has two rows");
                }
            }
        }
        Ok(Self(allowed))
    }

    /// The arrows that the table does not allow, one line each. `uses` has each room with those that it uses.
    /// Rooms of the table that do not exist are ignored.
    pub fn faults<'a>(&self, uses: impl Iterator<Item = (&'a String, &'a Rooms)>) -> Vec<String> {
        let mut faults = Vec::new();
        for (room, used) in uses {
            let Some(allowed) = self.0.get(room) else {
                faults.push(format!(
                    "{room} has no row in the table of docs/architecture.md"
                ));
                continue;
            };
            let forbidden = used.difference(allowed.as_ref().unwrap_or(used));
            faults.extend(forbidden.map(|target| {
                format!(
                    "forbidden arrow {room} -> {target}: not in the table of docs/architecture.md"
                )
            }));
        }
        faults
    }
}

fn cells(line: &str) -> Vec<&str> {
    let line = line.trim();
    let row = line.strip_prefix('|').unwrap_or(line);
    let row = row.strip_suffix('|').unwrap_or(row);
    row.split('|').map(str::trim).collect()
}

fn column(row: &[&str], title: &str) -> Option<usize> {
    row.iter().position(|cell| cell.eq_ignore_ascii_case(title))
}

/// The texts in backquotes.
fn quoted(cell: &str) -> Rooms {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "| a | b |\n|---|---|\n| `x` | `y` |\n\n| room | holds | may use |\n|---|---|---|\n\
        | `api` | types | `rescale`, `steering` |\n| `rescale` | x | nothing |\n\
        | `perf`, `xtask` | tools | anything |\n\n| `node` | later | `x` |\n";

    fn faults(room: &str, used: &[&str]) -> Vec<String> {
        let used = used.iter().map(|&name| name.to_owned()).collect();
        let allowed = Allowed::parse(PAGE).unwrap();
        allowed.faults([(&room.to_owned(), &used)].into_iter())
    }

    #[test]
    fn arrows_of_the_table_are_allowed() {
        assert_eq!(faults("api", &["rescale"]), [""; 0]);
        assert_eq!(faults("rescale", &[]), [""; 0]);
        assert_eq!(faults("xtask", &["api", "rescale"]), [""; 0]);
    }

    #[test]
    fn another_arrow_and_a_room_without_a_row_are_faults() {
        for (room, used, fault) in [
            (
                "api",
                &["perf", "steering"][..],
                "forbidden arrow api -> perf",
            ),
            ("rescale", &["api"], "forbidden arrow rescale -> api"),
            ("node", &[], "node has no row"),
        ] {
            let faults = faults(room, used);
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].starts_with(fault), "{faults:?}");
        }
    }

    #[test]
    fn a_table_that_is_missing_or_unclear_is_refused() {
        for page in [
            "no table",
            "| room | may use |\n|---|---|\n| `a` | whatever |\n",
            "| room | may use |\n|---|---|\n| `a` | `b` |\n| `a` | `c` |\n",
        ] {
            assert!(Allowed::parse(page).is_err(), "{page}");
        }
    }
}
