//! By what people are found again: an HMAC under a key that only the services' configuration holds. A plain
//! hash of a phone number or a CPF is undone in seconds by trying all of them.

use hmac::{Hmac, KeyInit, Mac};
use rastro_core::dataset::DatasetId;
use rastro_core::lead_status::{LeadStatus, step_event_id};
use rastro_core::match_keys::HashedKey;
use rastro_core::person::PersonKeys;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::connection::Store;

/// The key of the look-ups.
#[derive(Clone)]
pub(crate) struct Pepper(Hmac<Sha256>);

impl Pepper {
    /// From a secret text. What is used is derived from it, so that a sealing key may serve for both.
    pub(crate) fn new(secret: &SecretString) -> Self {
        let mut derived = keyed(secret.expose_secret().trim().as_bytes());
        derived.update(b"rastro look-ups");
        Pepper(keyed(&derived.finalize().into_bytes()))
    }

    /// One kind of identifier of one dataset: the same person in two datasets are two look-ups.
    pub(crate) fn of(&self, dataset: DatasetId, kind: &str, hashed: &HashedKey) -> Vec<u8> {
        let mut mac = self.0.clone();
        mac.update(&dataset.as_i64().to_be_bytes());
        mac.update(kind.as_bytes());
        mac.update(b":");
        mac.update(hashed.hash().as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    /// What nobody else can know of a lead's step. No kind of [`of`](Self::of) begins so.
    fn of_step(&self, dataset: DatasetId, lead_id: i64, status: LeadStatus) -> [u8; 16] {
        let mut mac = self.0.clone();
        mac.update(&dataset.as_i64().to_be_bytes());
        mac.update(b"step of a lead:");
        mac.update(&lead_id.to_be_bytes());
        mac.update(status.as_str().as_bytes());
        let whole = mac.finalize().into_bytes();
        std::array::from_fn(|index| whole[index])
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// A person's identifiers as they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonLookups {
    pub(crate) email: Option<Vec<u8>>,
    pub(crate) phone: Option<Vec<u8>>,
    pub(crate) cpf: Option<Vec<u8>>,
    pub(crate) external_id: Option<Vec<u8>>,
    pub(crate) visitor: Option<Vec<u8>>,
}

impl PersonLookups {
    pub(crate) fn is_empty(&self) -> bool {
        *self == PersonLookups::default()
    }
}

impl Store {
    /// The id of the event that a lead becomes at a status: the same each time, and known to nobody who has
    /// not the pepper.
    ///
    /// Under another pepper it is another one. A lead remembers by itself at which statuses it was an event,
    /// so that none is sent twice for that.
    pub fn step_event_id(&self, dataset: DatasetId, lead_id: i64, status: LeadStatus) -> String {
        step_event_id(lead_id, status, &self.pepper.of_step(dataset, lead_id, status))
    }

    /// By what this person is found in the dataset.
    pub fn lookups(&self, dataset: DatasetId, keys: &PersonKeys) -> PersonLookups {
        let of = |kind, key: &Option<HashedKey>| key.as_ref().map(|key| self.pepper.of(dataset, kind, key));
        PersonLookups {
            email: of("email", &keys.email),
            phone: of("phone", &keys.phone),
            cpf: of("cpf", &keys.cpf),
            external_id: of("external_id", &keys.external_id),
            visitor: of("visitor", &keys.visitor),
        }
    }
}
