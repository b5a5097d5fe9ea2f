//! Address prefixes as numbers.

use std::net::IpAddr;

/// An address as a number with its family's width in bits (32 or 128).
pub(crate) fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u32::from(address).into(), 32),
        IpAddr::V6(address) => (address.into(), 128),
    }
}

/// Length of the widest prefix around `address` that lies within
/// `first..=last`, where `first <= address <= last`, all `width` bits wide.
pub(crate) fn widest(address: u128, first: u128, last: u128, width: u8) -> u8 {
    let max = u128::MAX >> (128 - u32::from(width));
    let below = first
        .checked_sub(1)
        .map_or(0, |other| separating(address, other, width));
    let above = (last < max).then(|| separating(address, last + 1, width));
    below.max(above.unwrap_or(0))
}

/// Length of the shortest prefix around `a` that does not contain `b`.
fn separating(a: u128, b: u128, width: u8) -> u8 {
    let common = (a ^ b).leading_zeros() - (128 - u32::from(width));
    u8::try_from(common + 1).unwrap_or(width).min(width)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_whole_space_needs_no_bits() {
        assert_eq!(widest(7, 0, u32::MAX.into(), 32), 0);
        assert_eq!(widest(7, 0, u128::MAX, 128), 0);
    }

    #[test]
    fn a_single_address_needs_all() {
        assert_eq!(widest(7, 7, 7, 32), 32);
        assert_eq!(widest(u128::MAX, u128::MAX, u128::MAX, 128), 128);
    }

    #[test]
    fn an_unaligned_range_is_not_left() {
        // 10.0.0.0 to 10.0.2.255 is a /23 and a /24.
        let (first, last) = (0x0a00_0000, 0x0a00_02ff);
        assert_eq!(widest(0x0a00_0101, first, last, 32), 23);
        assert_eq!(widest(0x0a00_0201, first, last, 32), 24);
    }

    proptest! {
        #[test]
        fn the_widest_prefix_fits_and_no_wider_does(mut ends in any::<[u128; 3]>(), shift in 0u32..127) {
            for end in &mut ends {
                *end >>= shift;
            }
            ends.sort_unstable();
            let [first, address, last] = ends;
            let inside = |len: u8| {
                let host = u128::MAX.checked_shr(len.into()).unwrap_or(0);
                first <= address & !host && address | host <= last
            };
            let len = widest(address, first, last, 128);
            prop_assert!(inside(len));
            prop_assert!(len == 0 || !inside(len - 1));
        }
    }
}
