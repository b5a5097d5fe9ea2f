//! A hash for addresses of things, which no client can choose.

use std::hash::{BuildHasherDefault, Hasher};

/// Makes maps keyed by addresses hash them by one multiplication: they are
/// looked up for every query.
pub(crate) type ByAddress = BuildHasherDefault<AddressHasher>;

/// See [`ByAddress`].
#[derive(Debug, Default)]
pub(crate) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.write_usize(usize::from(*octet));
        }
    }

    fn write_usize(&mut self, address: usize) {
        // An odd constant near 2^64 over the golden ratio. The upper half of
        // the product is well mixed, and maps look at both ends.
        let product = (self.0 ^ address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = product.rotate_left(32);
    }
}
