//! A hashed identifier as it goes to Meta, and how to tell one from a raw value.

use std::fmt;
use std::hash::{Hash, Hasher};

use arrayvec::ArrayString;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

const SHA256_DIGITS: usize = 64;
const MD5_DIGITS: usize = 32;
/// A hash with the longest suffix: a dot and eight characters.
const LONGEST: usize = SHA256_DIGITS + 9;

/// The hash of one identifier, on the stack: 64 lower-case hex digits (SHA-256) or, when the client sent MD5,
/// 32. It may end in the suffix by which Meta's parameter builder marks its work (`.AQQAAQMC`), kept byte for
/// byte.
///
/// Two are equal when their hashes are, whatever the suffix.
#[derive(Clone, Copy)]
pub struct HashedKey(ArrayString<LONGEST>);

impl HashedKey {
    /// What goes to Meta: the hash, with the suffix if there is one.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hex digits alone.
    pub fn hash(&self) -> &str {
        // Only the longer kind of hash can have a suffix.
        &self.0[..self.0.len().min(SHA256_DIGITS)]
    }

    /// Whether it is an MD5 hash. Meta's SDKs let them pass, but its audience guide says that only SHA-256
    /// finds anyone: worth a warning.
    pub fn is_md5(&self) -> bool {
        self.0.len() == MD5_DIGITS
    }

    /// Reads a value that is a hash already; `None` for everything else.
    pub(super) fn parse(trimmed: &str) -> Option<Self> {
        if trimmed.len() < MD5_DIGITS {
            return None; // Most raw values, told apart without looking at them.
        }
        let (hash, has_suffix) = match trimmed.split_once('.') {
            Some((hash, suffix)) => (hash, is_suffix(suffix).then_some(true)?),
            None => (trimmed, false),
        };
        let has_length = hash.len() == SHA256_DIGITS || (hash.len() == MD5_DIGITS && !has_suffix);
        if !has_length || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut key = ArrayString::from(trimmed).expect("the hash and the suffix have their lengths");
        key[..hash.len()].make_ascii_lowercase();
        Some(Self(key))
    }

    /// Whether it is the hash of nothing or of a word for nothing, which many people share.
    pub(super) fn is_of_nothing(&self) -> bool {
        OF_NOTHING.contains(&self.hash())
    }
}

/// What the parameter builder writes behind a hash: two letters in its first versions, then eight characters.
fn is_suffix(text: &str) -> bool {
    matches!(text, "AQ" | "Ag" | "Aw" | "BA" | "BQ" | "Bg")
        || text.len() == 8
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// SHA-256 and MD5 of the empty text, `null`, `undefined`, `none`, `n/a`, `nan`, `(not set)`, and `[object
/// object]` with and without its punctuation.
const OF_NOTHING: [&str; 18] = [
    "9b2d5b4678781e53038e91ea5324530a03f27dc1d0e5f6c9bc9d493a23be9de0",
    "34292f4267fcc40572e19d90988467838747a21321372edf934e1d1c0f3e65f2",
    "c9a560c74de368dcd2e6ac5544ad12a9afd32584b71a52147303479f726e0408",
    "a8ee4ae6008dad64e8b9e41ed626c253f1accae4c7548a0b2314ce39ef28f377",
    "a3d2de7675556553a5f08e4c88d2c228",
    "3e670ad8d80b2aea076a0e3521116d40",
    "4b29f7b6262fee8c3e8ef748e2094450",
    "d03408aabe16bb53c780fae6cf3910f9",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b",
    "eb045d78d273107348b0300c01d29b7552d622abbc6faf81b3ec55359aa9950c",
    "140bedbf9c3f6d56a9846d2ba7088798683f4da0c248231336e6a05679e4fdfe",
    "a683c5c5349f6f7fb903ba8a9e7e55d0ba1b8f03579f95be83f4954c33e81098",
    "d41d8cd98f00b204e9800998ecf8427e",
    "37a6259cc0c1dae299a7866489dff0bd",
    "5e543256c480ac577d30f76f9120eb74",
    "334c4a4c42fdb79d7ebc3e73b517e6f8",
    "274b68192b056e268f128ff63bfcd4a4",
];

/// SHA-256 in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> HashedKey {
    let mut hex = [0; SHA256_DIGITS];
    for (digits, byte) in hex.as_chunks_mut().0.iter_mut().zip(Sha256::digest(bytes)) {
        *digits = [hex_digit(byte >> 4), hex_digit(byte & 15)];
    }
    let hex = str::from_utf8(&hex).expect("hex digits are ASCII");
    HashedKey(ArrayString::from(hex).expect("a hash is shorter than one with a suffix"))
}

/// Calculated and not looked up, so that the compiler can do many at a time.
fn hex_digit(nibble: u8) -> u8 {
    nibble + if nibble < 10 { b'0' } else { b'a' - 10 }
}

impl PartialEq for HashedKey {
    fn eq(&self, other: &Self) -> bool {
        self.hash() == other.hash()
    }
}

impl Eq for HashedKey {}

impl Hash for HashedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Self::hash(self).hash(state);
    }
}

impl Serialize for HashedKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Tells nothing: a hash in a log would still point at a person.
impl fmt::Debug for HashedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// `printf john_smith@gmail.com | sha256sum`
    const JOHN: &str = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f";

    #[test]
    fn a_hash_is_recognised_in_either_case_and_with_the_suffixes_meta_writes() {
        for suffix in [
            "",
            ".AQ",
            ".Ag",
            ".Aw",
            ".BA",
            ".BQ",
            ".Bg",
            ".AQQAAQMC",
            ".AQYCAQAA",
            ".aZ09_-aZ",
        ] {
            let key = HashedKey::parse(&format!("{}{suffix}", JOHN.to_uppercase())).unwrap();
            assert_eq!(key.as_str(), format!("{JOHN}{suffix}"));
            assert_eq!(key.hash(), JOHN);
            assert!(!key.is_md5());
        }
        let key = HashedKey::parse("5D41402ABC4B2A76B9719D911017C592").unwrap();
        assert_eq!(key.as_str(), "5d41402abc4b2a76b9719d911017c592");
        assert!(key.is_md5());
    }

    #[test]
    fn what_only_resembles_a_hash_is_a_raw_value() {
        for raw in [
            "",
            "john_smith@gmail.com",
            &JOHN[1..],
            &format!("{JOHN}0"),
            &JOHN.replace('6', "g"),
            &format!("{JOHN}."),
            &format!("{JOHN}.aq"),
            &format!("{JOHN}.AQQAAQM"),
            &format!("{JOHN}.AQQAAQM+"),
            &format!("{JOHN}.AQ.AQ"),
            &format!("x{JOHN}x"),
            "5d41402abc4b2a76b9719d911017c592.AQQAAQMC",
            "5d41402a-bc4b-2a76-b971-9d911017c592",
            "é5d41402abc4b2a76b9719d911017c59",
        ] {
            assert!(HashedKey::parse(raw).is_none(), "{raw}");
        }
    }

    #[test]
    fn the_suffix_makes_no_difference_between_two_hashes() {
        let plain = sha256_hex(b"john_smith@gmail.com");
        let marked = HashedKey::parse(&format!("{JOHN}.AQQAAQMC")).unwrap();
        assert_eq!(plain.as_str(), JOHN);
        assert_eq!(plain, marked);
        assert_eq!(HashSet::from([plain, marked]).len(), 1);
        assert_ne!(plain, sha256_hex(b"mary@example.com"));
    }

    #[test]
    fn a_text_of_any_length_has_the_hash_that_the_library_gives_it() {
        let text = [0xa5; 200];
        for length in 0..text.len() {
            let digest = Sha256::digest(&text[..length]);
            let expected: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(sha256_hex(&text[..length]).as_str(), expected, "{length} bytes");
        }
        // FIPS 180-4's own examples: "abc", and 56 bytes, which are one too many for one block.
        assert_eq!(
            sha256_hex(b"abc").as_str(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            sha256_hex(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").as_str(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        );
    }

    #[test]
    fn no_hash_is_printed_for_debugging() {
        assert_eq!(
            format!("{:?}", sha256_hex(b"ana@example.com")),
            "HashedKey([redacted])"
        );
    }
}
