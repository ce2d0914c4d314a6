//! A contact of a visitor with an ad, or with another way to the site, and the channel it came by.

use crate::event::Intake;
use crate::finding::{At, Findings};
use crate::json::Json;
use crate::page::kept;

/// Earlier than this, in milliseconds since 1970, no page told of a touch: a broken clock.
const EARLIEST_MS: i64 = 1_577_836_800_000;
const DAY_MS: i64 = 86_400_000;

/// What a touch may say beside its time, as pages name it.
pub const TOUCH_FIELDS: [&str; 17] = [
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
    "utm_id",
    "fbclid",
    "gclid",
    "gbraid",
    "wbraid",
    "msclkid",
    "ttclid",
    "src",
    "sck",
    "xcod",
    "landing",
    "referrer",
];

/// One contact.
#[derive(Clone, Debug, PartialEq)]
pub struct Touchpoint {
    /// In milliseconds since 1970.
    pub at_ms: i64,
    pub channel: &'static str,
    /// In the order of [`TOUCH_FIELDS`].
    pub values: [Option<String>; TOUCH_FIELDS.len()],
}

impl Touchpoint {
    /// Reads `attribution`: the first touch and the last, each of which may be absent. Their times are those
    /// of the device's clock, as that of its events. What is no touch is left out with a warning: it costs
    /// nobody a lead.
    pub fn read_all(json: Json<'_>, intake: &Intake<'_>, findings: &mut Findings) -> Vec<Self> {
        let root = At::Event;
        let at = root.field("attribution");
        let Json::Object(fields) = json else {
            findings.warn(at, "was left out: it is not an object");
            return Vec::new();
        };
        let mut touches: Vec<Touchpoint> = Vec::new();
        for (name, value) in fields {
            let touch = match &*name {
                "first" | "last" => Touchpoint::read(value, intake),
                _ => None,
            };
            match touch {
                Some(touch) if touches.iter().all(|known| known.at_ms != touch.at_ms) => touches.push(touch),
                Some(_) => {}
                None => findings.warn(at.field(&name), "was left out: it is not a touch with its time"),
            }
        }
        touches
    }

    fn read(json: Json<'_>, intake: &Intake<'_>) -> Option<Self> {
        let Json::Object(fields) = json else { return None };
        let mut values = [const { None }; TOUCH_FIELDS.len()];
        let mut at_ms = None;
        for (name, value) in fields {
            if name == "at" {
                at_ms = value.as_i64();
            } else if let Some(index) = TOUCH_FIELDS.iter().position(|known| *known == name) {
                let text = value.as_str().and_then(kept);
                values[index] = text.map(|text| match crate::personal_data::holds_personal_data(&text) {
                    true => "[personal data]".to_owned(),
                    false => text,
                });
            }
        }
        let now_ms = intake.now_ms;
        let at_ms = at_ms?.saturating_add(intake.clock_shift_seconds.saturating_mul(1_000));
        if !(EARLIEST_MS..now_ms + DAY_MS).contains(&at_ms) {
            return None;
        }
        let at_ms = at_ms.min(now_ms);
        let mut touch = Touchpoint {
            at_ms,
            channel: "",
            values,
        };
        touch.channel = touch.infer();
        Some(touch)
    }

    /// One of [`TOUCH_FIELDS`].
    pub fn get(&self, name: &str) -> Option<&str> {
        let index = TOUCH_FIELDS.iter().position(|known| *known == name)?;
        self.values[index].as_deref()
    }

    /// The first rule that fits.
    fn infer(&self) -> &'static str {
        let lower = |name| {
            self.get(name)
                .map(|text| text.trim().to_lowercase())
                .unwrap_or_default()
        };
        let (source, medium) = (lower("utm_source"), lower("utm_medium"));
        let (source, medium) = (source.as_str(), medium.as_str());
        let referrer = self.get("referrer").and_then(host).unwrap_or_default();
        let has = |names: &[&str]| names.iter().any(|name| self.get(name).is_some());
        let is_either = |words: &[&str]| words.contains(&source) || words.contains(&medium);
        let is_paid =
            medium.contains("cp") || medium == "ppc" || medium == "retargeting" || medium.starts_with("paid");
        let is_search_host = SEARCH
            .iter()
            .any(|name| labels(&referrer).any(|label| label == *name));
        let is_social_host = SOCIAL_HOSTS.iter().any(|domain| is_of(&referrer, domain));
        match () {
            () if has(&["gclid", "wbraid", "gbraid", "msclkid"]) => "paid_search",
            () if has(&["ttclid"]) => "paid_social",
            () if is_paid && SOCIAL.contains(&source) => "paid_social",
            () if is_paid && SEARCH.contains(&source) => "paid_search",
            () if is_paid && source == "youtube" => "paid_video",
            // "cpm" is both a price and a banner's medium; the price comes first.
            () if is_paid => "paid_other",
            () if ["display", "banner", "expandable", "interstitial"].contains(&medium) => "display",
            () if is_either(&["email", "e-mail", "e_mail"]) => "email",
            () if is_either(&["sms"]) => "sms",
            () if is_either(&["whatsapp", "wa.me"]) => "whatsapp",
            () if is_either(&["affiliate"]) => "affiliate",
            () if medium.ends_with("push") => "push",
            () if medium == "organic" || is_search_host => "organic_search",
            () if ["social", "social-network", "sm"].contains(&medium)
                || is_social_host
                || has(&["fbclid"]) =>
            {
                "organic_social"
            }
            () if !referrer.is_empty() && !NO_REFERRERS.iter().any(|domain| is_of(&referrer, domain)) => {
                "referral"
            }
            () => "direct",
        }
    }
}

const SOCIAL: [&str; 13] = [
    "facebook",
    "fb",
    "instagram",
    "ig",
    "meta",
    "an",
    "msg",
    "tiktok",
    "linkedin",
    "x",
    "twitter",
    "pinterest",
    "kwai",
];
const SEARCH: [&str; 5] = ["google", "bing", "yahoo", "duckduckgo", "ecosia"];
const SOCIAL_HOSTS: [&str; 12] = [
    "facebook.com",
    "instagram.com",
    "tiktok.com",
    "linkedin.com",
    "lnkd.in",
    "x.com",
    "t.co",
    "twitter.com",
    "pinterest.com",
    "kwai.com",
    "youtube.com",
    "threads.net",
];
/// Where people come back from after they paid.
const NO_REFERRERS: [&str; 4] = [
    "mercadopago.com.br",
    "mercadopago.com",
    "mercadolivre.com.br",
    "mercadolibre.com",
];

fn host(address: &str) -> Option<String> {
    crate::page::Page::of(address).host
}

fn labels(host: &str) -> impl Iterator<Item = &str> {
    host.split('.')
}

fn is_of(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(fields: &str) -> Option<Touchpoint> {
        let text = format!(r#"{{"at":1790000000000{fields}}}"#);
        Touchpoint::read(Json::parse(text.as_bytes()).unwrap(), &intake(0))
    }

    fn intake(clock_shift_seconds: i64) -> Intake<'static> {
        Intake {
            now_ms: 1_790_000_000_000,
            clock_shift_seconds,
            ..Intake::default()
        }
    }

    /// The rules of Google Analytics' default channels, as far as they are published, with Brazilian
    /// additions.
    #[test]
    fn the_first_rule_that_fits_names_the_channel() {
        for (fields, channel) in [
            (r#","gclid":"Cj0K","utm_medium":"email""#, "paid_search"),
            (r#","msclkid":"x""#, "paid_search"),
            (r#","ttclid":"x","fbclid":"y""#, "paid_social"),
            (r#","utm_source":"IG","utm_medium":"paid_social""#, "paid_social"),
            (
                r#","utm_source":"facebook","utm_medium":"cpc","fbclid":"x""#,
                "paid_social",
            ),
            (r#","utm_source":"google","utm_medium":"cpc""#, "paid_search"),
            (r#","utm_source":"youtube","utm_medium":"cpv""#, "paid_video"),
            (r#","utm_source":"youtube","utm_medium":"cpc""#, "paid_video"),
            (r#","utm_source":"jornal","utm_medium":"ppc""#, "paid_other"),
            (r#","utm_source":"jornal","utm_medium":"banner""#, "display"),
            (r#","utm_source":"rd","utm_medium":"e-mail""#, "email"),
            (r#","utm_source":"whatsapp""#, "whatsapp"),
            (r#","utm_medium":"web_push""#, "push"),
            (r#","referrer":"https://www.google.com.br/""#, "organic_search"),
            (r#","referrer":"https://l.instagram.com/""#, "organic_social"),
            (r#","fbclid":"x""#, "organic_social"),
            (r#","referrer":"https://blog.example/a""#, "referral"),
            (
                r#","referrer":"https://www.mercadopago.com.br/checkout""#,
                "direct",
            ),
            ("", "direct"),
        ] {
            assert_eq!(touch(fields).unwrap().channel, channel, "{fields}");
        }
    }

    #[test]
    fn a_touch_without_a_time_that_can_be_is_none() {
        let read = |text: &str| Touchpoint::read(Json::parse(text.as_bytes()).unwrap(), &intake(0));
        for text in [
            "{}",
            "7",
            r#"{"at":0}"#,
            r#"{"at":"now"}"#,
            r#"{"at":1890000000000}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        // A clock that is a little ahead is not believed, and the touch kept.
        assert_eq!(read(r#"{"at":1790000060000}"#).unwrap().at_ms, 1_790_000_000_000);
        let email = read(r#"{"at":1790000000000,"utm_term":"ana@example.com"}"#).unwrap();
        assert_eq!(email.get("utm_term"), Some("[personal data]"));
    }

    #[test]
    fn a_touch_is_corrected_as_its_clock_is() {
        let week = 7 * 86_400;
        for shift in [-week, week] {
            let told = 1_790_000_000_000 - shift * 1_000 - 5_000;
            let text = format!(r#"{{"at":{told},"gclid":"Cj0K"}}"#);
            let touch = Touchpoint::read(Json::parse(text.as_bytes()).unwrap(), &intake(shift));
            assert_eq!(touch.unwrap().at_ms, 1_789_999_995_000, "{shift}");
        }
    }
}
