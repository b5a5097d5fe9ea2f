//! What is reported.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::process::Usage;

/// Names and numbers.
pub(crate) struct Figures(Value);

impl Figures {
    /// Of a run of this size.
    pub(crate) fn new(records: usize, policies: usize, pods: usize) -> Self {
        Self(json!({"records": records, "policies": policies, "pods": pods}))
    }

    /// A number of anything.
    pub(crate) fn number(&mut self, name: &str, number: usize) {
        self.0[name] = number.into();
    }

    /// A time in seconds, to the millisecond.
    pub(crate) fn seconds(&mut self, name: &str, time: Duration) {
        self.0[name] = seconds(time);
    }

    /// Octets, in MiB.
    pub(crate) fn megabytes(&mut self, name: &str, octets: usize) {
        self.0[name] = (octets >> 20).into();
    }

    /// Times of the same thing, in order of size.
    pub(crate) fn series(&mut self, name: &str, times: &[Duration]) {
        let mut times = times.to_vec();
        times.sort();
        self.0[name] = times.into_iter().map(seconds).collect();
    }

    /// Processor time of the operator between two readings.
    pub(crate) fn cpu(&mut self, what: &str, usage: (&Usage, &Usage)) {
        let time = usage.1.cpu.saturating_sub(usage.0.cpu);
        self.seconds(&format!("{what}_operator_cpu_seconds"), time);
    }

    /// Processor time of all pods between two readings.
    pub(crate) fn pods_cpu(&mut self, what: &str, usage: (&Usage, &Usage)) {
        let time = usage.1.cpu.saturating_sub(usage.0.cpu);
        self.seconds(&format!("{what}_all_pods_cpu_seconds"), time);
    }

    /// Prints and writes them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.0)?;
        println!("{text}");
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        Ok(fs::write(path, text + "\n")?)
    }
}

fn seconds(time: Duration) -> Value {
    let milliseconds = time.as_secs_f64() * 1000.0;
    (milliseconds.round() / 1000.0).into()
}
