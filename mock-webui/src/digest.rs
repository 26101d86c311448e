//! A small hash that is the same in every build.
//!
//! Pictures are drawn from hashes, and tests elsewhere may keep a picture's digest. The hasher of the
//! standard library may change with the compiler; this one (FNV-1a with a final mix) does not.

use std::hash::{Hash, Hasher};

/// The hash of anything hashable.
pub(crate) fn of(material: &impl Hash) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    material.hash(&mut hasher);
    hasher.finish()
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Mixed, so that a small difference at the end of the material reaches every bit.
    fn finish(&self) -> u64 {
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        mixed ^ (mixed >> 33)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_same_in_every_build() {
        assert_ne!(of(&"a"), of(&"b"));
        // A change of this number changes every picture that the mock draws.
        assert_eq!(of(&("a cat", 42_i64)), 6_394_037_714_788_789_358);
    }
}
