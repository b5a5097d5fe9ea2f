//! Memory of many records in the compiled form, by what is allocated.
#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use watershed_bench::many_records;
use watershed_compile::{Previous, compile};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const RECORDS: usize = 100_000;

fn main() {
    let region = Region::new(ALLOCATOR);
    let bytes = || {
        let stats = region.change();
        stats.bytes_allocated - stats.bytes_deallocated
    };
    let resources = many_records(RECORDS).expect("the example is valid");
    report("objects", bytes());
    let before = bytes();
    let compiled = compile(&resources, &Previous::none(), 1);
    report(
        "compilation: snapshot, verdicts, fallback",
        bytes() - before,
    );
    let snapshot = compiled.snapshot;
    drop((resources, compiled.previous, compiled.verdicts));
    report("snapshot alone", bytes());
    let names: usize = snapshot
        .zones
        .values()
        .map(|zone| zone.names().count())
        .sum();
    assert!(names > RECORDS, "every record is served");
}

fn report(what: &str, bytes: usize) {
    let (mib, each) = (bytes / (1 << 20), bytes / RECORDS);
    println!("{RECORDS} records, {what}: {mib} MiB, {each} bytes a record");
}
