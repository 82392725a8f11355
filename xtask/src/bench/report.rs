//! Figures and targets, as a table for a person or as JSON lines for a program.

use serde::Serialize;

/// Tables, each of rows of cells.
pub(crate) type Tables = Vec<Vec<Vec<String>>>;

/// One figure of our software, with its comparison.
#[derive(Serialize)]
pub(crate) struct Figure {
    /// The name of the measured quantity.
    pub(crate) name: String,
    /// Our value.
    pub(crate) value: f64,
    /// The unit of the value.
    pub(crate) unit: &'static str,
    /// The software that it is compared with.
    pub(crate) against: String,
    /// Our value divided by theirs.
    pub(crate) ratio: Option<f64>,
    /// The promised value.
    pub(crate) target: String,
    /// Whether the promise holds.
    pub(crate) holds: bool,
}

impl Figure {
    /// A figure that must not be more than `most` times that of another.
    pub(crate) fn relative(
        name: String,
        value: f64,
        unit: &'static str,
        against: &str,
        ratio: f64,
        most: f64,
    ) -> Self {
        let against = against.to_owned();
        let holds = ratio <= most;
        Self { name, value, unit, against, ratio: Some(ratio), target: format!("ratio <= {most}"), holds }
    }

    /// A figure that must not be more than a number.
    pub(crate) fn absolute(name: &str, value: f64, unit: &'static str, most: f64) -> Self {
        let (name, against) = (name.to_owned(), String::new());
        let holds = value <= most;
        Self { name, value, unit, against, ratio: None, target: format!("<= {most} {unit}"), holds }
    }

    /// A figure that must not be less than a number.
    pub(crate) fn at_least(name: &str, value: f64, unit: &'static str, least: f64) -> Self {
        let (name, against) = (name.to_owned(), String::new());
        let target = format!(">= {least} {unit}").trim_end().to_owned();
        Self { name, value, unit, against, ratio: None, target, holds: value >= least }
    }

    /// The figure as one line of JSON.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("strings, numbers and booleans are JSON")
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            number(self.value, self.unit),
            self.against.clone(),
            self.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            self.target.clone(),
            if self.holds { "holds" } else { "MISSED" }.to_owned(),
        ]
    }
}

/// Prints each figure on its own line.
pub(crate) fn print_figures(figures: &[Figure]) {
    let mut rows = vec![["target", "ours", "against", "ratio", "promised", ""].map(str::to_owned).to_vec()];
    rows.extend(figures.iter().map(Figure::row));
    print_table(&rows);
}

/// Rows with columns of equal width; the first row is the heading.
pub(crate) fn print_table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    println!();
}

/// The median.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A number with its significant digits.
pub(crate) fn number(value: f64, unit: &str) -> String {
    let digits = if value >= 100.0 || value.fract() == 0.0 { 0 } else { 1 };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}
