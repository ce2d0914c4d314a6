//! By what a person is found again: from lead to purchase, and from one device to another.
//!
//! These are plain hashes as Meta takes them, which whoever has a list of numbers can undo. The store keeps
//! only their HMAC.

use crate::match_keys::{self, HashedKey, MatchKey, Reading};
use crate::user_data::UserData;

/// Hashes of one person's identifiers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PersonKeys {
    pub email: Option<HashedKey>,
    /// In Brazil without its ninth digit, however it was written.
    pub phone: Option<HashedKey>,
    pub cpf: Option<HashedKey>,
    /// The business's own id of the person.
    pub external_id: Option<HashedKey>,
    /// The browser's id of the visitor.
    pub visitor: Option<HashedKey>,
}

impl PersonKeys {
    /// Adds one value, if it is one that a person is found by.
    pub fn add(&mut self, key: MatchKey, text: &str, reading: &Reading) {
        let mut hashed = match_keys::HashedKeys::new();
        match key {
            MatchKey::Phone => self.phone = match_keys::phone_without_ninth_digit(text, reading.country),
            MatchKey::Email | MatchKey::ExternalId if hashed.add(key, text, reading).is_ok() => {
                let first = hashed.get(key).next().copied();
                match key {
                    MatchKey::Email => self.email = first,
                    _ => self.external_id = first,
                }
            }
            _ => {}
        }
    }

    /// Adds what an event tells beyond. Of a browser's event the external id is the visitor's.
    pub fn add_event(&mut self, user_data: &UserData<'_>, is_browser: bool) {
        let first = |key| user_data.hashed.get(key).next().copied();
        self.email = self.email.or_else(|| first(MatchKey::Email));
        self.phone = self.phone.or(user_data.phone_to_find_by().copied());
        let id = first(MatchKey::ExternalId);
        match is_browser {
            true => self.visitor = self.visitor.or(id),
            false => self.external_id = self.external_id.or(id),
        }
    }

    /// A CPF, if its check digits fit.
    pub fn of_cpf(text: &str) -> Option<HashedKey> {
        let is_separator = |c: char| matches!(c, '.' | '-' | ' ' | '/');
        let digits: Option<Vec<u32>> = text
            .chars()
            .filter(|c| !is_separator(*c))
            .map(|c| c.to_digit(10))
            .collect();
        let digits: [u32; 11] = digits?.try_into().ok()?;
        let check = |count: u32| {
            let sum: u32 = (2..=count + 1)
                .rev()
                .zip(&digits)
                .map(|(weight, digit)| weight * digit)
                .sum();
            sum * 10 % 11 % 10
        };
        let is_valid = check(9) == digits[9]
            && check(10) == digits[10]
            && digits.iter().any(|digit| *digit != digits[0]);
        let text: String = digits
            .iter()
            .filter_map(|digit| char::from_digit(*digit, 10))
            .collect();
        is_valid.then(|| match_keys::sha256_hex(text.as_bytes()))
    }
}
