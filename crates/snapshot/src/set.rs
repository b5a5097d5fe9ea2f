//! The encoded resources of a state, with a digest that a change moves
//! cheaply.

mod block;
mod bucket;
mod builder;

use std::fmt;
use std::sync::Arc;

use self::bucket::{Bucket, Change};
use crate::digest::Digest;
use crate::resource::ResourceName;

pub use builder::ResourceSetBuilder;

/// Number of buckets: as many as an octet has values.
pub const BUCKETS: usize = 256;

/// The encoded resources of a state, by name.
///
/// Resources lie in 256 buckets by the first octet of SHA-256 over their
/// name. The digest of a bucket is SHA-256 over its resources in order of
/// name, each as length of the name (4 octets, big endian), name in text
/// form, and SHA-256 of the content; that of the set is over the digests of
/// the buckets. So it does not depend on history, a change costs one bucket,
/// and two sets are compared bucket by bucket.
///
/// A bucket is one piece of memory, which is written anew for a change: who
/// has many changes makes them all at once.
///
/// A clone is cheap: sets share the buckets in which they do not differ.
#[derive(Clone)]
pub struct ResourceSet {
    buckets: Arc<[Arc<Bucket>; BUCKETS]>,
    len: usize,
}

/// The difference between two sets. A name is either put or removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Resources that are new or have another content.
    pub put: Vec<(ResourceName, Arc<[u8]>)>,
    /// Resources that are gone.
    pub remove: Vec<ResourceName>,
}

impl Delta {
    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.put.is_empty() && self.remove.is_empty()
    }
}

impl ResourceSet {
    /// A set without resources.
    pub fn new() -> Self {
        let empty = Arc::new(Bucket::default());
        Self {
            buckets: Arc::new(std::array::from_fn(|_| Arc::clone(&empty))),
            len: 0,
        }
    }

    /// The bucket that a resource lies in.
    pub fn bucket_of<T: AsRef<str>>(name: &ResourceName<T>) -> u8 {
        let text = name.pieces().map(str::as_bytes);
        Digest::of_all(text).as_bytes()[0]
    }

    /// The content of the resource of that name.
    pub fn get<T: AsRef<str>>(&self, name: &ResourceName<T>) -> Option<&[u8]> {
        self.bucket(Self::bucket_of(name)).get(name.borrowed())
    }

    /// Number of resources.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no resources.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All resources with their contents: by bucket, and by name within a
    /// bucket.
    pub fn iter(&self) -> impl Iterator<Item = (ResourceName<&str>, &[u8])> {
        self.buckets.iter().flat_map(|bucket| bucket.entries())
    }

    /// The resources of a bucket by name.
    pub fn entries_of(&self, bucket: u8) -> impl Iterator<Item = (ResourceName<&str>, &[u8])> {
        self.bucket(bucket).entries()
    }

    /// The resources of a bucket by name, with the hashes of their contents,
    /// which are kept.
    pub fn hashes_of(
        &self,
        bucket: u8,
    ) -> impl Iterator<Item = (ResourceName<&str>, &[u8], Digest)> {
        let bucket = self.bucket(bucket);
        let entries = bucket.entries().zip(bucket.hashes());
        entries.map(|((name, content), hash)| (name, content, *hash))
    }

    /// Adds or replaces a resource. Whether that changed anything.
    pub fn put<T: AsRef<str>>(&mut self, name: &ResourceName<T>, content: &[u8]) -> bool {
        self.change([(name.borrowed(), Some(content))])
    }

    /// Removes a resource. Whether it was there.
    pub fn remove<T: AsRef<str>>(&mut self, name: &ResourceName<T>) -> bool {
        self.change([(name.borrowed(), None)])
    }

    /// Puts (`Some`) and removes (`None`) resources. Of several changes of one
    /// the last counts. Whether that changed anything.
    pub fn change<'c>(
        &mut self,
        changes: impl IntoIterator<Item = (ResourceName<&'c str>, Option<&'c [u8]>)>,
    ) -> bool {
        let changes = changes.into_iter().map(|(name, content)| Change {
            bucket: Self::bucket_of(&name),
            name,
            content,
        });
        let mut changes: Vec<_> = changes.collect();
        // Both leave the changes of a name in their order. Mostly changes come
        // by name, so within a bucket nothing is left to do.
        changes.sort_by_key(|change| change.bucket);
        let mut any = false;
        for changes in changes.chunk_by_mut(|one, other| one.bucket == other.bucket) {
            changes.sort_by_key(|change| change.name);
            any |= self.change_bucket(changes[0].bucket, changes);
        }
        any
    }

    fn change_bucket(&mut self, number: u8, changes: &[Change<'_>]) -> bool {
        let before = self.bucket(number);
        let Some(bucket) = before.with(changes) else {
            return false;
        };
        self.len = self.len - before.len() + bucket.len();
        Arc::make_mut(&mut self.buckets)[usize::from(number)] = Arc::new(bucket);
        true
    }

    /// The digest of the whole set.
    pub fn digest(&self) -> Digest {
        let digests = self.bucket_digests();
        Digest::of_all(digests.iter().map(|digest| &digest.as_bytes()[..]))
    }

    /// The digest of every bucket.
    pub fn bucket_digests(&self) -> [Digest; BUCKETS] {
        std::array::from_fn(|number| self.buckets[number].digest())
    }

    /// The changes that make this set into `to`, by bucket.
    pub fn changes_to<'s>(
        &'s self,
        to: &'s Self,
    ) -> impl Iterator<Item = (ResourceName<&'s str>, Option<&'s [u8]>)> {
        let pairs = self.buckets.iter().zip(to.buckets.iter());
        let differing =
            pairs.filter(|(old, new)| !Arc::ptr_eq(old, new) && old.digest() != new.digest());
        differing.flat_map(|(old, new)| {
            let gone = old.entries().filter(|(name, _)| new.get(*name).is_none());
            let put = new.entries();
            let put = put.filter(|(name, content)| old.get(*name) != Some(*content));
            let gone = gone.map(|(name, _)| (name, None));
            gone.chain(put.map(|(name, content)| (name, Some(content))))
        })
    }

    /// The same, for those who outlive both: in the order of [`Self::iter`].
    pub fn diff(&self, to: &Self) -> Delta {
        let mut delta = Delta::default();
        for (name, content) in self.changes_to(to) {
            match content {
                Some(content) => delta.put.push((name.to_shared(), content.into())),
                None => delta.remove.push(name.to_shared()),
            }
        }
        delta
    }

    fn bucket(&self, number: u8) -> &Bucket {
        &self.buckets[usize::from(number)]
    }
}

impl Default for ResourceSet {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for ResourceSet {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.buckets, &other.buckets) || self.digest() == other.digest()
    }
}

impl Eq for ResourceSet {}

impl fmt::Debug for ResourceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hashed = self
            .iter()
            .map(|(name, content)| (name, Digest::of(content)));
        f.debug_map().entries(hashed).finish()
    }
}

impl<T: AsRef<str>, B: AsRef<[u8]>> FromIterator<(ResourceName<T>, B)> for ResourceSet {
    /// Of several resources of one name the last is taken.
    fn from_iter<I: IntoIterator<Item = (ResourceName<T>, B)>>(resources: I) -> Self {
        let mut builder = ResourceSetBuilder::new();
        for (name, content) in resources {
            builder.put(name.borrowed(), content.as_ref());
        }
        builder.build()
    }
}

#[cfg(test)]
mod tests;
