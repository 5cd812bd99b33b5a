//! When requests are due: a rate over time, and how arrivals are spread within it.

use std::{fmt, str::FromStr, time::Duration};

use fastrand::Rng;

/// Above this the pacer would be the bottleneck of any machine this runs on, and a misplaced zero the likelier cause.
const MAX_RATE: f64 = 1_000_000.0;

/// A part of a [`Shape`]: the rate goes evenly from one figure to another.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stage {
    duration: Duration,
    from: f64,
    to: f64,
}

impl Stage {
    /// Arrivals expected in all of it.
    fn expected(self) -> f64 {
        f64::midpoint(self.from, self.to) * self.duration.as_secs_f64()
    }

    /// Seconds into the stage at which `count` arrivals are expected to have been; `count` is below [`Stage::expected`].
    /// The root of `from·t + (to − from)/(2·d)·t² = count`, in the form that does not cancel and also takes a constant rate.
    fn time_of(self, count: f64) -> f64 {
        let slope = (self.to - self.from) / self.duration.as_secs_f64();
        let root = (self.from * self.from + 2.0 * slope * count).max(0.0).sqrt();
        if count <= 0.0 { 0.0 } else { 2.0 * count / (self.from + root) }
    }
}

/// Requests per second over time, in stages. Written `30s@200,10s@200..1000,5s@1000`: a constant stage, a ramp, a spike.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    stages: Vec<Stage>,
}

impl Shape {
    /// One rate throughout.
    pub fn constant(per_second: f64, duration: Duration) -> Self {
        Self { stages: vec![Stage { duration, from: per_second, to: per_second }] }
    }

    /// A further stage that goes evenly from one rate to another.
    #[must_use]
    pub fn then(mut self, from: f64, to: f64, duration: Duration) -> Self {
        self.stages.push(Stage { duration, from, to });
        self
    }

    /// How long it goes on.
    pub fn duration(&self) -> Duration {
        self.stages.iter().map(|stage| stage.duration).sum()
    }

    /// Requests expected in all.
    pub fn expected(&self) -> f64 {
        self.stages.iter().map(|stage| stage.expected()).sum()
    }

    /// The same rate as at its beginning, for a warm-up.
    pub(crate) fn warm_up(&self, duration: Duration) -> Self {
        Self::constant(self.stages.first().map_or(0.0, |stage| stage.from), duration)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let rates = self.stages.iter().flat_map(|stage| [stage.from, stage.to]);
        for rate in rates {
            if !(0.0..=MAX_RATE).contains(&rate) {
                return Err(format!("a rate is from 0 to {MAX_RATE} requests a second, not {rate}"));
            }
        }
        if self.expected() > 0.0 { Ok(()) } else { Err("the shape has no request in it".to_owned()) }
    }

    /// The times requests are due, counted from its beginning.
    pub(crate) fn schedule(&self, arrivals: Arrivals, rng: Rng) -> Schedule {
        Schedule { stages: self.stages.clone().into_iter(), current: None, arrivals, rng, wanted: None }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Stage { duration, from, to }) in self.stages.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}ms@{from}", duration.as_millis())?;
            if from.total_cmp(to).is_ne() {
                write!(f, "..{to}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let stages = text.split(',').map(stage).collect::<Result<_, _>>()?;
        let shape = Self { stages };
        shape.check()?;
        Ok(shape)
    }
}

fn stage(text: &str) -> Result<Stage, String> {
    let malformed = || format!("{text:?} is no stage: expected 30s@200 or 30s@200..1000");
    let (duration, rates) = text.split_once('@').ok_or_else(malformed)?;
    let duration = shop_types::parse_duration(duration)?;
    let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
    let rate = |text: &str| text.parse::<f64>().map_err(|_| malformed());
    Ok(Stage { duration, from: rate(from)?, to: rate(to)? })
}

/// How arrivals are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrivals {
    /// Independent of one another, as people's are: gaps are exponential.
    Poisson,
    /// Evenly.
    Even,
}

/// The due times of a [`Shape`]. Time is stretched by the rate (a Poisson process of rate 1 in the cumulated rate is one of
/// the wanted rate in time), so that ramps need no special case.
pub(crate) struct Schedule {
    stages: std::vec::IntoIter<Stage>,
    /// The stage arrivals fall in now, with the time and the expected arrivals before it.
    current: Option<(Stage, Duration, f64)>,
    arrivals: Arrivals,
    rng: Rng,
    /// The expected arrivals at which the one before was due.
    wanted: Option<f64>,
}

impl Schedule {
    fn step(&mut self) -> f64 {
        match (self.arrivals, self.wanted) {
            (Arrivals::Even, None) => 0.0,
            (Arrivals::Even, Some(_)) => 1.0,
            // 1 − f64() is above 0, whose logarithm there is.
            (Arrivals::Poisson, _) => -(1.0 - self.rng.f64()).ln(),
        }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wanted = self.wanted.unwrap_or(0.0) + self.step();
        self.wanted = Some(wanted);
        loop {
            let (stage, start, before) = match self.current {
                Some(current) => current,
                None => (self.stages.next()?, Duration::ZERO, 0.0),
            };
            if wanted < before + stage.expected() {
                self.current = Some((stage, start, before));
                return Some(start + Duration::from_secs_f64(stage.time_of(wanted - before)));
            }
            self.current = Some((self.stages.next()?, start + stage.duration, before + stage.expected()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(shape: &str, arrivals: Arrivals) -> Vec<Duration> {
        shape.parse::<Shape>().unwrap().schedule(arrivals, Rng::with_seed(7)).collect()
    }

    #[test]
    fn even_arrivals_keep_their_distance() {
        let due = due("500ms@10", Arrivals::Even);
        assert_eq!(due, [0, 100, 200, 300, 400].map(Duration::from_millis));
    }

    #[test]
    fn stages_follow_one_another() {
        let due = due("1s@4,1s@0,1s@2", Arrivals::Even);
        assert_eq!(due, [0, 250, 500, 750, 2000, 2500].map(Duration::from_millis));
    }

    #[test]
    fn a_ramp_has_as_many_arrivals_as_its_mean_rate() {
        let due = due("10s@0..200", Arrivals::Even);
        assert_eq!(due.len(), 1_000);
        // In the first half a quarter of them: the area of the smaller triangle.
        let first_half = due.iter().filter(|at| **at < Duration::from_secs(5)).count();
        assert_eq!(first_half, 250);
        assert!(due.is_sorted());
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread() {
        let due = due("100s@100", Arrivals::Poisson);
        let count = f64::from(u32::try_from(due.len()).unwrap());
        // Five standard deviations of a Poisson count of 10,000.
        assert!((count - 10_000.0).abs() < 500.0, "{count}");
        let gaps: Vec<f64> = due.windows(2).map(|pair| pair[1].as_secs_f64() - pair[0].as_secs_f64()).collect();
        let long = gaps.iter().filter(|gap| **gap > 0.02).count();
        // e⁻² of the gaps are longer than two mean ones; evenly spread none would be.
        let expected = count * (-2.0_f64).exp();
        let long = f64::from(u32::try_from(long).unwrap());
        assert!((long - expected).abs() < expected / 5.0, "{long} of {expected}");
    }

    #[test]
    fn what_is_no_shape_says_so() {
        for text in ["", "10s", "10s@", "10s@x", "@10", "10s@1..2..3", "10s@-1", "0s@10", "10s@0", "10s@1e9", "10s@NaN"]
        {
            assert!(text.parse::<Shape>().is_err(), "{text:?}");
        }
        let shape: Shape = "1m@5,250ms@5..50".parse().unwrap();
        assert_eq!(shape.to_string().parse::<Shape>().unwrap(), shape);
        assert_eq!(shape.duration(), Duration::from_millis(60_250));
    }
}
