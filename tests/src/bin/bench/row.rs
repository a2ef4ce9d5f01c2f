//! A row of the table: what was done, what came out, what is to be reached.

use std::fmt::Write as _;

use dray_tests::daemon::{Daemon, Usage};
use dray_tests::site::Site;
use hdrhistogram::Histogram;

/// One measured piece of work. Its goals are those of the design; what is missed says so and ends the program with 1.
#[derive(Debug, Default)]
pub(crate) struct Row {
    work: String,
    result: Vec<String>,
    goals: Vec<String>,
    missed: Vec<String>,
    events: u64,
    used: [Used; 2],
    /// What the rounds are compared by: the median is shown.
    pub(crate) headline: f64,
}

/// What a daemon used, over all the processes that it was.
#[derive(Debug, Default, Clone, Copy)]
struct Used {
    cpu_s: f64,
    peak_bytes: u64,
}

impl Used {
    fn add(&mut self, usage: Usage) {
        self.cpu_s += usage.cpu_s;
        self.peak_bytes = self.peak_bytes.max(usage.peak_bytes);
    }
}

impl Row {
    /// A row of so many events.
    pub(crate) fn of(work: impl Into<String>, events: u64) -> Self {
        Self {
            work: work.into(),
            events,
            ..Self::default()
        }
    }

    /// Appends to the result.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.result.push(text.into());
    }

    /// Appends a figure to the result, and what it is to reach.
    pub(crate) fn at_least(&mut self, name: &str, figure: Figure, goal: f64) {
        self.figure(name, &figure, goal, '≥', figure.value >= goal);
    }

    /// The same, of what is to stay below.
    pub(crate) fn at_most(&mut self, name: &str, figure: Figure, goal: f64) {
        self.figure(name, &figure, goal, '≤', figure.value <= goal);
    }

    fn figure(&mut self, name: &str, figure: &Figure, goal: f64, sign: char, met: bool) {
        let text = format!("{name} {}", figure.text());
        let text = text.trim().to_owned();
        let wanted = figure.with(goal).text();
        self.goals
            .push(format!("{name} {sign} {wanted}").trim().to_owned());
        if !met {
            self.missed.push(format!("{text}, not {sign} {wanted}"));
        }
        self.result.push(text);
    }

    /// Judges something that has no number.
    pub(crate) fn must(&mut self, goal: &str, met: bool, found: impl Into<String>) {
        let found = found.into();
        self.goals.push(goal.into());
        if !met {
            self.missed.push(format!("{found}, not {goal}"));
        }
        self.result.push(found);
    }

    /// Counts in what the site's running daemons used so far.
    pub(crate) fn count_in(&mut self, site: &Site) -> anyhow::Result<()> {
        self.count_agent(site.agent.as_ref())?;
        self.count_collector(site.collector.as_ref())
    }

    /// Counts in an agent that is about to end.
    pub(crate) fn count_agent(&mut self, agent: Option<&Daemon>) -> anyhow::Result<()> {
        self.used[0].add(agent.map_or(Ok(Usage::default()), Daemon::usage)?);
        Ok(())
    }

    /// Counts in a collector that is about to end.
    pub(crate) fn count_collector(&mut self, collector: Option<&Daemon>) -> anyhow::Result<()> {
        self.used[1].add(collector.map_or(Ok(Usage::default()), Daemon::usage)?);
        Ok(())
    }

    /// CPU of both in microseconds an event.
    pub(crate) fn cpu_us(&self) -> f64 {
        (self.used[0].cpu_s + self.used[1].cpu_s) * 1e6 / self.events as f64
    }

    /// Holds both to the memory that the design allows them under load.
    pub(crate) fn judge_memory(&mut self) {
        let [agent, collector] = self.used.map(|used| used.peak_bytes);
        for (name, bytes, goal) in [("agent", agent, 128.0), ("collector", collector, 300.0)] {
            let found = mib(bytes);
            if found > goal {
                let missed = format!("{name}'s peak {found:.0} MiB, not ≤ {goal:.0} MiB");
                self.missed.push(missed);
            }
        }
    }

    /// Whether a goal is missed.
    pub(crate) fn failed(&self) -> bool {
        !self.missed.is_empty()
    }

    /// The row as markdown; `others`: cores that other processes used meanwhile.
    pub(crate) fn markdown(&self, others: f64) -> String {
        let mut result = self.result.join("; ");
        if self.failed() {
            // A string takes everything.
            let _ = write!(result, " **missed: {}**", self.missed.join("; "));
        }
        let [agent, collector] = self.used;
        let each = |used: Used| format!("{:.2}", used.cpu_s * 1e6 / self.events as f64);
        let cpu = match self.events {
            0 => String::new(),
            _ => format!("{} + {}", each(agent), each(collector)),
        };
        let peaks = [agent, collector].map(|used| format!("{:.0}", mib(used.peak_bytes)));
        format!(
            "| {} | {result} | {} | {cpu} | {} | {others:.1} |",
            self.work,
            self.goals.join("; "),
            peaks.join(" / ")
        )
    }
}

/// The table's head.
pub(crate) const HEAD: &str = "\
| work | result | to reach | CPU µs an event, agent + collector | peak MiB, agent / collector | cores used by others |
|---|---|---|---|---|---|";

/// A number with its unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    /// The number.
    pub(crate) value: f64,
    /// Digits behind the point.
    pub(crate) digits: usize,
    /// What it counts.
    pub(crate) unit: &'static str,
}

impl Figure {
    /// A number with its unit.
    pub(crate) fn new(value: f64, digits: usize, unit: &'static str) -> Self {
        Self {
            value,
            digits,
            unit,
        }
    }

    /// Of times in microseconds, the one that this part of them does not exceed, in milliseconds.
    pub(crate) fn quantile(times: &Histogram<u64>, part: f64) -> Self {
        Self::new(times.value_at_quantile(part) as f64 / 1e3, 1, "ms")
    }

    fn with(self, value: f64) -> Self {
        let digits = if value.fract() == 0.0 { 0 } else { 1 };
        Self {
            value,
            digits,
            ..self
        }
    }

    fn text(&self) -> String {
        let number = format!("{:.*}", self.digits, self.value);
        let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
        format!("{}{rest} {}", thousands(whole), self.unit)
    }
}

/// 1234567 as 1,234,567.
pub(crate) fn thousands(digits: impl ToString) -> String {
    let digits = digits.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in MiB.
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_it_misses() {
        let mut row = Row::of("work", 0);
        row.at_least("", Figure::new(1_234_567.0, 0, "events/s"), 400_000.0);
        assert!(!row.failed());
        row.at_most("p99", Figure::new(13.25, 1, "ms"), 12.0);
        assert!(row.failed());
        assert_eq!(
            row.markdown(0.25),
            "| work | 1,234,567 events/s; p99 13.2 ms **missed: p99 13.2 ms, not ≤ 12 ms** | ≥ 400,000 events/s; p99 ≤ 12 ms |  | 0 / 0 | 0.2 |"
        );
    }
}
