//! A part of the resources.

use std::sync::OnceLock;

use super::block::{Block, Entry};
use crate::digest::Digest;
use crate::resource::ResourceName;

/// A part of the resources. It never changes: a change makes another.
#[derive(Default)]
pub(super) struct Bucket {
    /// By name.
    block: Block,
    /// Filled when it is asked for, so that many changes cost one hash.
    digest: OnceLock<Digest>,
    /// The hash of each content, for those who ask about many: an operator
    /// does for every node that returns.
    hashes: OnceLock<Box<[Digest]>>,
}

/// What becomes of a resource.
#[derive(Clone, Copy)]
pub(super) struct Change<'c> {
    /// The bucket that it lies in.
    pub(super) bucket: u8,
    pub(super) name: ResourceName<&'c str>,
    /// `None`: it is removed.
    pub(super) content: Option<&'c [u8]>,
}

impl Bucket {
    pub(super) fn len(&self) -> usize {
        self.block.len()
    }

    pub(super) fn get(&self, name: ResourceName<&str>) -> Option<&[u8]> {
        self.block.find(name)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.block.entries()
    }

    pub(super) fn hashes(&self) -> &[Digest] {
        self.hashes.get_or_init(|| {
            let contents = self.entries().map(|(_, content)| content);
            contents.map(Digest::of).collect()
        })
    }

    pub(super) fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let mut octets = Vec::new();
            for (name, content) in self.entries() {
                let text = name.pieces().map(str::as_bytes);
                let len = text.iter().map(|piece| piece.len()).sum::<usize>();
                // Names are far shorter than 4 GiB.
                let len = u32::try_from(len).unwrap_or(u32::MAX);
                octets.extend_from_slice(&len.to_be_bytes());
                for piece in text {
                    octets.extend_from_slice(piece);
                }
                octets.extend_from_slice(Digest::of(content).as_bytes());
            }
            Digest::of(&octets)
        })
    }

    /// What the bucket becomes by changes in order of name, of which the last
    /// of each name counts. `None`: it stays what it is.
    pub(super) fn with(&self, changes: &[Change<'_>]) -> Option<Self> {
        let mut entries = Vec::with_capacity(self.len() + changes.len());
        let mut held = self.entries().peekable();
        let mut differs = false;
        for same in changes.chunk_by(|one, other| one.name == other.name) {
            let Some(Change { name, content, .. }) = same.last() else {
                continue;
            };
            while let Some(before) = held.next_if(|(held, _)| held < name) {
                entries.push(before);
            }
            let former = held.next_if(|(held, _)| held == name);
            differs |= former.map(|(_, content)| content) != *content;
            entries.extend(content.map(|content| (*name, content)));
        }
        entries.extend(held);
        let block = differs.then(|| Block::of(&entries))?;
        Some(Self {
            block,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::resource::ResourceKind;

    type Changes = Vec<(ResourceName, Option<u8>)>;

    /// Changes of few names. They are of one bucket, whatever they hash to.
    fn changes() -> impl Strategy<Value = Changes> {
        let kind = prop::sample::select(&ResourceKind::ALL[..2]);
        let name =
            (kind, 0..20_u8).prop_map(|(kind, n)| ResourceName::new(kind, "shop", format!("n{n}")));
        let change = (name, proptest::option::weighted(0.7, 0..3_u8));
        proptest::collection::vec(change, 0..40)
    }

    proptest! {
        #[test]
        fn is_as_a_map(batches in proptest::collection::vec(changes(), 0..5)) {
            let (mut bucket, mut model) = (Bucket::default(), BTreeMap::new());
            for mut batch in batches {
                batch.sort_by(|(one, _), (other, _)| one.cmp(other));
                let contents: Vec<_> = batch.iter().map(|(_, content)| content.map(|c| [c])).collect();
                let changes = batch.iter().zip(&contents).map(|((name, _), content)| Change {
                    bucket: 0,
                    name: name.borrowed(),
                    content: content.as_ref().map(|content| &content[..]),
                });
                let before = model.clone();
                for (name, content) in &batch {
                    match content {
                        Some(content) => model.insert(name.clone(), [*content]),
                        None => model.remove(name),
                    };
                }
                let after = bucket.with(&changes.collect::<Vec<_>>());
                prop_assert_eq!(after.is_some(), model != before);
                bucket = after.unwrap_or(bucket);
                let held: Vec<_> = bucket.entries().collect();
                let expected: Vec<_> = model.iter().map(|(name, content)| (name.borrowed(), &content[..])).collect();
                prop_assert_eq!(held, expected);
                prop_assert!(model.iter().all(|(name, content)| bucket.get(name.borrowed()) == Some(&content[..])));
            }
        }
    }
}
