//! A table as text, with the columns that fit into a width.

use unicode_width::UnicodeWidthStr;

/// Spaces between two columns.
const GAP: usize = 2;

/// The meaning of a cell's colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    Good,
    Warn,
    Bad,
    Dim,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Without control characters.
    text: String,
    pub tone: Tone,
}

impl Cell {
    /// Removes control characters. Text may come from any server at an endpoint and must not control
    /// the terminal.
    pub fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        let text = text.as_ref().chars().filter(|c| !c.is_control()).collect();
        Self { text, tone }
    }

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

#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub right_aligned: bool,
    /// If not all columns fit, those with the highest rank are left out first. Rank 0 is never left out.
    pub rank: u8,
}

/// A column of text, aligned left.
pub const fn text_column(name: &'static str, rank: u8) -> Column {
    Column {
        name,
        right_aligned: false,
        rank,
    }
}

/// A column of numbers, aligned right.
pub const fn number_column(name: &'static str, rank: u8) -> Column {
    Column {
        name,
        right_aligned: true,
        rank,
    }
}

#[derive(Clone, Debug)]
pub struct Table {
    pub title: String,
    pub columns: Vec<Column>,
    /// One cell per column.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// The header and the rows, each cell padded to the width of its column. Columns that do not fit into
    /// `width` are left out.
    pub fn lines(&self, width: Option<usize>) -> (String, Vec<Vec<Cell>>) {
        let columns = self.layout(width);
        let mut header = String::new();
        for &(index, width) in &columns {
            let column = self.columns[index];
            header += &padded(column.name, column.right_aligned, width);
        }
        let row = |row: &Vec<Cell>| {
            let cells = columns.iter().map(|&(index, width)| Cell {
                text: padded(&row[index].text, self.columns[index].right_aligned, width),
                tone: row[index].tone,
            });
            cells.collect()
        };
        (header, self.rows.iter().map(row).collect())
    }

    /// The indices of the visible columns, and their widths.
    fn layout(&self, width: Option<usize>) -> Vec<(usize, usize)> {
        let widest = |index: usize| {
            let cells = self.rows.iter().map(|row| row[index].width());
            cells.chain([self.columns[index].name.width()]).max()
        };
        let mut columns: Vec<(usize, usize)> = (0..self.columns.len())
            .map(|index| (index, widest(index).unwrap_or(0)))
            .collect();
        let Some(room) = width else {
            return columns;
        };
        let needed = |columns: &[(usize, usize)]| -> usize {
            columns.iter().map(|(_, width)| width + GAP).sum::<usize>()
        };
        while needed(&columns) > room + GAP {
            let rank = |&(index, _): &(usize, usize)| self.columns[index].rank;
            let Some(most) = columns.iter().map(rank).max().filter(|&rank| rank > 0) else {
                break;
            };
            // From right to left, so that related columns are left out together.
            let Some(last) = columns.iter().rposition(|column| rank(column) == most) else {
                break;
            };
            columns.remove(last);
        }
        columns
    }
}

fn padded(text: &str, right_aligned: bool, width: usize) -> String {
    let fill = " ".repeat(width.saturating_sub(text.width()));
    let gap = " ".repeat(GAP);
    if right_aligned {
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
                text_column("GATEWAY", 0),
                number_column("IN", 1),
                number_column("OUT", 1),
                text_column("MODE", 2),
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
    fn text_is_aligned_left_and_numbers_right() {
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
    fn columns_of_the_highest_rank_are_left_out_first_and_rank_0_never() {
        assert_eq!(text(Some(32)), text(None));
        assert_eq!(text(Some(31))[0], "GATEWAY       IN  OUT");
        assert_eq!(text(Some(20))[0], "GATEWAY       IN");
        assert_eq!(text(Some(1))[0], "GATEWAY");
    }

    #[test]
    fn text_of_a_role_does_not_control_the_terminal() {
        assert_eq!(Cell::from("a\x1b[2J\u{9b}b\n").text(), "a[2Jb");
    }
}
