//! A difference in parts.

use std::sync::Arc;

use watershed_snapshot::{Delta, Digest, Held, Term};

use crate::message::StagePart;

/// Names and contents of a part in octets, after which the next begins. One
/// resource is never split.
const PART: usize = 1 << 20;
/// What a resource takes besides its name and content, at most: tags and
/// lengths of three fields.
const OVERHEAD: usize = 16;

/// The messages that offer the state `offer` as the difference `delta` to
/// the state of digest `base`, or to nothing. At least one: an empty
/// difference is one part, so that a node learns the new name of what it has.
///
/// Parts are of about 1 MiB, unless a single resource is larger.
pub fn split(offer: Held, term: Term, base: Option<Digest>, delta: Delta) -> Vec<StagePart> {
    let mut deltas = vec![Delta::default()];
    let mut size = 0;
    for name in delta.remove {
        let part = room(&mut deltas, &mut size, name.to_string().len());
        part.remove.push(name);
    }
    for (name, bytes) in delta.put {
        let part = room(&mut deltas, &mut size, name.to_string().len() + bytes.len());
        part.put.push((name, bytes));
    }
    // 2^32 parts would be petabytes.
    let parts = u32::try_from(deltas.len()).unwrap_or(u32::MAX);
    let parts = (0..).zip(deltas).map(|(part, delta)| StagePart {
        offer,
        term,
        base,
        part,
        parts,
        delta: Arc::new(delta),
    });
    parts.collect()
}

/// The part that something of `len` octets goes into; `size` is that of the
/// last part so far.
fn room<'d>(deltas: &'d mut Vec<Delta>, size: &mut usize, len: usize) -> &'d mut Delta {
    let len = len + OVERHEAD;
    if *size > 0 && *size + len > PART {
        deltas.push(Delta::default());
        *size = 0;
    }
    *size += len;
    let last = deltas.len() - 1;
    &mut deltas[last]
}
