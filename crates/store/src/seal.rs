//! Secrets at rest: sealed with AES-256-GCM under a key that only the services' configuration holds, so that
//! a copy of the database gives nobody access to an advertising account.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine;
use secrecy::{ExposeSecret, SecretString};

use crate::error::StoreError;

const NONCE_BYTES: usize = 12;

/// The keys, the one that seals first.
pub(crate) struct Sealer(Vec<Aes256Gcm>);

impl Sealer {
    pub(crate) fn new(keys: &[SecretString]) -> Result<Self, StoreError> {
        let invalid = || StoreError::Configuration {
            what: "a key of database.sealing_keys (32 bytes in base64)",
        };
        let cipher = |key: &SecretString| {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(key.expose_secret().trim())
                .map_err(|_| invalid())?;
            let key = Key::<Aes256Gcm>::try_from(bytes.as_slice()).map_err(|_| invalid())?;
            Ok(Aes256Gcm::new(&key))
        };
        let ciphers = keys.iter().map(cipher).collect::<Result<Vec<_>, StoreError>>()?;
        if ciphers.is_empty() {
            return Err(invalid());
        }
        Ok(Sealer(ciphers))
    }

    /// Nonce and ciphertext. `bound_to` says whose secret it is: moved to another row, it does not open.
    pub(crate) fn seal(&self, secret: &str, bound_to: &str) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: secret.as_bytes(),
            aad: bound_to.as_bytes(),
        };
        let ciphertext = self.0[0]
            .encrypt(&Nonce::from(nonce), payload)
            .expect("AES-GCM seals any short text");
        [nonce.as_slice(), &ciphertext].concat()
    }

    /// Whether the key that seals sealed this: it opens without the others.
    pub(crate) fn is_of_first_key(&self, sealed: &[u8], bound_to: &str) -> bool {
        Sealer::open_with(&self.0[..1], sealed, bound_to).is_some()
    }

    /// The secret, or `None` if it was sealed under none of our keys, for something else, or was changed.
    pub(crate) fn open(&self, sealed: &[u8], bound_to: &str) -> Option<SecretString> {
        Sealer::open_with(&self.0, sealed, bound_to)
    }

    fn open_with(keys: &[Aes256Gcm], sealed: &[u8], bound_to: &str) -> Option<SecretString> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let secret = keys.iter().find_map(|cipher| {
            let payload = Payload {
                msg: ciphertext,
                aad: bound_to.as_bytes(),
            };
            cipher.decrypt(&Nonce::from(*nonce), payload).ok()
        })?;
        String::from_utf8(secret).ok().map(SecretString::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretString {
        base64::engine::general_purpose::STANDARD
            .encode([byte; 32])
            .into()
    }

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&[key(byte)]).unwrap()
    }

    #[test]
    fn of_several_keys_the_first_seals_and_each_opens_what_it_sealed() {
        let rotating = Sealer::new(&[key(2), key(1)]).unwrap();
        let old = sealer(1).seal("EAAB-token", "dataset 1");
        assert_eq!(
            rotating.open(&old, "dataset 1").unwrap().expose_secret(),
            "EAAB-token"
        );
        let new = rotating.seal("EAAB-token", "dataset 1");
        assert!(sealer(2).open(&new, "dataset 1").is_some());
        assert!(rotating.is_of_first_key(&new, "dataset 1"));
        assert!(!rotating.is_of_first_key(&old, "dataset 1"));
        assert!(sealer(1).open(&new, "dataset 1").is_none());
        assert!(Sealer::new(&[]).is_err());
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
            assert!(Sealer::new(&[key.to_owned().into()]).is_err(), "{key:?}");
        }
    }
}
