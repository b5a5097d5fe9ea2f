//! A hash map of which many versions live side by side.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::ops::Index;

use crate::table::{CowTable, Entry};

/// A hash map that copies on write.
///
/// A clone is cheap and independent. The first change after it copies a small
/// part, which grows with about the square root of the number of entries. A
/// look-up takes no lock.
///
/// Keys are hashed with a secret of the process, so that nobody can choose
/// keys that collide.
#[derive(Clone)]
pub struct CowMap<K, V>(CowTable<(K, V)>);

impl<K: Hash + Eq, V> Entry for (K, V) {
    type Key = K;

    fn key(&self) -> &K {
        &self.0
    }
}

impl<K, V> CowMap<K, V> {
    /// A map without entries.
    pub fn new() -> Self {
        Self(CowTable::new())
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// All values, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<K: Hash + Eq, V> CowMap<K, V> {
    /// The value of a key.
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let entry = self.0.find(key, |(held, _)| held.borrow() == key)?;
        Some(&entry.1)
    }

    /// Whether there is such a key.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key).is_some()
    }
}

impl<K: Hash + Eq + Clone, V: Clone> CowMap<K, V> {
    /// The value of a key, to be changed.
    pub(crate) fn get_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let entry = self.0.find_mut(key, |(held, _)| held.borrow() == key)?;
        Some(&mut entry.1)
    }

    /// Sets the value of a key; returns the one before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (_, before) = self.0.insert((key, value))?;
        Some(before)
    }

    /// Removes a key; returns its value.
    pub(crate) fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (_, value) = self.0.remove(key, |(held, _)| held.borrow() == key)?;
        Some(value)
    }
}

impl<K, V> Default for CowMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Hash + Eq, V: PartialEq> PartialEq for CowMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_same(&other.0)
            || (self.len() == other.len()
                && self
                    .iter()
                    .all(|(key, value)| other.get(key) == Some(value)))
    }
}

impl<K: Hash + Eq, V: Eq> Eq for CowMap<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for CowMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Hash + Eq + Borrow<Q>, V, Q: Hash + Eq + ?Sized> Index<&Q> for CowMap<K, V> {
    type Output = V;

    /// The value of a key.
    ///
    /// # Panics
    /// When there is no such key, like the maps of the standard library.
    #[allow(clippy::expect_used, reason = "indexing says that the key is there")]
    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("no such key")
    }
}

impl<K: Hash + Eq + Clone, V: Clone> FromIterator<(K, V)> for CowMap<K, V> {
    /// Of entries with equal keys the last is kept.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_map(
            changes in proptest::collection::vec((0..200_u32, proptest::option::of(0..9_u8)), 0..600),
        ) {
            let (mut map, mut model) = (CowMap::new(), HashMap::new());
            let mut versions = Vec::new();
            for (step, (key, value)) in changes.into_iter().enumerate() {
                if let Some(value) = value {
                    prop_assert_eq!(map.insert(key, value), model.insert(key, value));
                } else {
                    prop_assert_eq!(map.remove(&key), model.remove(&key));
                }
                if step % 50 == 0 {
                    versions.push((map.clone(), model.clone()));
                }
            }
            versions.push((map, model));
            // Neither a later change nor a split reaches into a clone.
            for (map, model) in versions {
                prop_assert_eq!(map.len(), model.len());
                prop_assert!(map.iter().all(|(key, value)| model.get(key) == Some(value)));
                prop_assert!(model.iter().all(|(key, value)| map.get(key) == Some(value)));
                prop_assert_eq!(&map, &model.into_iter().collect::<CowMap<_, _>>());
            }
        }
    }
}
