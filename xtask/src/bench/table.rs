//! Prints the figures as Markdown.

/// One figure.
pub(super) struct Row {
    pub(super) what: String,
    pub(super) measured: String,
    /// The bound, or what it is compared with.
    pub(super) wanted: &'static str,
    pub(super) how: String,
}

impl Row {
    pub(super) fn new(
        what: impl Into<String>,
        measured: impl Into<String>,
        wanted: &'static str,
        how: impl Into<String>,
    ) -> Self {
        Self { what: what.into(), measured: measured.into(), wanted, how: how.into() }
    }
}

pub(super) fn render(machine: &str, rows: &[Row]) -> String {
    let header = ["what", "measured", "wanted", "how"].map(str::to_owned);
    let cells = |row: &Row| {
        [&row.what, &row.measured, row.wanted, &row.how].map(|cell: &str| cell.replace('|', "\\|"))
    };
    let lines: Vec<[String; 4]> = std::iter::once(header).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths = [0, 1, 2, 3].map(width);
    let mut table = format!("{machine}:\n\n");
    for (number, line) in lines.iter().enumerate() {
        let padded: Vec<_> =
            line.iter().zip(widths).map(|(cell, w)| format!("{cell:w$}")).collect();
        table.push_str(&format!("| {} |\n", padded.join(" | ")));
        if number == 0 {
            let rules = widths.map(|width| "-".repeat(width));
            table.push_str(&format!("| {} |\n", rules.join(" | ")));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_bars_escaped() {
        let rows = [Row::new("a|b", "1 s", "≤ 2 s", "h")];
        let expected = "m:\n\n\
            | what | measured | wanted | how |\n\
            | ---- | -------- | ------ | --- |\n\
            | a\\|b | 1 s      | ≤ 2 s  | h   |\n";
        assert_eq!(render("m", &rows), expected);
    }
}
