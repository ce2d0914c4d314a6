//! A dataset (a pixel): where Meta files the events, and what its owner chose for reading them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::match_keys::CountryCode;

/// Meta's own number for a dataset (or pixel, which is the same id). It is the tenant: every key begins with
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatasetId(i64);

impl DatasetId {
    /// The id as PostgreSQL stores it.
    pub fn as_i64(self) -> i64 {
        self.0
    }
}

/// A text or number that is no dataset id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a dataset id is a positive number of at most 18 digits, as shown in Events Manager")]
pub struct NotADatasetId;

impl TryFrom<i64> for DatasetId {
    type Error = NotADatasetId;

    fn try_from(id: i64) -> Result<Self, NotADatasetId> {
        if (1..1_000_000_000_000_000_000).contains(&id) {
            Ok(DatasetId(id))
        } else {
            Err(NotADatasetId)
        }
    }
}

impl FromStr for DatasetId {
    type Err = NotADatasetId;

    fn from_str(text: &str) -> Result<Self, NotADatasetId> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotADatasetId);
        }
        text.parse::<i64>().map_err(|_| NotADatasetId)?.try_into()
    }
}

impl TryFrom<String> for DatasetId {
    type Error = NotADatasetId;

    fn try_from(text: String) -> Result<Self, NotADatasetId> {
        text.parse()
    }
}

impl From<DatasetId> for String {
    fn from(id: DatasetId) -> String {
        id.to_string()
    }
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the owner of a dataset chose to be assumed where an event does not say. Nothing is assumed by
/// default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatasetDefaults {
    /// The country of people who give none: how phones, states and dates of birth are read.
    pub country: Option<CountryCode>,
    /// The currency of values that name none.
    pub currency: Option<Currency>,
}

/// An ISO 4217 currency code, upper case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Reads a code of any case. `None` if ISO 4217 does not list it.
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; 3] = text.trim().as_bytes().try_into().ok()?;
        let code = code.map(|byte| byte.to_ascii_uppercase());
        CURRENCIES
            .as_bytes()
            .chunks(4)
            .any(|listed| listed[..3] == code)
            .then_some(Currency(code))
    }

    /// How many decimals amounts have (ISO 4217).
    pub fn decimals(self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF"
            | b"UGX" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only listed codes are built, and those are ASCII")
    }
}

/// The active codes of ISO 4217 (list one), without funds, metals and test codes.
const CURRENCIES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_id_is_digits_and_fits() {
        assert_eq!(
            "1234567890123456".parse::<DatasetId>().unwrap().as_i64(),
            1_234_567_890_123_456
        );
        for wrong in [
            "",
            "0",
            "-1",
            "+1",
            "12a",
            "9999999999999999999",
            "99999999999999999999999",
        ] {
            assert_eq!(wrong.parse::<DatasetId>(), Err(NotADatasetId), "{wrong:?}");
        }
    }

    #[test]
    fn currencies_are_read_in_any_case_and_only_if_iso_lists_them() {
        assert_eq!(Currency::parse("brl").unwrap().as_str(), "BRL");
        assert_eq!(Currency::parse(" USD ").unwrap().as_str(), "USD");
        for wrong in ["", "R$", "REAL", "XXX", "BR", " BR", "AED AFN", "D A"] {
            assert_eq!(Currency::parse(wrong), None, "{wrong:?}");
        }
    }
}
