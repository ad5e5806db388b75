//! A table that fits into the width that there is, on a screen or in a pipe.

use unicode_width::UnicodeWidthStr;

/// Between two columns.
const GAP: usize = 2;

/// How a cell is to be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As all are.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Worth a look.
    Warn,
    /// Something is wrong.
    Bad,
    /// Of less interest.
    Dim,
}

/// A text and its tone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Without control characters.
    text: String,
    /// How it is to be seen.
    pub tone: Tone,
}

impl Cell {
    /// A cell. What `text` holds may come from anybody who answers at an endpoint: it must not
    /// steer the terminal.
    pub fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        let text = text.as_ref().chars().filter(|c| !c.is_control()).collect();
        Self { text, tone }
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn width(&self) -> usize {
        self.text.width()
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What stands above it.
    pub name: &'static str,
    /// Numbers stand right.
    pub right: bool,
    /// Of the columns that do not fit, those with the highest rank go first; 0 stays always.
    pub rank: u8,
}

/// A column of words.
pub const fn words(name: &'static str, rank: u8) -> Column {
    Column {
        name,
        right: false,
        rank,
    }
}

/// A column of numbers.
pub const fn number(name: &'static str, rank: u8) -> Column {
    Column {
        name,
        right: true,
        rank,
    }
}

/// A title, columns, rows.
#[derive(Clone, Debug)]
pub struct Table {
    /// What stands above it all.
    pub title: String,
    /// From left to right.
    pub columns: Vec<Column>,
    /// Each as long as there are columns.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// The header and the rows, each cell filled up to the width of its column; columns without which the rest
    /// fits into `width` are left out.
    pub fn lines(&self, width: Option<usize>) -> (String, Vec<Vec<Cell>>) {
        let columns = self.layout(width);
        let mut header = String::new();
        for &(place, width) in &columns {
            let column = self.columns[place];
            header += &padded(column.name, column.right, width);
        }
        let row = |row: &Vec<Cell>| {
            let cells = columns.iter().map(|&(place, width)| Cell {
                text: padded(&row[place].text, self.columns[place].right, width),
                tone: row[place].tone,
            });
            cells.collect()
        };
        (header, self.rows.iter().map(row).collect())
    }

    /// The places of the columns that are shown, and their widths.
    fn layout(&self, width: Option<usize>) -> Vec<(usize, usize)> {
        let widest = |place: usize| {
            let cells = self.rows.iter().map(|row| row[place].width());
            cells.chain([self.columns[place].name.width()]).max()
        };
        let mut columns: Vec<(usize, usize)> = (0..self.columns.len())
            .map(|place| (place, widest(place).unwrap_or(0)))
            .collect();
        let Some(room) = width else {
            return columns;
        };
        let needed = |columns: &[(usize, usize)]| -> usize {
            columns.iter().map(|(_, width)| width + GAP).sum::<usize>()
        };
        while needed(&columns) > room + GAP {
            let rank = |&(place, _): &(usize, usize)| self.columns[place].rank;
            let Some(most) = columns.iter().map(rank).max().filter(|&rank| rank > 0) else {
                break;
            };
            // The rightmost of them, so that what goes together goes one after the other.
            let Some(last) = columns.iter().rposition(|column| rank(column) == most) else {
                break;
            };
            columns.remove(last);
        }
        columns
    }
}

fn padded(text: &str, right: bool, width: usize) -> String {
    let fill = " ".repeat(width.saturating_sub(text.width()));
    let gap = " ".repeat(GAP);
    if right {
        format!("{fill}{text}{gap}")
    } else {
        format!("{text}{fill}{gap}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            title: "WORKERS".to_owned(),
            columns: vec![
                words("GATEWAY", 0),
                number("IN", 1),
                number("OUT", 1),
                words("MODE", 2),
            ],
            rows: vec![
                vec![
                    "gateway-1".into(),
                    "1.24M".into(),
                    "7".into(),
                    "copy".into(),
                ],
                vec!["g".into(), "0".into(), "12".into(), "zero-copy".into()],
            ],
        }
    }

    fn text(width: Option<usize>) -> Vec<String> {
        let (header, rows) = table().lines(width);
        let mut all = vec![header];
        all.extend(rows.iter().map(|row| row.iter().map(Cell::text).collect()));
        all.iter()
            .map(|line: &String| line.trim_end().to_owned())
            .collect()
    }

    #[test]
    fn words_stand_left_and_numbers_right() {
        assert_eq!(
            text(None),
            [
                "GATEWAY       IN  OUT  MODE",
                "gateway-1  1.24M    7  copy",
                "g              0   12  zero-copy"
            ]
        );
    }

    #[test]
    fn columns_of_the_highest_rank_go_first_and_those_of_rank_0_never() {
        assert_eq!(text(Some(32)), text(None));
        assert_eq!(text(Some(31))[0], "GATEWAY       IN  OUT");
        assert_eq!(text(Some(20))[0], "GATEWAY       IN");
        assert_eq!(text(Some(1))[0], "GATEWAY");
    }

    #[test]
    fn what_a_role_says_does_not_steer_the_terminal() {
        assert_eq!(Cell::from("a\x1b[2J\u{9b}b\n").text(), "a[2Jb");
    }
}
