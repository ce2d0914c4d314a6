//! Match keys: the identifiers of a person (e-mail, phone, name, place, ...) in the form in which Meta can
//! compare them with its own: normalised, then SHA-256 in lower-case hex.
//!
//! Meta documents the rules loosely and its own libraries disagree: the Business SDKs lower-case and trim,
//! the parameter builder also drops blanks and punctuation. [`HashedKeys::add`] sends the form we think best
//! first and, where [`Reading::variants`] allows it, the other plausible ones beside it. A value that cannot
//! be an identifier of its kind is dropped alone, with a reason; the SDKs would lose the whole request over
//! it.
//!
//! Sources: Meta, "Customer information parameters"; the normalisation code of facebook-business 24 and 26,
//! facebook-nodejs-business-sdk 24, the PHP Business SDK 25 and capi-param-builder-nodejs 1.3.

mod birth_date;
mod country;
mod country_names;
mod hashed_key;
mod person;
mod phone;
mod place;
#[cfg(test)]
mod properties;
mod text;
#[cfg(test)]
mod vectors;

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

pub use country::{CountryCode, country_code};
pub use hashed_key::{HashedKey, sha256_hex};
pub(crate) use text::{is_invisible, visible};

use crate::placeholder::is_placeholder;
use text::Forms;

/// One of the identifiers that Meta takes hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchKey {
    Email,
    /// With its country code, digits only.
    Phone,
    FirstName,
    LastName,
    /// `m` or `f`.
    Gender,
    /// `yyyymmdd`.
    BirthDate,
    City,
    /// A two-letter code for the USA, Canada and Brazil, a name elsewhere.
    State,
    Zip,
    /// ISO 3166-1 alpha-2.
    Country,
    /// The business's own stable id of the person.
    ExternalId,
    /// The first five characters of the first name.
    FirstNameFive,
    /// The first five characters of the last name.
    LastNameFive,
    /// The first character of the first name.
    FirstInitial,
    /// `01` to `31`.
    BirthDay,
    /// `01` to `12`.
    BirthMonth,
    /// `yyyy`.
    BirthYear,
    /// The person's id in the business's own app.
    AppUserId,
}

impl MatchKey {
    /// Every key, in the order in which they are written out.
    pub const ALL: [MatchKey; 18] = [
        MatchKey::Email,
        MatchKey::Phone,
        MatchKey::FirstName,
        MatchKey::LastName,
        MatchKey::Gender,
        MatchKey::BirthDate,
        MatchKey::City,
        MatchKey::State,
        MatchKey::Zip,
        MatchKey::Country,
        MatchKey::ExternalId,
        MatchKey::FirstNameFive,
        MatchKey::LastNameFive,
        MatchKey::FirstInitial,
        MatchKey::BirthDay,
        MatchKey::BirthMonth,
        MatchKey::BirthYear,
        MatchKey::AppUserId,
    ];

    /// What Meta calls it inside `user_data`.
    pub fn wire_name(self) -> &'static str {
        match self {
            MatchKey::Email => "em",
            MatchKey::Phone => "ph",
            MatchKey::FirstName => "fn",
            MatchKey::LastName => "ln",
            MatchKey::Gender => "ge",
            MatchKey::BirthDate => "db",
            MatchKey::City => "ct",
            MatchKey::State => "st",
            MatchKey::Zip => "zp",
            MatchKey::Country => "country",
            MatchKey::ExternalId => "external_id",
            MatchKey::FirstNameFive => "f5first",
            MatchKey::LastNameFive => "f5last",
            MatchKey::FirstInitial => "fi",
            MatchKey::BirthDay => "dobd",
            MatchKey::BirthMonth => "dobm",
            MatchKey::BirthYear => "doby",
            MatchKey::AppUserId => "app_user_id",
        }
    }

    /// The key Meta calls `name`; names are case-sensitive.
    pub fn from_wire_name(name: &str) -> Option<Self> {
        Some(match name {
            "em" => MatchKey::Email,
            "ph" => MatchKey::Phone,
            "fn" => MatchKey::FirstName,
            "ln" => MatchKey::LastName,
            "ge" => MatchKey::Gender,
            "db" => MatchKey::BirthDate,
            "ct" => MatchKey::City,
            "st" => MatchKey::State,
            "zp" => MatchKey::Zip,
            "country" => MatchKey::Country,
            "external_id" => MatchKey::ExternalId,
            "f5first" => MatchKey::FirstNameFive,
            "f5last" => MatchKey::LastNameFive,
            "fi" => MatchKey::FirstInitial,
            "dobd" => MatchKey::BirthDay,
            "dobm" => MatchKey::BirthMonth,
            "doby" => MatchKey::BirthYear,
            "app_user_id" => MatchKey::AppUserId,
            _ => return None,
        })
    }

    /// Whether Meta takes a list of values, and not just one.
    pub fn takes_many(self) -> bool {
        self <= MatchKey::ExternalId
    }

    /// Whether the value is an id that the business made up, of which every character counts.
    fn is_own_id(self) -> bool {
        matches!(self, MatchKey::ExternalId | MatchKey::AppUserId)
    }
}

/// The hash of a phone number for finding it again: a Brazilian mobile number without the ninth digit that
/// was put before all of them from 2012 to 2016, and that people still leave out.
pub(crate) fn phone_without_ninth_digit(raw: &str, country: Option<CountryCode>) -> Option<HashedKey> {
    let digits = phone::phone(text::trim(raw), country).ok()?;
    let (code, rest) = digits.split_at_checked(4).unwrap_or((&digits, ""));
    let short = match rest.strip_prefix('9') {
        Some(short) if code.starts_with("55") && short.len() == 8 => format!("{code}{short}"),
        _ => digits.to_string(),
    };
    Some(sha256_hex(short.as_bytes()))
}

/// How values are read that mean one thing in one country and another elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The person's own country, or the one the business has its customers in. It completes phone numbers,
    /// orders day and month, and names states.
    pub country: Option<CountryCode>,
    /// The year in which the event is read: nobody is born after the next one.
    pub current_year: i32,
    /// Whether every plausible form of a value is sent (at most four) or only the best. Meta documents
    /// neither a benefit nor a penalty; the usual setting is `true`.
    pub variants: bool,
}

/// Why a value was not hashed: a sentence for the client about "it", the value, which it never repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DroppedValue {
    /// Nothing, or the hash of nothing or of a word for it.
    #[error("it is empty")]
    Empty,
    #[error("it is a placeholder that nobody filled in")]
    Placeholder,
    #[error("it has characters that were lost (U+FFFD)")]
    Garbled,
    #[error("it was rounded, as spreadsheets show long numbers")]
    Rounded,
    #[error("it is longer than {} bytes", text::LONGEST)]
    TooLong,
    #[error("it has neither letters nor digits")]
    OnlyPunctuation,
    #[error("it is not an e-mail address")]
    NotAnEmail,
    #[error("it does not have the 7 to 15 digits of a phone number")]
    NotAPhone,
    #[error("it is a phone number without its area code")]
    NoAreaCode,
    #[error("it names neither of the genders Meta knows")]
    UnknownGender,
    #[error("it is not a date of birth with a four-digit year")]
    NotADate,
    #[error("it is not a day (1 to 31), month (1 to 12) or four-digit year of birth")]
    NotADatePart,
    #[error("it is too short for a postcode")]
    NotAPostcode,
    #[error("it is not the name or the code of a country")]
    UnknownCountry,
    #[error("it is a second value of an identifier that takes only one")]
    OnlyOneTaken,
}

/// The hashed keys of one event, in one allocation.
#[derive(Clone, Default)]
pub struct HashedKeys {
    /// In the order of [`MatchKey::ALL`], those of one key as they were added.
    entries: Vec<(MatchKey, HashedKey)>,
}

/// What an event with contact data and an address needs, so that the vector is allocated once.
const TYPICAL: usize = 16;

impl HashedKeys {
    /// No keys; nothing is allocated before the first.
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for so many values at two forms each.
    pub fn with_capacity(values: usize) -> Self {
        Self {
            entries: Vec::with_capacity(values.saturating_mul(2)),
        }
    }

    /// Normalises, hashes and adds one raw value, in every form that `reading` asks for. A value that is
    /// hashed already is kept as it is, with its hex in lower case: 64 digits (SHA-256), the same with the
    /// suffix of Meta's parameter builder, or 32 digits (MD5, which Meta's SDKs let pass; in an id of the
    /// business's own it is a UUID without hyphens, and an ordinary value).
    ///
    /// The same hash is kept once per key, whatever its suffix.
    ///
    /// # Errors
    /// Says why nothing was added.
    pub fn add(&mut self, key: MatchKey, raw: &str, reading: &Reading) -> Result<(), DroppedValue> {
        let value = text::trim(raw);
        if value.is_empty() {
            return Err(DroppedValue::Empty);
        }
        if is_placeholder(value) {
            return Err(DroppedValue::Placeholder);
        }
        if let Some(hashed) = HashedKey::parse(value).filter(|hashed| !(hashed.is_md5() && key.is_own_id())) {
            return if hashed.is_of_nothing() {
                Err(DroppedValue::Empty)
            } else {
                self.insert(key, hashed)
            };
        }
        if value.contains(char::REPLACEMENT_CHARACTER) {
            return Err(DroppedValue::Garbled);
        }
        let readable = if key.is_own_id() {
            value.into()
        } else {
            visible(value)
        };
        let value = &*readable;
        let country = reading.country;
        let only_form = match key {
            MatchKey::FirstName | MatchKey::LastName => {
                return self.insert_forms(key, &person::name(value), reading);
            }
            MatchKey::City => return self.insert_forms(key, &place::city(value), reading),
            MatchKey::State => return self.insert_forms(key, &place::state(value, country), reading),
            MatchKey::Zip => return self.insert_forms(key, &place::zip(value, country), reading),
            // The business's own ids keep every character: they must equal what the Pixel sends, and `aB1`
            // and `Ab1` may be two people.
            MatchKey::ExternalId | MatchKey::AppUserId => {
                return self.insert(key, sha256_hex(value.as_bytes()));
            }
            MatchKey::Email => person::email(value),
            MatchKey::Phone => phone::phone(value, country),
            MatchKey::Gender => person::gender(value),
            MatchKey::BirthDate => birth_date::birth_date(value, reading),
            MatchKey::Country => country_code(value)
                .map(|country| text::of(country.as_str()))
                .ok_or(DroppedValue::UnknownCountry),
            MatchKey::FirstNameFive | MatchKey::LastNameFive => person::beginning(value, 5),
            MatchKey::FirstInitial => person::beginning(value, 1),
            MatchKey::BirthDay => birth_date::two_digits(value, 1..=31),
            MatchKey::BirthMonth => birth_date::two_digits(value, 1..=12),
            MatchKey::BirthYear => birth_date::year(value, reading),
        };
        self.insert(key, sha256_hex(only_form?.as_bytes()))
    }

    /// Hashes and adds the forms that `reading` asks for. They come by reference, as they are large to move.
    fn insert_forms(
        &mut self,
        key: MatchKey,
        forms: &Result<Forms, DroppedValue>,
        reading: &Reading,
    ) -> Result<(), DroppedValue> {
        let forms = forms.as_ref().map_err(|dropped| *dropped)?;
        let count = if reading.variants { text::MOST_FORMS } else { 1 };
        for form in forms.iter().take(count) {
            self.insert(key, sha256_hex(form.as_bytes()))?;
        }
        Ok(())
    }

    fn insert(&mut self, key: MatchKey, hashed: HashedKey) -> Result<(), DroppedValue> {
        let start = self.entries.partition_point(|(present, _)| *present < key);
        let end = self.entries.partition_point(|(present, _)| *present <= key);
        let of_key = &self.entries[start..end];
        if of_key.iter().any(|(_, present)| *present == hashed) {
            return Ok(());
        }
        if !key.takes_many() && !of_key.is_empty() {
            return Err(DroppedValue::OnlyOneTaken);
        }
        if self.entries.capacity() == 0 {
            self.entries.reserve(TYPICAL);
        }
        self.entries.insert(end, (key, hashed));
        Ok(())
    }

    /// The hashes of one key, in the order in which they were added.
    pub fn get(&self, key: MatchKey) -> impl Iterator<Item = &HashedKey> {
        self.entries
            .iter()
            .filter(move |(present, _)| *present == key)
            .map(|(_, hashed)| hashed)
    }

    pub fn contains(&self, key: MatchKey) -> bool {
        self.get(key).next().is_some()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The keys that have a hash, each once, in the order of [`MatchKey::ALL`].
    pub fn keys(&self) -> impl Iterator<Item = MatchKey> {
        self.by_key().map(|(key, _)| key)
    }

    /// Writes the keys into the JSON object under construction: `"em":"<hash>"`, or
    /// `"em":["<hash>","<hash>"]` when there are several.
    ///
    /// # Errors
    /// What the serializer says.
    pub fn serialize_entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        for (key, entries) in self.by_key() {
            match entries {
                [(_, only)] => map.serialize_entry(key.wire_name(), only)?,
                several => map.serialize_entry(key.wire_name(), &Hashes(several))?,
            }
        }
        Ok(())
    }

    fn by_key(&self) -> impl Iterator<Item = (MatchKey, &[(MatchKey, HashedKey)])> {
        self.entries
            .chunk_by(|(one, _), (next, _)| one == next)
            .map(|entries| (entries[0].0, entries))
    }
}

/// Names the keys only: no hash belongs in a log.
impl fmt::Debug for HashedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.keys().map(MatchKey::wire_name))
            .finish()
    }
}

/// The hashes of one key as a JSON list.
struct Hashes<'k>(&'k [(MatchKey, HashedKey)]);

impl Serialize for Hashes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(_, hashed)| hashed))
    }
}
