//! Figures with what they are held against, and the table of them.

use std::fmt;

use serde::Serialize;

/// What a figure should stay within.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Gate {
    /// At most this much.
    AtMost(f64),
    /// At least this much.
    AtLeast(f64),
    /// None: it says what others are made of.
    None,
}

/// One figure: the median of its rounds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) median: f64,
    pub(super) lowest: f64,
    pub(super) highest: f64,
    pub(super) gate: Gate,
}

impl Figure {
    /// The median of at least one round.
    pub(super) fn of(name: impl Into<String>, unit: &'static str, gate: Gate, mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        let at = |index: usize| rounds.get(index).copied().unwrap_or(f64::NAN);
        let last = rounds.len().saturating_sub(1);
        let median = f64::midpoint(at(last / 2), at(rounds.len() / 2));
        Self { name: name.into(), unit, median, lowest: at(0), highest: at(last), gate }
    }

    /// Whether the gate holds. What is no number holds no gate.
    pub(super) fn holds(&self) -> bool {
        match self.gate {
            Gate::AtMost(most) => self.median <= most,
            Gate::AtLeast(least) => self.median >= least,
            Gate::None => true,
        }
    }
}

/// All figures of a run.
#[derive(Debug, Default, Serialize)]
pub(super) struct Table(pub(super) Vec<Figure>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<62}{:>9}  {:<17}{:>8}", "figure", "median", "lowest … highest", "gate")?;
        for figure in &self.0 {
            let Figure { name, unit, median, lowest, highest, gate } = figure;
            let spread = format!("{lowest:.2} … {highest:.2}");
            let gate = match gate {
                Gate::AtMost(most) => format!("≤ {most}"),
                Gate::AtLeast(least) => format!("≥ {least}"),
                Gate::None => String::new(),
            };
            let verdict = if figure.holds() { "" } else { "  MISSED" };
            writeln!(f, "{name:<62}{median:>9.2}  {spread:<17}{gate:>8}  {unit}{verdict}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_median_of_its_rounds_and_judged_by_it() {
        let figure = |gate, rounds: &[f64]| Figure::of("a figure", "µs", gate, rounds.to_vec());
        let odd = figure(Gate::AtMost(2.0), &[9.0, 1.0, 2.0]);
        assert_eq!((odd.lowest.to_bits(), odd.median.to_bits()), (1f64.to_bits(), 2f64.to_bits()));
        assert!(odd.holds());
        assert!((figure(Gate::None, &[1.0, 4.0, 2.0, 3.0]).median - 2.5).abs() < 1e-9);
        assert!(!figure(Gate::AtMost(1.9), &[9.0, 1.0, 2.0]).holds());
        assert!(figure(Gate::AtLeast(2.0), &[2.0]).holds() && !figure(Gate::AtLeast(2.1), &[2.0]).holds());
        assert!(!figure(Gate::AtMost(2.0), &[]).holds(), "what was not measured holds nothing");
        assert!(Table(vec![figure(Gate::AtMost(1.0), &[2.0])]).to_string().contains("MISSED"));
    }
}
