//! `user_data`: who an event is about, in the form Meta takes. Hash-required identifiers are normalised and
//! hashed here, before anything is stored; identifiers that Meta wants plain are checked and passed on.
//!
//! What is stored is personal data all the same: the visitor's address, user agent and cookies
//! (`client_ip_address`, `client_user_agent`, `fbp`, `fbc`) and the plain ids point at a person as they are,
//! and a hash of an e-mail address points at whoever is known to have that address.
//!
//! Source: Meta, "Customer information parameters".

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::click_id;
use crate::finding::{At, Findings};
use crate::json::{Json, Object, repeated_names};
use crate::match_keys::{self, CountryCode, DroppedValue, HashedKey, HashedKeys, MatchKey, Reading};
use crate::personal_data;
use crate::placeholder::is_placeholder;

/// What is known of the person's device from the request itself, for events that do not carry it.
#[derive(Clone, Copy, Default)]
pub struct Visitor<'v> {
    /// The visitor's address. `None` when the caller is a server: its own address would mislead Meta.
    pub ip: Option<IpAddr>,
    pub user_agent: Option<&'v str>,
    /// The `_fbp` and `_fbc` cookies.
    pub fbp: Option<&'v str>,
    pub fbc: Option<&'v str>,
    /// Whether the request came from the visitor's own browser, whose clock is nobody's to set.
    pub is_browser: bool,
}

impl Visitor<'_> {
    /// What tells this visitor from another, for an event that came without an id: the browser's own cookie,
    /// which stays when the address changes; without one the click; without either the address and the user
    /// agent. Empty where nothing is known.
    pub(crate) fn identity(&self) -> Cow<'_, str> {
        let cookies = [self.fbp, self.fbc].into_iter().flatten();
        if let Some(cookie) = cookies.into_iter().find(|cookie| click_id::is_valid(cookie)) {
            return Cow::Borrowed(cookie);
        }
        let agent = self.user_agent.unwrap_or_default();
        match self.ip {
            Some(ip) => Cow::Owned(format!("{} {agent}", ip.to_canonical())),
            None => Cow::Borrowed(agent),
        }
    }
}

/// The identifiers of one person, hashed where Meta wants them hashed.
#[derive(Default)]
pub struct UserData<'a> {
    pub hashed: HashedKeys,
    pub client_ip_address: Option<Cow<'a, str>>,
    pub client_user_agent: Option<Cow<'a, str>>,
    pub fbc: Option<Cow<'a, str>>,
    pub fbp: Option<Cow<'a, str>>,
    /// Of the first phone number, how a person is found again by it.
    short_phone: Option<HashedKey>,
    /// Identifiers that are sent as they came: `lead_id`, `page_id`, ...
    plain: Vec<(&'static str, Json<'a>)>,
}

/// Identifiers sent as they came, beside the four that have a field of their own.
const PLAIN: [&str; 13] = [
    "subscription_id",
    "fb_login_id",
    "lead_id",
    "anon_id",
    "madid",
    "page_id",
    "page_scoped_user_id",
    "ctwa_clid",
    "ig_account_id",
    "ig_sid",
    "whatsapp_business_account_id",
    "partner_id",
    "partner_name",
];

/// Those that Meta gives to a server: of its own lead forms, and of chats.
const OF_SERVERS: [&str; 7] = [
    "lead_id",
    "page_id",
    "page_scoped_user_id",
    "ctwa_clid",
    "ig_account_id",
    "ig_sid",
    "whatsapp_business_account_id",
];

/// Meta refuses an event whose only identifiers all stand in one of these sets (error subcode 2804050).
const TOO_LITTLE: [&[&str]; 4] = [
    &["ct", "country", "st", "zp", "ge", "client_user_agent"],
    &["db", "client_user_agent"],
    &["fn", "ge"],
    &["ln", "ge"],
];

/// The longest identifier taken, in bytes. Meta documents no limit; a user agent is the longest that occurs.
const LONGEST: usize = 2_000;
/// How many values of one identifier are taken.
const MOST_VALUES: usize = 20;

impl<'a> UserData<'a> {
    /// Reads the object. A value that cannot be an identifier of its kind (an e-mail without `@`) is left out
    /// with a warning: the others may still find the person. A key that Meta does not know refuses the event,
    /// as Meta refuses the whole request for it.
    pub(crate) fn read(object: Object<'a>, reading: &Reading, findings: &mut Findings) -> Self {
        let at = At::Event.field("user_data");
        let mut reading = *reading;
        if let Some(own) = country_of(&object) {
            reading.country = Some(own);
        }
        let mut user_data = UserData {
            hashed: HashedKeys::with_capacity(object.len()),
            ..UserData::default()
        };
        for name in repeated_names(&object) {
            findings.error(at.field(name), "stands twice");
        }
        for (name, value) in object {
            if let Some(key) = MatchKey::from_wire_name(&name) {
                user_data.read_hashed(key, value, &reading, findings);
            } else {
                user_data.read_plain(&name, value, findings);
            }
        }
        user_data
    }

    fn read_hashed(&mut self, key: MatchKey, value: Json<'a>, reading: &Reading, findings: &mut Findings) {
        let user_data = At::Event.field("user_data");
        let at = user_data.field(key.wire_name());
        match value {
            Json::Array(values) => {
                let limit = if key.takes_many() { MOST_VALUES } else { 1 };
                if values.len() > limit {
                    findings.warn(
                        at,
                        format!("was sent with its first {limit} of {} values", values.len()),
                    );
                }
                for (index, value) in values.into_iter().take(limit).enumerate() {
                    self.read_hashed_value(key, value, reading, at.index(index), findings);
                }
            }
            value => self.read_hashed_value(key, value, reading, at, findings),
        }
    }

    fn read_hashed_value(
        &mut self,
        key: MatchKey,
        value: Json<'a>,
        reading: &Reading,
        at: At<'_>,
        findings: &mut Findings,
    ) {
        if value.is_nothing() {
            return;
        }
        match value.into_identifier() {
            Ok(text) if text.len() > LONGEST => findings.left_out(at, TOO_LONG),
            Ok(text) => {
                if let Err(dropped) = self.hashed.add(key, &text, reading) {
                    findings.left_out(at, dropped);
                } else if self.hashed.get(key).last().is_some_and(HashedKey::is_md5) {
                    findings.warn(
                        at,
                        "is an MD5 hash: it was passed on, but Meta finds people by SHA-256",
                    );
                } else if key == MatchKey::Phone && self.short_phone.is_none() {
                    self.short_phone = match_keys::phone_without_ninth_digit(&text, reading.country);
                }
            }
            Err(other) => findings.left_out_kind(at, "a string or a list of strings", &other),
        }
    }

    fn read_plain(&mut self, name: &str, value: Json<'a>, findings: &mut Findings) {
        let user_data = At::Event.field("user_data");
        let at = user_data.field(name);
        let known = PLAIN.into_iter().find(|known| *known == name);
        if known.is_none() && !matches!(name, "client_ip_address" | "client_user_agent" | "fbc" | "fbp") {
            if value != Json::Null {
                findings.error(
                    at,
                    "is not a customer information parameter of the Conversions API",
                );
            }
            return;
        }
        let value = match value {
            Json::Array(mut values) if values.len() <= 1 => values.pop().unwrap_or(Json::Null),
            other => other,
        };
        if value.is_nothing() {
            return;
        }
        if matches!(name, "fb_login_id" | "lead_id") && matches!(value, Json::Unsigned(_)) {
            self.plain.extend(known.map(|name| (name, value)));
            return;
        }
        let text = match value.into_identifier() {
            Ok(text) if is_placeholder(text.trim()) => {
                return findings.left_out(at, DroppedValue::Placeholder);
            }
            Ok(text) if text.len() > LONGEST && name == "client_user_agent" => {
                findings.warn(at, "was cut to 2,000 bytes");
                Cow::Owned(cut(&text).to_owned())
            }
            Ok(text) if text.len() > LONGEST => return findings.left_out(at, TOO_LONG),
            Ok(text) => text,
            Err(other) => return findings.left_out_kind(at, "a string", &other),
        };
        match name {
            "client_ip_address" => match sendable_address(text) {
                Some(address) => self.client_ip_address = Some(address),
                None => findings.left_out(at, "it is not a public IPv4 or IPv6 address"),
            },
            "client_user_agent" => self.client_user_agent = Some(text),
            "fbc" if click_id::is_valid(&text) => self.fbc = Some(text),
            "fbp" if click_id::is_valid(&text) => self.fbp = Some(text),
            "fbc" | "fbp" => findings.left_out(at, "it is not of the form fb.<index>.<milliseconds>.<id>"),
            "fb_login_id" | "lead_id" if !text.bytes().all(|byte| byte.is_ascii_digit()) => {
                findings.left_out(at, "it must be a whole number");
            }
            _ if personal_data::holds_personal_data(&text) => {
                findings.left_out(at, "it holds personal data, and would be sent as it is");
            }
            "madid" => self
                .plain
                .push(("madid", Json::String(Cow::Owned(text.to_ascii_lowercase())))),
            _ => self.plain.extend(known.map(|name| (name, Json::String(text)))),
        }
    }

    /// Drops the identifiers that only a server can know, and names them.
    pub(crate) fn leave_to_servers(&mut self) -> Vec<&'static str> {
        let dropped = self.plain.extract_if(.., |(name, _)| OF_SERVERS.contains(name));
        dropped.map(|(name, _)| name).collect()
    }

    /// Adds what the request itself tells of the visitor, where the event does not say.
    pub(crate) fn enrich(&mut self, visitor: &Visitor<'a>, findings: &mut Findings) {
        let user_data = At::Event.field("user_data");
        if self.client_ip_address.is_none()
            && let Some(ip) = visitor.ip
        {
            if is_public(ip) {
                self.client_ip_address = Some(Cow::Owned(ip.to_canonical().to_string()));
            } else {
                findings.warn(
                    user_data.field("client_ip_address"),
                    "is not known: the request came by a private address, perhaps that of a proxy which is \
                     not among the gateway's trusted_proxies",
                );
            }
        }
        if self.client_user_agent.is_none() {
            let agent = visitor.user_agent.filter(|agent| !is_placeholder(agent.trim()));
            self.client_user_agent = agent.map(|agent| Cow::Borrowed(cut(agent)));
        }
        let cookie =
            |value: Option<&'a str>| value.filter(|value| click_id::is_valid(value)).map(Cow::Borrowed);
        if self.fbp.is_none() {
            self.fbp = cookie(visitor.fbp);
        }
        if self.fbc.is_none() {
            self.fbc = cookie(visitor.fbc);
        }
    }

    /// Adds the country the owner of the dataset has customers in, where the person's own is not known.
    pub(crate) fn assume_country(&mut self, country: CountryCode, reading: &Reading) {
        if !self.hashed.contains(MatchKey::Country) {
            self.hashed
                .add(MatchKey::Country, country.as_str(), reading)
                .expect("a country code is a country that can be hashed");
        }
    }

    /// The hash of the phone number by which a person is found again: in Brazil without its ninth digit, as
    /// in [`crate::person::PersonKeys`]. One that came hashed is taken as it is, and finds who was written
    /// the same way.
    pub fn phone_to_find_by(&self) -> Option<&HashedKey> {
        self.short_phone
            .as_ref()
            .or_else(|| self.hashed.get(MatchKey::Phone).next())
    }

    /// Whether an identifier is there, by its name on the wire.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names().any(|present| present == name)
    }

    /// Whether Meta would find too little here to look for a person (rule 2804050).
    pub(crate) fn is_too_little(&self) -> bool {
        TOO_LITTLE
            .iter()
            .any(|set| self.names().all(|name| set.contains(&name)))
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        let own = [
            ("client_ip_address", &self.client_ip_address),
            ("client_user_agent", &self.client_user_agent),
            ("fbc", &self.fbc),
            ("fbp", &self.fbp),
        ];
        let own = own
            .into_iter()
            .filter_map(|(name, value)| value.as_ref().map(|_| name));
        self.hashed
            .keys()
            .map(MatchKey::wire_name)
            .chain(own)
            .chain(self.plain.iter().map(|(name, _)| *name))
    }
}

const TOO_LONG: &str = "it is longer than 2,000 bytes";

/// The beginning of a user agent that is longer than any browser's.
fn cut(agent: &str) -> &str {
    &agent[..agent.floor_char_boundary(LONGEST)]
}

/// The country the person's own data names; it decides how their phone and state are read.
fn country_of(object: &Object<'_>) -> Option<CountryCode> {
    let (_, value) = object.iter().find(|(name, _)| name == "country")?;
    let value = match value {
        Json::Array(values) => values.first()?,
        value => value,
    };
    match_keys::country_code(value.as_str()?)
}

/// The address as it is sent, if it is one that a visitor can have on the internet: the first such one where
/// a proxy's list of them was copied, and without a port. Meta's parameter builder may have put its own
/// suffix behind it (`203.0.113.9.AQQAAQMC`), which is part of the value that Meta expects.
fn sendable_address(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    if let Ok(address) = text.parse::<IpAddr>()
        && address.to_canonical() == address
    {
        return is_public(address).then_some(text); // As nearly all come.
    }
    let mut addresses = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
    let address = addresses.find_map(|address| {
        if let Some(ip) = address_and_port(address) {
            // `::ffff:203.0.113.9` is how a socket open to both families shows an IPv4 visitor.
            return is_public(ip).then(|| ip.to_canonical().to_string());
        }
        // The builder repeats its suffix for each domain on which it tried to set its cookie; one is part of
        // the value.
        let (mut ip, suffix) = address.rsplit_once('.')?;
        while let Some((before, last)) = ip.rsplit_once('.')
            && last == suffix
        {
            ip = before;
        }
        let is_visitors = click_id::is_builder_suffix(suffix) && is_public(ip.parse().ok()?);
        is_visitors.then(|| format!("{ip}.{suffix}"))
    });
    address.map(Cow::Owned)
}

/// An address as proxies write it: alone, with a port, or in brackets.
pub fn address_and_port(text: &str) -> Option<IpAddr> {
    let bare = text.parse::<IpAddr>().ok();
    bare.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

/// Whether the address is one of the internet's. Ranges set aside for examples pass: they are nobody's, and
/// every trial uses them.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let is_carrier_nat = first == 100 && second & 0xc0 == 64;
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_carrier_nat)
                && (1..224).contains(&first) // Below "this network", above multicast and reserved.
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local())
        }
    }
}

/// Names what is there and nothing more: no identifier belongs in a log.
impl fmt::Debug for UserData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Tells nothing, as the address and the cookies point at a person.
impl fmt::Debug for Visitor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Visitor([redacted])")
    }
}

impl Serialize for UserData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.hashed.serialize_entries(&mut map)?;
        for (name, value) in [
            ("client_ip_address", &self.client_ip_address),
            ("client_user_agent", &self.client_user_agent),
            ("fbc", &self.fbc),
            ("fbp", &self.fbp),
        ] {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        for (name, value) in &self.plain {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
