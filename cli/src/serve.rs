//! Stub.
use std::process::ExitCode;
/// Answer DNS queries from a directory of manifests
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  watershed serve x")]
pub struct ServeArgs { /// Directory
 pub dir: std::path::PathBuf }
/// Stub.
#[allow(clippy::needless_pass_by_value)]
pub fn run(_args: ServeArgs) -> ExitCode { ExitCode::FAILURE }
