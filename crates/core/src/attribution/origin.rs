//! Where a touch came from, in the words of the books of spend: which channel was paid, and for which
//! campaign.

/// Longer words are cut: they are somebody's address bar.
const LONGEST_CHANNEL: usize = 40;
const LONGEST_CAMPAIGN: usize = 255;
/// Meta's campaign ids are numbers at least as long.
const SHORTEST_META_ID: usize = 6;

/// Channels that nobody is paid for, as [`crate::touchpoint`] infers them, and that of an order of nobody
/// known. The database knows them as `is_unpaid_channel`.
pub const UNPAID_CHANNELS: [&str; 9] = [
    "email",
    "sms",
    "whatsapp",
    "push",
    "organic_search",
    "organic_social",
    "referral",
    "direct",
    "unmatched",
];

/// What is stored of a touch. Empty texts count as absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct TouchWords<'a> {
    /// As [`crate::touchpoint`] inferred it.
    pub channel: &'a str,
    pub utm_source: Option<&'a str>,
    pub utm_campaign: Option<&'a str>,
    pub utm_id: Option<&'a str>,
    /// Any of gclid, gbraid and wbraid is there.
    pub has_google_click: bool,
    pub has_microsoft_click: bool,
    pub has_tiktok_click: bool,
    pub has_meta_click: bool,
}

/// Channel and campaign of a touch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Of a paid touch the platform that was paid (`meta`, `google`, `tiktok`, `bing`, or the slug of its
    /// source), as in spend; of others the channel itself (`email`, `direct`, ...).
    pub channel: String,
    /// [`campaign_key`]; empty: none was named.
    pub campaign_key: String,
    /// As it came; empty: none was named.
    pub campaign_name: String,
    pub paid: bool,
}

impl Origin {
    /// Of an order whose buyer is nobody who was seen before.
    pub fn unmatched() -> Self {
        Origin {
            channel: "unmatched".to_owned(),
            campaign_key: String::new(),
            campaign_name: String::new(),
            paid: false,
        }
    }

    /// Of a person of whom no touch is known in the window.
    pub fn direct() -> Self {
        Origin {
            channel: "direct".to_owned(),
            ..Origin::unmatched()
        }
    }

    pub fn of(words: &TouchWords<'_>) -> Self {
        let id = words.utm_id.map(str::trim).filter(|id| !id.is_empty());
        let name = words.utm_campaign.map(str::trim).filter(|name| !name.is_empty());
        let is_meta_id =
            |id: &str| id.len() >= SHORTEST_META_ID && id.bytes().all(|byte| byte.is_ascii_digit());
        let paid = match words.channel {
            "paid_search" | "paid_social" | "paid_video" | "paid_shopping" | "paid_other" | "display"
            | "affiliate" => true,
            // Meta adds its click id to organic links too; only the id of a campaign tells that it was an ad.
            "organic_social" => words.has_meta_click && id.is_some_and(is_meta_id),
            _ => false,
        };
        let channel = match paid {
            true => paid_channel(platform(words)),
            false => words.channel.to_owned(),
        };
        Origin {
            channel,
            campaign_key: campaign_key(id, name),
            campaign_name: cut(name.unwrap_or_default(), LONGEST_CAMPAIGN).to_owned(),
            paid,
        }
    }
}

/// The name of a channel that was paid. One that is called like a channel that costs nothing is told apart
/// from it, `whatsapp_ads`: what the other one brought would count as brought by ads.
pub fn paid_channel(name: String) -> String {
    match UNPAID_CHANNELS.contains(&name.as_str()) {
        true => format!("{name}_ads"),
        false => name,
    }
}

/// By what a campaign is found in both books: its id, and its name where the id is not known.
pub fn campaign_key(id: Option<&str>, name: Option<&str>) -> String {
    let present = |text: Option<&str>| {
        text.map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    match (present(id), present(name)) {
        (Some(id), _) => cut(&id, LONGEST_CAMPAIGN).to_owned(),
        (None, Some(name)) => format!("name:{}", cut(&name.to_lowercase(), LONGEST_CAMPAIGN)),
        (None, None) => String::new(),
    }
}

/// Click ids first: they are set by who was paid. A source may be written by anybody.
fn platform(words: &TouchWords<'_>) -> String {
    let source = words.utm_source.unwrap_or_default().trim().to_lowercase();
    let named = match source.as_str() {
        "facebook" | "fb" | "instagram" | "ig" | "meta" | "an" | "msg" => "meta",
        "google" | "youtube" | "adwords" => "google",
        "bing" | "microsoft" => "bing",
        "tiktok" => "tiktok",
        _ => "",
    };
    match () {
        () if words.has_google_click => "google".to_owned(),
        () if words.has_microsoft_click => "bing".to_owned(),
        () if words.has_tiktok_click => "tiktok".to_owned(),
        () if !named.is_empty() => named.to_owned(),
        () if words.has_meta_click => "meta".to_owned(),
        () => slug(&source).unwrap_or_else(|| words.channel.to_owned()),
    }
}

/// Lower-case letters, digits, `_` and `-`, as channels of spend are written.
fn slug(text: &str) -> Option<String> {
    let part = |letter: char| {
        if letter.is_ascii_alphanumeric() || letter == '-' {
            letter
        } else {
            '_'
        }
    };
    let slug: String = text.chars().take(LONGEST_CHANNEL).map(part).collect();
    Some(slug.trim_matches('_').to_owned()).filter(|slug| !slug.is_empty())
}

fn cut(text: &str, longest: usize) -> &str {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(channel: &str, source: &str, id: &str, name: &str) -> TouchWords<'static> {
        let keep = |text: &str| -> Option<&'static str> { Some(&*text.to_owned().leak()) };
        TouchWords {
            channel: keep(channel).unwrap(),
            utm_source: keep(source),
            utm_campaign: keep(name),
            utm_id: keep(id),
            ..Default::default()
        }
    }

    #[test]
    fn a_paid_touch_has_the_channel_of_the_spend_and_an_unpaid_one_its_own() {
        for (channel, source, expected) in [
            ("paid_social", "ig", "meta"),
            ("paid_social", "Facebook", "meta"),
            ("paid_social", "linkedin", "linkedin"),
            ("paid_search", "google", "google"),
            ("paid_video", "youtube", "google"),
            ("paid_search", "bing", "bing"),
            ("paid_other", "Jornal do Bairro", "jornal_do_bairro"),
            ("paid_other", "", "paid_other"),
            ("email", "rd", "email"),
            ("organic_search", "google", "organic_search"),
            ("direct", "", "direct"),
        ] {
            let origin = Origin::of(&of(channel, source, "", ""));
            assert_eq!(origin.channel, expected, "{channel} {source}");
        }
        // Who is paid for messages is not who sends them for nothing.
        for (channel, source, expected, paid) in [
            ("paid_other", "WhatsApp", "whatsapp_ads", true),
            ("whatsapp", "whatsapp", "whatsapp", false),
            ("paid_other", "e-mail", "e-mail", true),
            ("paid_other", "email", "email_ads", true),
            ("affiliate", "direct", "direct_ads", true),
            ("paid_other", "unmatched", "unmatched_ads", true),
        ] {
            let origin = Origin::of(&of(channel, source, "", ""));
            assert_eq!(
                (&*origin.channel, origin.paid),
                (expected, paid),
                "{channel} {source}"
            );
        }
        let google = TouchWords {
            has_google_click: true,
            ..of("paid_search", "facebook", "", "")
        };
        assert_eq!(Origin::of(&google).channel, "google");
    }

    #[test]
    fn a_meta_click_alone_is_no_ad_and_with_a_campaign_id_it_is() {
        let organic = TouchWords {
            has_meta_click: true,
            ..of("organic_social", "ig", "", "")
        };
        assert_eq!(Origin::of(&organic).channel, "organic_social");
        let id = "120210000000000017";
        let ad = TouchWords {
            has_meta_click: true,
            ..of("organic_social", "", id, "")
        };
        let ad = Origin::of(&ad);
        assert_eq!((&*ad.channel, &*ad.campaign_key, ad.paid), ("meta", id, true));
    }

    #[test]
    fn a_campaign_is_its_id_and_its_name_where_there_is_none() {
        assert_eq!(campaign_key(Some(" 0012 "), Some("Verão")), "0012");
        assert_eq!(
            campaign_key(Some(""), Some(" Clareamento VERÃO ")),
            "name:clareamento verão"
        );
        assert_eq!(campaign_key(None, Some(" ")), "");
        let long = "é".repeat(400);
        assert!(campaign_key(None, Some(&long)).len() <= LONGEST_CAMPAIGN + 5);
    }
}
