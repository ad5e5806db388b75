//! A section of the page: a chart, its explanation, and a table of the same figures.

use maud::{Markup, PreEscaped, html};

use super::chart::Chart;

/// A chart with its explanation and table.
pub struct Section {
    /// Unique within the page.
    pub id: String,
    pub title: String,
    /// How to read the chart.
    pub note: String,
    /// The content of the chart as text, for screen readers.
    pub description: String,
    pub chart: Chart,
    /// The text in place of an empty chart.
    pub nothing: &'static str,
    pub table: Table,
}

/// Rows of figures. The first cell of each row is its header.
pub struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table whose first column is the number of gateways.
    pub fn by_gateways<'a>(columns: impl IntoIterator<Item = &'a str>) -> Table {
        let head = std::iter::once("gateways").chain(columns);
        Table {
            head: head.map(str::to_owned).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds the row of a number of gateways.
    pub fn row(&mut self, gateways: u8, cells: impl IntoIterator<Item = String>) {
        let head = std::iter::once(gateways.to_string());
        self.rows.push(head.chain(cells).collect());
    }

    fn markup(&self, caption: &str) -> Markup {
        html! {
            div .scroll tabindex="0" role="region" aria-label=(format!("{caption}: the figures")) {
                table {
                    caption { (caption) ": the figures" }
                    thead { tr { @for cell in &self.head { th scope="col" { (cell) } } } }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for (at, cell) in row.iter().enumerate() {
                                    @if at == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Section {
    /// The section as markup.
    pub fn markup(&self) -> Markup {
        html! {
            section aria-labelledby=(self.id) {
                h3 id=(self.id) { (self.title) }
                p { (self.note) }
                @if self.chart.is_empty() {
                    p .nothing { (self.nothing) }
                } @else {
                    (self.figure())
                }
                @if !self.table.rows.is_empty() { (self.table.markup(&self.title)) }
            }
        }
    }

    fn figure(&self) -> Markup {
        let (title, described) = (format!("{}-title", self.id), format!("{}-desc", self.id));
        html! {
            figure {
                div .scroll {
                    svg .chart role="img" viewBox=(Chart::view_box())
                        aria-labelledby=(title) aria-describedby=(described) {
                        title id=(title) { (self.title) }
                        desc id=(described) { (self.description) }
                        // The drawing library escapes its input.
                        (PreEscaped(self.chart.svg()))
                    }
                }
                figcaption {
                    @for (name, key) in self.chart.legend() {
                        span .key { span aria-hidden="true" { (PreEscaped(key)) } (name) }
                    }
                }
            }
        }
    }
}
