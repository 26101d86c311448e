//! The lines as a table.

use console::measure_text_width;
use support::screen::Screen;

use crate::figures::Line;

/// Two blanks between columns.
const GAP: &str = "  ";

/// One table row a line, under a heading. The last column is the verdict.
pub(crate) fn render(lines: &[Line], screen: Screen) -> String {
    let python = lines.iter().any(|line| line.python().is_some());
    let mut rows = vec![heading(python)];
    rows.extend(lines.iter().map(|line| cells(line, python, screen)));
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .map(|row| measure_text_width(&row[column]))
                .max()
                .unwrap_or_default()
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut shown = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let blanks = " ".repeat(width - measure_text_width(cell));
            // Numbers stand under each other; the row's name, its target and its verdict are words.
            let is_number = column > 0 && column + 2 < columns;
            let (before, after) = if is_number {
                (blanks.as_str(), "")
            } else {
                ("", blanks.as_str())
            };
            shown.extend([if column == 0 { "" } else { GAP }, before, cell, after]);
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

fn heading(python: bool) -> Vec<String> {
    let mut cells = vec!["", "ours", "floor", "ratio"];
    if python {
        cells.push("Python");
    }
    cells.extend(["target", ""]);
    cells.into_iter().map(str::to_owned).collect()
}

fn cells(line: &Line, python: bool, screen: Screen) -> Vec<String> {
    let value = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| line.unit.show(value));
    let mut cells = vec![
        line.name.clone(),
        value(line.ours()),
        value(line.floor()),
        line.ratio()
            .map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
    ];
    if python {
        cells.push(value(line.python()));
    }
    cells.push(line.target.show(line.unit));
    cells.push(match line.is_met() {
        Some(true) => screen.good("ok"),
        Some(false) => screen.odd("MISS"),
        None => "–".to_owned(),
    });
    cells
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Samples, Target, Unit};
    use super::*;

    fn line(name: &str, unit: Unit, ours: f64, floor: Option<f64>, target: Target) -> Line {
        Line {
            name: name.to_owned(),
            unit,
            samples: Samples {
                ours: vec![ours],
                floor: floor.into_iter().collect(),
                python: Vec::new(),
            },
            target,
        }
    }

    #[test]
    fn numbers_stand_under_each_other() {
        let lines = [
            line(
                "jobs per second",
                Unit::PerSecond,
                3000.0,
                Some(6000.0),
                Target::AtLeastFloor(0.5),
            ),
            line("first take", Unit::Millis, 12.34, Some(2.2), Target::Below(10.0)),
            line("overhead", Unit::Millis, 0.05, None, Target::Below(1.0)),
        ];
        let expected = [
            "                     ours    floor  ratio  target",
            "jobs per second   3000 /s  6000 /s   0.50  ≥ 0.5 × floor  ok",
            "first take        12.3 ms  2.20 ms   5.61  < 10 ms        MISS",
            "overhead         0.050 ms        –      –  < 1 ms         ok",
        ];
        assert_eq!(
            render(&lines, Screen::plain()).lines().collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn a_third_program_has_a_column_of_its_own() {
        let mut lines = [line(
            "idle memory",
            Unit::Mebibytes,
            6.0,
            Some(3.0),
            Target::Below(8.0),
        )];
        lines[0].samples.python.push(105.0);
        let text = render(&lines, Screen::plain());
        assert!(text.contains("Python") && text.contains("105.0 MiB"), "{text}");
    }
}
