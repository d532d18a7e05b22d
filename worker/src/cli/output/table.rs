//! Columns for people.

/// Rows under a header, each column as wide as its widest cell.
#[derive(Debug)]
pub(in crate::cli) struct Table {
    titles: Vec<&'static str>,
    widths: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub(in crate::cli) fn new(titles: &[&'static str]) -> Self {
        Self {
            titles: titles.to_vec(),
            widths: titles.iter().map(|title| title.chars().count()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: a cell for each column.
    pub(in crate::cli) fn push(&mut self, cells: &[String]) {
        let cells: Vec<String> = cells.iter().map(|cell| one_line(cell)).collect();
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count());
        }
        self.rows.push(cells);
    }

    pub(in crate::cli) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The line of titles.
    pub(in crate::cli) fn header(&self) -> String {
        self.lay_out(self.titles.iter().copied())
    }

    /// The rows so far, as lines, which leave the table; those that follow stand in line with them.
    pub(in crate::cli) fn take_rows(&mut self) -> Vec<String> {
        let rows = std::mem::take(&mut self.rows);
        rows.iter()
            .map(|row| self.lay_out(row.iter().map(String::as_str)))
            .collect()
    }

    fn lay_out<'a>(&self, cells: impl Iterator<Item = &'a str>) -> String {
        let mut line = String::new();
        for (cell, width) in cells.zip(&self.widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// A cell stays on its line, and cannot steer the terminal. Nothing at all is shown as `-`.
fn one_line(cell: &str) -> String {
    let line: String = cell
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.is_empty() {
        "-".to_owned()
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_in_line() {
        let mut table = Table::new(&["A", "LONG", "B"]);
        table.push(&["täglich".to_owned(), String::new(), "x".to_owned()]);
        table.push(&["b".to_owned(), "c\u{1b}[31m\nd".to_owned(), String::new()]);
        assert_eq!(table.header(), "A        LONG      B");
        assert_eq!(
            table.take_rows(),
            ["täglich  -         x", "b        c [31m d  -"]
        );
        assert!(table.is_empty());
        table.push(&["later".to_owned(), "row".to_owned(), "y".to_owned()]);
        assert_eq!(table.take_rows(), ["later    row       y"]);
    }
}
