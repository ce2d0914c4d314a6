//! Secrets at rest: sealed with AES-256-GCM under a key that only the services' configuration holds, so that a copy of
//! the database gives nobody access to an advertising account.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine;
use secrecy::{ExposeSecret, SecretString};

use crate::error::StoreError;

const NONCE_BYTES: usize = 12;

pub(crate) struct Sealer(Aes256Gcm);

impl Sealer {
    pub(crate) fn new(key: &SecretString) -> Result<Self, StoreError> {
        let invalid = StoreError::Configuration {
            what: "database.sealing_key (32 bytes in base64)",
        };
        let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(key.expose_secret().trim()) else {
            return Err(invalid);
        };
        match Key::<Aes256Gcm>::try_from(bytes.as_slice()) {
            Ok(key) => Ok(Sealer(Aes256Gcm::new(&key))),
            Err(_) => Err(invalid),
        }
    }

    /// Nonce and ciphertext. `bound_to` says whose secret it is: moved to another row, it does not open.
    pub(crate) fn seal(&self, secret: &str, bound_to: &str) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: secret.as_bytes(),
            aad: bound_to.as_bytes(),
        };
        let ciphertext = self
            .0
            .encrypt(&Nonce::from(nonce), payload)
            .expect("AES-GCM seals any short text");
        [nonce.as_slice(), &ciphertext].concat()
    }

    /// The secret, or `None` if it was sealed under another key, for something else, or was changed.
    pub(crate) fn open(&self, sealed: &[u8], bound_to: &str) -> Option<SecretString> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload {
            msg: ciphertext,
            aad: bound_to.as_bytes(),
        };
        let secret = self.0.decrypt(&Nonce::from(*nonce), payload).ok()?;
        String::from_utf8(secret).ok().map(SecretString::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(byte: u8) -> Sealer {
        let key = base64::engine::general_purpose::STANDARD.encode([byte; 32]);
        Sealer::new(&key.into()).unwrap()
    }

    #[test]
    fn a_sealed_secret_opens_only_with_its_key_and_for_its_owner() {
        let sealed = sealer(1).seal("EAAB-token", "dataset 1");
        let opened = sealer(1).open(&sealed, "dataset 1").unwrap();
        assert_eq!(opened.expose_secret(), "EAAB-token");
        assert!(sealer(2).open(&sealed, "dataset 1").is_none());
        assert!(sealer(1).open(&sealed, "dataset 2").is_none());
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(sealer(1).open(&changed, "dataset 1").is_none());
        assert!(sealer(1).open(&sealed[..5], "dataset 1").is_none());
    }

    #[test]
    fn the_same_secret_is_never_sealed_to_the_same_bytes() {
        assert_ne!(
            sealer(1).seal("EAAB-token", "dataset 1"),
            sealer(1).seal("EAAB-token", "dataset 1")
        );
        let sealed = sealer(1).seal("EAAB-token", "dataset 1");
        assert!(!sealed.windows(4).any(|window| window == b"EAAB"));
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for key in ["", "c2hvcnQ=", "not base64!"] {
            assert!(Sealer::new(&key.to_owned().into()).is_err(), "{key:?}");
        }
    }
}
