//! Resources in one piece of memory.

use crate::resource::{ResourceKind, ResourceName};

/// A name and the content that goes with it.
pub(super) type Entry<'b> = (ResourceName<&'b str>, &'b [u8]);

/// Resources one after the other in one piece of memory.
///
/// Each is an octet for its kind, the length of the rest of its name, that
/// rest, and the content, which ends where the next one starts. So besides
/// the content and the rest of its name a resource takes ten octets, where the
/// word for its kind alone would mostly take more. Nothing is too long for it.
#[derive(Clone, Default)]
pub(super) struct Block {
    octets: Vec<u8>,
    /// Where each resource starts.
    starts: Vec<usize>,
}

impl Block {
    /// A block of these resources, without memory to spare.
    pub(super) fn of(entries: &[Entry<'_>]) -> Self {
        let mut block = Self {
            octets: Vec::with_capacity(entries.iter().map(size).sum()),
            starts: Vec::with_capacity(entries.len()),
        };
        for entry in entries {
            block.push(*entry);
        }
        block
    }

    /// Adds a resource after the others.
    pub(super) fn push(&mut self, (name, content): Entry<'_>) {
        self.starts.push(self.octets.len());
        // The place among all kinds, as `read` has it.
        self.octets.push(name.kind() as u8);
        push_length(&mut self.octets, name.words().len());
        self.octets.extend_from_slice(name.words().as_bytes());
        self.octets.extend_from_slice(content);
    }

    /// Number of resources.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The resources in the order in which they lie.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.len()).map(|place| self.entry(place))
    }

    /// The content of a name, where the resources lie by name.
    pub(super) fn find(&self, name: ResourceName<&str>) -> Option<&[u8]> {
        let held = |start: &usize| read(&self.octets[*start..]).0;
        let place = self.starts.binary_search_by(|start| held(start).cmp(&name));
        Some(self.entry(place.ok()?).1)
    }

    fn entry(&self, place: usize) -> Entry<'_> {
        let end = self.starts.get(place + 1).copied();
        read(&self.octets[self.starts[place]..end.unwrap_or(self.octets.len())])
    }
}

/// How many octets a resource takes.
fn size((name, content): &Entry<'_>) -> usize {
    let length = name.words().len();
    1 + (length / usize::from(u8::MAX) + 1) + length + content.len()
}

/// Reads a resource whose content is the end of `octets`.
fn read(octets: &[u8]) -> Entry<'_> {
    let kind = ResourceKind::ALL[usize::from(octets[0])];
    let (length, rest) = split_length(&octets[1..]);
    let (words, content) = rest.split_at(length);
    // They were a text when they were put.
    let words = std::str::from_utf8(words).unwrap_or_default();
    (ResourceName::of_words(kind, words), content)
}

/// Writes a length as octets that add up to it, the last of them below 255.
fn push_length(octets: &mut Vec<u8>, mut length: usize) {
    loop {
        let octet = u8::try_from(length).unwrap_or(u8::MAX);
        octets.push(octet);
        length -= usize::from(octet);
        if octet < u8::MAX {
            return;
        }
    }
}

/// A length, and what comes after it.
fn split_length(octets: &[u8]) -> (usize, &[u8]) {
    let full = octets.iter().take_while(|octet| **octet == u8::MAX).count();
    let length = full * usize::from(u8::MAX) + usize::from(octets[full]);
    (length, &octets[full + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths of names and contents around those where more octets begin.
    const LENGTHS: [usize; 10] = [0, 1, 127, 128, 254, 255, 256, 510, 511, 100_000];

    #[test]
    fn gives_back_what_was_put_and_has_nothing_to_spare() {
        let longest = "ö".repeat(50_000);
        let mut entries = Vec::new();
        for (place, length) in LENGTHS.into_iter().enumerate() {
            let kind = ResourceKind::ALL[place % ResourceKind::ALL.len()];
            // An odd number of octets ends in the middle of a letter.
            let words = &longest[..length & !1];
            let content = &longest.as_bytes()[..LENGTHS[LENGTHS.len() - 1 - place]];
            entries.push((ResourceName::of_words(kind, words), content));
        }
        let block = Block::of(&entries);
        assert_eq!(block.entries().collect::<Vec<_>>(), entries);
        assert_eq!(block.octets.len(), block.octets.capacity());
        assert_eq!(block.starts.len(), block.starts.capacity());
    }

    #[test]
    fn lengths_are_read_as_they_were_written() {
        for length in LENGTHS {
            let mut octets = Vec::new();
            push_length(&mut octets, length);
            octets.push(7);
            assert_eq!(split_length(&octets), (length, &[7][..]));
        }
    }

    #[test]
    fn kinds_are_written_as_their_place() {
        for (place, kind) in ResourceKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }
}
