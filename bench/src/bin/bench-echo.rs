//! The ceiling of the comparison: what the kernel alone costs. Every query is
//! answered with the same A record, without a look at it.

use std::net::SocketAddr;

use anyhow::Context;
use watershed_bench::load::{Batch, Wait, answer_start, socket};

/// Name of the question, A, IN, TTL 60, 192.0.2.1.
const ANSWER: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1];

fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).context("bench-echo ADDRESS:PORT")?;
    let socket = socket(address.parse::<SocketAddr>()?)?;
    let mut batch = Batch::default();
    loop {
        let count = batch.receive(&socket, Wait::ForOne)?;
        for slot in 0..count {
            let (buffer, length) = batch.slot(slot);
            *length = answer(buffer, *length);
        }
        batch.send(&socket, count)?;
    }
}

/// Turns a query into a reply, and says how long that is.
fn answer(buffer: &mut [u8], length: usize) -> usize {
    let Some(end) = answer_start(&buffer[..length]) else {
        return length;
    };
    // A response, authoritative; one question, one answer.
    buffer[2] = 0x84 | (buffer[2] & 1);
    buffer[3] = 0;
    buffer[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
    buffer[end..end + ANSWER.len()].copy_from_slice(&ANSWER);
    end + ANSWER.len()
}
