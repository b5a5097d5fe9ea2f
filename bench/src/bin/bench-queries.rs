//! Writes queries of a work for a load generator: each after its length in
//! two octets, as `dnsperf -B` reads them.
//!
//! `bench-queries WORK [NAMES]`, WORK being one of those of `bench-node`, or
//! `names`, `policies` or `missing` with as many names.

use std::io::Write;

use anyhow::Context;
use watershed_bench::works::{WORKS, query};

/// Client networks that are asked for.
const NETWORKS: u32 = 20_000;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let work = arguments.next().context("bench-queries WORK [NAMES]")?;
    let names = arguments.next().map_or(Ok(1), |names| names.parse())?;
    let mut output = std::io::stdout().lock();
    for number in 0..NETWORKS.max(names) {
        // Spread over the addresses of public networks.
        let [a, b, c, _] = number.wrapping_mul(2_654_435_761).to_be_bytes();
        let spread = number.wrapping_mul(7919) % names;
        let packet = match work.as_str() {
            "names" => query(&format!("h{spread}.example.com."), None)?,
            "policies" => query(&format!("p{spread}.w.example.com."), None)?,
            "missing" => query(&format!("x{spread}.example.com."), None)?,
            work => {
                let known = WORKS.iter().find(|(known, _)| *known == work);
                let (_, name) = known.context("no such work")?;
                let located = matches!(work, "geo" | "tree");
                query(name, located.then_some([a.clamp(1, 223), b, c]))?
            }
        };
        output.write_all(&u16::try_from(packet.len())?.to_be_bytes())?;
        output.write_all(&packet)?;
    }
    Ok(())
}
