//! Columns without borders. Every cell is cleaned here, so that no caller can forget it.

use crate::render::{
    look::{Look, Tone},
    text,
};

const GAP: &str = "   ";

/// The last column is not shortened below this while others can be: less is useless.
const LEAST_LAST: usize = 20;

/// No column is shortened below this, which is an id as it is shown: people copy it.
const LEAST: usize = 12;

/// Before what of a row did not fit into the line above.
const INDENT: &str = "  ";

/// A heading, rows of as many cells, and an optional note below each row.
pub(crate) struct Table {
    rows: Vec<Row>,
}

struct Row {
    cells: Vec<String>,
    /// The column that has a colour, and which.
    tone: Option<(usize, Tone)>,
    note: Option<String>,
}

impl Table {
    pub(crate) fn new(heading: &[&str]) -> Self {
        let cells = heading.iter().map(|&cell| cell.to_owned()).collect();
        Self { rows: vec![Row { cells, tone: None, note: None }] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N], note: Option<&str>) {
        let cells = cells.map(|cell| text::clean(cell).into_owned()).into();
        let note = note.map(|note| text::clean(note).into_owned());
        self.rows.push(Row { cells, tone: None, note });
    }

    /// Gives the cell of `column` in the last row a colour.
    pub(crate) fn tone(&mut self, column: usize, tone: Tone) {
        if let Some(row) = self.rows.last_mut() {
            row.tone = Some((column, tone));
        }
    }

    /// The text; it fits the terminal, if there is one.
    pub(crate) fn render(&self, look: Look) -> String {
        let (widths, lines) = fit(self.widths(), look.width);
        let mut rendered = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, (cell, width)) in row.cells.iter().zip(&widths).enumerate() {
                if lines.contains(&column) {
                    rendered.push_str(line.trim_end());
                    rendered.push('\n');
                    INDENT.clone_into(&mut line);
                }
                let shown = text::shorten(cell, *width);
                let padding = width.saturating_sub(console::measure_text_width(&shown));
                let tone = match row.tone {
                    _ if index == 0 => Tone::Quiet,
                    Some((toned, tone)) if toned == column => tone,
                    _ => Tone::Plain,
                };
                line.push_str(&look.paint(tone, &shown));
                line.extend(std::iter::repeat_n(' ', padding));
                line.push_str(GAP);
            }
            rendered.push_str(line.trim_end());
            rendered.push('\n');
            if let Some(note) = &row.note {
                rendered.push_str(&text::wrap(note, INDENT, look.width));
            }
        }
        rendered
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let width = |column| {
            let cells = self.rows.iter().filter_map(|row| row.cells.get(column));
            cells.map(|cell: &String| console::measure_text_width(cell)).max().unwrap_or(0)
        };
        (0..columns).map(width).collect()
    }
}

/// The columns' widths, and the columns that begin a further line: shortens the last column first, then the widest to
/// two thirds; what does not fit even so goes on below.
fn fit(natural: Vec<usize>, width: Option<usize>) -> (Vec<usize>, Vec<usize>) {
    let Some((width, last)) = width.zip(natural.len().checked_sub(1)) else {
        return (natural, Vec::new());
    };
    let gaps = last * GAP.len();
    let excess = |widths: &[usize]| (widths.iter().sum::<usize>() + gaps).saturating_sub(width);
    let mut widths = natural.clone();
    widths[last] = widths[last].saturating_sub(excess(&widths)).max(LEAST_LAST.min(widths[last]));
    let can_lose =
        |widths: &[usize], column: usize| widths[column] > LEAST.max(natural[column] * 2 / 3);
    while excess(&widths) > 0 {
        let columns = (0..last).filter(|&column| can_lose(&widths, column));
        match columns.max_by_key(|&column| widths[column]) {
            Some(widest) => widths[widest] -= 1,
            None => return in_lines(natural, width),
        }
    }
    (widths, Vec::new())
}

/// As much in each line as fits; a column is shortened where it does not fit into one of its own.
fn in_lines(mut widths: Vec<usize>, width: usize) -> (Vec<usize>, Vec<usize>) {
    let room = width.saturating_sub(INDENT.len());
    let (mut lines, mut used) = (Vec::new(), 0);
    for (column, needed) in widths.iter_mut().enumerate() {
        *needed = (*needed).min(room);
        if column > 0 && used + GAP.len() + *needed > width {
            lines.push(column);
            used = INDENT.len() + *needed;
        } else {
            used += *needed + if column > 0 { GAP.len() } else { 0 };
        }
    }
    (widths, lines)
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
        self.render_in(None)
    }

    /// The same, where values go on below themselves in a terminal of this width.
    pub(crate) fn render_in(&self, width: Option<usize>) -> String {
        let labels = self.fields.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        let indent = " ".repeat(self.indent.len() + labels + GAP.len());
        let line = |(label, value): &(&str, String)| {
            let wrapped = text::wrap(value, &indent, width);
            let first = format!("{}{label:<labels$}{GAP}", self.indent);
            format!("{first}{}", &wrapped[indent.len()..])
        };
        self.fields.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_narrow_terminal_a_row_goes_on_below() {
        let mut table = Table::new(&["ID", "ARCHITECTURE", "STATE", "ENGINES", "LOCATION"]);
        table.row(
            ["0123456789ab", "sd1", "ready", "dynamic", "/a/b/c/some.safetensors"],
            Some("why"),
        );
        insta::assert_snapshot!(table.render(Look { width: Some(40), colour: false }), @r"
        ID             ARCHITECTURE   STATE
          ENGINES   LOCATION
        0123456789ab   sd1            ready
          dynamic   /a/b/c/some.safetensors
          why
        ");
    }

    #[test]
    fn columns_align_by_what_is_seen() {
        let mut table = Table::new(&["A", "B", "C"]);
        table.row(["模型", "x", "/a/very/long/path/to/some.safetensors"], None);
        table.row(["abcdef", "\u{1b}", ""], Some("why\nnot"));
        let look = |width| Look { width, colour: false };
        insta::assert_snapshot!(table.render(look(Some(40))), @r"
        A        B        C
        模型     x        /a/v…/some.safetensors
        abcdef   \u{1b}
          why\nnot
        ");
        assert!(table.render(look(None)).contains("/a/very/long/path/to/some.safetensors"));
    }

    #[test]
    fn every_width_is_kept_to() {
        let mut table = Table::new(&["ID", "STATE", "ENGINES", "LOCATION"]);
        table.row(
            ["0123456789ab", "ready", "default, dynamic, portrait", "/a/b/c/some.safetensors"],
            Some("a note of several words that is much too long for one line"),
        );
        for width in 20..120 {
            let rendered = table.render(Look { width: Some(width), colour: false });
            for line in rendered.lines() {
                assert!(console::measure_text_width(line) <= width, "{width}: {line}");
            }
            assert!(rendered.contains("0123456789ab"), "an id to be copied: {rendered}");
            assert!(rendered.contains("some.safetensors"), "{width}: {rendered}");
        }
        let coloured = table.render(Look { width: None, colour: true });
        assert_eq!(console::strip_ansi_codes(&coloured), table.render(Look::default()));
    }
}
