//! Conditions with a deadline.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tokio::time::{sleep, timeout};

/// The pauses between two probes: short at first, as most conditions are true
/// soon, and longer then, so that waiting takes no time from what is waited for.
const PAUSES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_millis(250);

/// Asks again and again until the probe answers `Ok`, and returns that. A probe
/// that hangs is cut off at the deadline, too.
///
/// ```
/// # use std::time::Duration;
/// # use watershed_e2e::eventually;
/// # tokio_test(async {
/// let mut times = 0;
/// let answer = eventually("the third time", Duration::from_secs(5), async || {
///     times += 1;
///     anyhow::ensure!(times == 3, "only {times} times");
///     Ok(times)
/// });
/// assert_eq!(answer.await.unwrap(), 3);
/// # });
/// # fn tokio_test(test: impl Future<Output = ()>) {
/// #     tokio::runtime::Runtime::new().unwrap().block_on(test);
/// # }
/// ```
///
/// # Errors
/// At the deadline: what was waited for, and the last error of the probe.
pub async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let start = Instant::now();
    let mut last = None;
    let mut pause = *PAUSES.start();
    while let Some(left) = deadline.checked_sub(start.elapsed()) {
        match timeout(left, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => last = Some(error),
            Err(_) => break,
        }
        sleep(pause.min(left)).await;
        pause = (pause * 3 / 2).min(*PAUSES.end());
    }
    let waited = format!("waited {:.1} s: {what}", deadline.as_secs_f64());
    let last = last.unwrap_or_else(|| anyhow!("the probe gave no answer in this time"));
    Err(last.context(waited))
}

/// As [`eventually`] for a condition that has nothing to give but yes or no.
///
/// # Errors
/// At the deadline: what was waited for.
pub async fn until(
    what: &str,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let probe = async || probe().await?.then_some(()).context("not so yet");
    eventually(what, deadline, probe).await
}
