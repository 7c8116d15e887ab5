//! Columns without borders. Every cell is cleaned here, so that no caller can forget it.

use crate::render::text;

const GAP: &str = "   ";

/// The last column is not shortened below this: less says nothing.
const LEAST: usize = 20;

/// A heading, rows of as many cells, and for each row a note below it where there is one.
pub(crate) struct Table {
    rows: Vec<(Vec<String>, Option<String>)>,
}

impl Table {
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![(heading.iter().map(|&cell| cell.to_owned()).collect(), None)] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N], note: Option<&str>) {
        let cells = cells.map(|cell| text::clean(cell).into_owned()).into();
        self.rows.push((cells, note.map(|note| text::clean(note).into_owned())));
    }

    /// The text; the last column fits in `width` columns where one is given.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let widths = self.widths();
        let before: usize = widths.iter().rev().skip(1).map(|width| width + GAP.len()).sum();
        let room = width.map(|width| width.saturating_sub(before).max(LEAST));
        let mut rendered = String::new();
        for (cells, note) in &self.rows {
            let last = cells.len().saturating_sub(1);
            let mut line = String::new();
            for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                if column == last {
                    line.push_str(&room.map_or(cell.into(), |room| text::shorten(cell, room)));
                } else {
                    let padding = width - console::measure_text_width(cell);
                    line.push_str(cell);
                    line.extend(std::iter::repeat_n(' ', padding));
                    line.push_str(GAP);
                }
            }
            rendered.push_str(line.trim_end());
            rendered.push('\n');
            if let Some(note) = note {
                rendered.push_str(&format!("  {note}\n"));
            }
        }
        rendered
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(|(cells, _)| cells.len()).max().unwrap_or(0);
        let width = |column| {
            let cells = self.rows.iter().filter_map(|(cells, _)| cells.get(column));
            cells.map(|cell: &String| console::measure_text_width(cell)).max().unwrap_or(0)
        };
        (0..columns).map(width).collect()
    }
}

/// Fields, one a line, values aligned.
#[derive(Default)]
pub(crate) struct Fields {
    indent: &'static str,
    fields: Vec<(&'static str, String)>,
}

impl Fields {
    pub(crate) fn indented(indent: &'static str) -> Self {
        Self { indent, fields: Vec::new() }
    }

    /// Adds a line; those after the first of one field have an empty label.
    pub(crate) fn add(&mut self, label: &'static str, value: impl AsRef<str>) {
        self.fields.push((label, text::clean(value.as_ref()).into_owned()));
    }

    /// Adds a line for each value, or one that says `none`.
    pub(crate) fn all(&mut self, label: &'static str, values: impl IntoIterator<Item = String>) {
        let mut label = Some(label);
        for value in values {
            self.add(label.take().unwrap_or_default(), value);
        }
        if let Some(label) = label {
            self.add(label, "none");
        }
    }

    pub(crate) fn render(&self) -> String {
        let width = self.fields.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        let line = |(label, value): &(&str, String)| {
            format!("{}{label:<width$}{GAP}{value}\n", self.indent)
        };
        self.fields.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_what_is_seen() {
        let mut table = Table::new(&["A", "B", "C"]);
        table.row(["模型", "x", "/a/very/long/path/to/some.safetensors"], None);
        table.row(["abcdef", "\u{1b}", ""], Some("why\nnot"));
        insta::assert_snapshot!(table.render(Some(40)), @r"
        A        B        C
        模型     x        /a/v…/some.safetensors
        abcdef   \u{1b}
          why\nnot
        ");
        assert!(table.render(None).contains("/a/very/long/path/to/some.safetensors"));
    }
}
