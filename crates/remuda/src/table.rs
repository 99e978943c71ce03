//! Tables for people: columns apart by spaces, no frame, so that a line can be cut by a program.

use comfy_table::{Attribute, Cell, ContentArrangement, presets};

/// A table under construction.
#[derive(Debug)]
pub(crate) struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
    when_empty: String,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new<const N: usize>(headers: [&str; N]) -> Self {
        Self {
            headers: headers.into_iter().map(str::to_owned).collect(),
            rows: Vec::new(),
            when_empty: "none".to_owned(),
        }
    }

    /// What to say when there is no row.
    pub(crate) fn when_empty(mut self, text: &str) -> Self {
        text.clone_into(&mut self.when_empty);
        self
    }

    /// Adds rows.
    pub(crate) fn rows<const N: usize>(
        mut self,
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> Self {
        self.rows.extend(rows.into_iter().map(Vec::from));
        self
    }

    /// Its cells, the headers first.
    pub(crate) fn into_cells(self) -> Vec<Vec<String>> {
        [vec![self.headers], self.rows].concat()
    }

    /// As text, without a line end.
    pub(crate) fn render(self, color: bool) -> String {
        if self.rows.is_empty() {
            return self.when_empty;
        }
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(
            self.headers
                .into_iter()
                .map(|header| heading(header, color)),
        );
        table.add_rows(self.rows);
        if color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let lines: Vec<String> = table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        lines.join("\n")
    }
}

fn heading(text: String, color: bool) -> Cell {
    let cell = Cell::new(text);
    if color {
        cell.add_attribute(Attribute::Bold)
    } else {
        cell
    }
}

/// Names and values below each other, as `show` prints one thing.
pub(crate) fn details(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name:width$}  {value}"))
        .collect();
    lines.join("\n")
}
