//! Writes queries of a work for a load generator: each after its length in
//! two octets, as `dnsperf -B` reads them.
//!
//! `bench-queries WORK [NAMES]`, WORK being one of those of `bench-node`, or
//! `names`, `policies` or `missing` with as many names.

use std::io::Write;

use anyhow::Context;
use watershed_bench::works;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let work = arguments.next().context("bench-queries WORK [NAMES]")?;
    let names = arguments.next().map_or(Ok(1), |names| names.parse())?;
    let mut output = std::io::stdout().lock();
    for packet in works::queries(&work, names)? {
        output.write_all(&u16::try_from(packet.len())?.to_be_bytes())?;
        output.write_all(&packet)?;
    }
    Ok(())
}
