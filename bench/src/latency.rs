//! Latencies of single requests and their percentiles; exact, because all of them are kept.

use std::time::Duration;

/// All latencies of one run, in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    /// Records one.
    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> usize {
        self.0.len()
    }

    /// Adds those of another worker.
    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns the given percentiles in milliseconds; zero when there are no latencies.
    pub(crate) fn percentiles_ms<const N: usize>(&mut self, percents: [usize; N]) -> [f64; N] {
        self.0.sort_unstable();
        percents.map(|percent| {
            let rank = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
            self.0.get(rank).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut latencies = Latencies::default();
        for millis in 1..=200 {
            latencies.record(Duration::from_millis(millis));
        }
        let percentiles = latencies.percentiles_ms([50, 99, 100]);
        assert_eq!(format!("{percentiles:?}"), "[100.0, 198.0, 200.0]");
        let [none] = Latencies::default().percentiles_ms([50]);
        assert!(none.abs() < f64::EPSILON);
    }
}
