//! Differences that many nodes are sent, made once for all of them: when a
//! thousand nodes come with nothing, the whole state is not held a thousand
//! times.

use std::collections::HashMap;

use watershed_proto::{StagePart, split};
use watershed_snapshot::{Delta, Digest, Held, Term};

/// The parts by which nodes come to one generation, by the digest of what they
/// serve; `None`: nothing.
#[derive(Default)]
pub(super) struct Prepared {
    /// What the parts lead to, and in which term.
    offer: Option<(Held, Term)>,
    parts: HashMap<Option<Digest>, Vec<StagePart>>,
}

impl Prepared {
    /// The parts that lead from `base` to `offer`; `delta` works out the
    /// difference when nobody needed it before.
    pub(super) fn parts(
        &mut self,
        offer: (Held, Term),
        base: Option<Digest>,
        delta: impl FnOnce() -> Delta,
    ) -> Vec<StagePart> {
        if self.offer != Some(offer) {
            self.forget();
            self.offer = Some(offer);
        }
        let (held, term) = offer;
        let parts = self
            .parts
            .entry(base)
            .or_insert_with(|| split(held, term, base, delta()));
        // What is large in them is shared.
        parts.clone()
    }

    /// Nobody needs them any more.
    pub(super) fn forget(&mut self) {
        self.offer = None;
        self.parts.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use watershed_snapshot::SnapshotId;

    use super::*;

    fn offer(generation: u64) -> (Held, Term) {
        let id = SnapshotId {
            epoch: 1,
            generation,
        };
        let digest = Digest::of(&generation.to_be_bytes());
        (Held { id, digest }, Term(1))
    }

    #[test]
    fn a_difference_is_worked_out_once() {
        let mut prepared = Prepared::default();
        let first = prepared.parts(offer(1), None, Delta::default);
        let second = prepared.parts(offer(1), None, || panic!("it is known"));
        assert!(Arc::ptr_eq(&first[0].delta, &second[0].delta));
        let base = Some(Digest::of(b"another"));
        let other = prepared.parts(offer(1), base, Delta::default);
        assert_eq!(other[0].base, base);
    }

    #[test]
    fn those_to_a_former_generation_are_forgotten() {
        let mut prepared = Prepared::default();
        prepared.parts(offer(1), None, Delta::default);
        let next = prepared.parts(offer(2), None, Delta::default);
        assert_eq!(next[0].offer, offer(2).0);
        assert_eq!(prepared.parts.len(), 1);
        prepared.forget();
        assert!(prepared.parts.is_empty());
    }
}
