//! Figures: from slices to what is printed.

use std::time::Duration;

use crate::load::Slice;

/// What a run of slices comes to.
pub(crate) struct Figures {
    /// Of each slice, in the order in which they ran.
    rates: Vec<f64>,
    p50: Duration,
    p99: Duration,
    processor_micros: f64,
}

impl Figures {
    pub(crate) fn of(slices: &[Slice]) -> Self {
        let rates = slices
            .iter()
            .map(|slice| count(slice) / slice.elapsed.as_secs_f64())
            .collect();
        let latencies: Vec<Duration> = slices
            .iter()
            .flat_map(|slice| slice.latencies.iter().copied())
            .collect();
        let processor_time: Duration = slices.iter().map(|slice| slice.processor_time).sum();
        let requests: f64 = slices.iter().map(count).sum();
        let [p50, p99] = percentiles(latencies, [50, 99]);
        Self {
            rates,
            p50,
            p99,
            processor_micros: processor_time.as_secs_f64() * 1e6 / requests,
        }
    }

    /// Prints ours and bare axum's, and how they compare.
    pub(crate) fn print_beside(&self, bare: &Self, most_processor_time: f64) {
        print_heading("requests");
        self.print("remote-mcp-auth");
        bare.print("bare axum");
        let rate = self.rate_beside(bare);
        let p50 = self.p50.as_secs_f64() / bare.p50.as_secs_f64();
        let p99 = self.p99.as_secs_f64() / bare.p99.as_secs_f64();
        let processor = self.processor_time_beside(bare);
        println!("    ratio            {rate:12.2} {p50:9.2} {p99:9.2} {processor:13.2}");
        println!(
            "    target                 ≥ 0.85                         ≤ {most_processor_time}"
        );
    }

    /// How many times as fast. Each slice is held against the one that ran right beside it, on a
    /// machine in the same mood.
    pub(crate) fn rate_beside(&self, other: &Self) -> f64 {
        let pairs = self.rates.iter().zip(&other.rates);
        median(pairs.map(|(ours, others)| ours / others))
    }

    /// How many times the processor time.
    pub(crate) fn processor_time_beside(&self, other: &Self) -> f64 {
        self.processor_micros / other.processor_micros
    }

    pub(crate) fn print(&self, name: &str) {
        let p50 = millis(self.p50);
        let p99 = millis(self.p99);
        let rate = median(self.rates.iter().copied());
        println!(
            "    {name:20} {rate:8.0} {p50:>9} {p99:>9} {:10.1} µs",
            self.processor_micros
        );
    }
}

/// What stands above the figures of things of that name.
pub(crate) fn print_heading(things: &str) {
    let (rate, each) = (format!("{things}/s"), "CPU/each");
    println!("    {rate:>29}       p50       p99   {each:>11}");
}

/// Percentiles, in the order asked for.
pub(crate) fn percentiles<const N: usize>(
    mut durations: Vec<Duration>,
    percents: [usize; N],
) -> [Duration; N] {
    durations.sort_unstable();
    let last = durations.len().saturating_sub(1);
    percents.map(|percent| {
        let at = durations.get(last * percent / 100);
        at.copied().unwrap_or_default()
    })
}

pub(crate) fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}

/// The one in the middle: what something else disturbed does not count.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn count(slice: &Slice) -> f64 {
    u32::try_from(slice.latencies.len()).map_or(f64::NAN, f64::from)
}
