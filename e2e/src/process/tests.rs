//! Programs end when they shall, and how they end is told.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::*;
use crate::run_dir;

const SOON: Duration = Duration::from_secs(10);

fn shell(script: &str) -> Result<Process> {
    let log = run_dir::new_dir("process")?.join("sh.log");
    Process::start(Launch::new("sh", "sh", log).args(["-c", script]))
}

fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    // A zombie is gone but for its parent.
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

async fn said(process: &Process, word: &str) -> Result<()> {
    let probe = async || {
        if !fs::read_to_string(process.log())?.contains(word) {
            bail!("it has not said {word}");
        }
        Ok(())
    };
    process
        .eventually(&format!("it says {word}"), SOON, probe)
        .await
}

#[tokio::test]
async fn it_ends_with_what_it_started_when_it_is_dropped() -> Result<()> {
    let process = shell("sleep 1000 & echo started $!; wait")?;
    said(&process, "started").await?;
    let log = fs::read_to_string(process.log())?;
    let child: u32 = log.trim_start_matches("started").trim().parse()?;
    let parent = process.pid().context("it runs")?;
    assert!(runs(parent) && runs(child));
    drop(process);
    let gone = async || Ok(!runs(parent) && !runs(child));
    crate::wait::until("both are gone", SOON, gone).await
}

#[tokio::test]
async fn waiting_for_it_ends_when_it_ends() -> Result<()> {
    let process = shell("echo cannot go on; exit 3")?;
    let start = Instant::now();
    let never = process.eventually("it is ready", SOON * 6, async || -> Result<()> {
        bail!("no")
    });
    let error = format!("{:#}", never.await.unwrap_err());
    assert!(start.elapsed() < SOON, "{error}");
    assert!(error.contains("exit status: 3"), "{error}");
    assert!(error.contains("cannot go on"), "{error}");
    Ok(())
}

#[tokio::test]
async fn it_can_be_stopped_and_started_again() -> Result<()> {
    let process = shell("trap 'echo bye; exit 0' TERM; echo hello; while :; do sleep 0.01; done")?;
    said(&process, "hello").await?;
    assert!(process.restart().is_err());
    assert!(process.stop(SOON).await?.success());
    assert_eq!(process.pid(), None);
    process.restart()?;
    assert!(process.pid().is_some_and(runs));
    said(&process, "bye\nhello").await
}

#[tokio::test]
async fn one_that_does_not_stop_is_an_error_and_killed() -> Result<()> {
    let process = shell("trap '' TERM; echo hello; while :; do sleep 0.01; done")?;
    said(&process, "hello").await?;
    let error = process.stop(Duration::from_millis(200)).await.unwrap_err();
    assert!(format!("{error:#}").contains("SIGTERM"), "{error:#}");
    assert!(process.exited().is_some());
    Ok(())
}

#[tokio::test]
async fn a_paused_one_does_nothing_until_it_is_resumed() -> Result<()> {
    let process = shell("while :; do echo tick; sleep 0.01; done")?;
    said(&process, "tick").await?;
    process.pause()?;
    let pid = process.pid().context("it runs")?;
    let stopped = async || Ok(fs::read_to_string(format!("/proc/{pid}/stat"))?.contains(") T "));
    crate::wait::until("it is stopped", SOON, stopped).await?;
    let before = size(process.log())?;
    process.resume()?;
    let goes_on = async || Ok(size(process.log())? > before);
    crate::wait::until("it goes on", SOON, goes_on).await
}

fn size(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path)?.len())
}
