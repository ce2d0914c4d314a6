//! The address of the page on which an event happened, as far as reports ask for it: where it was, and which
//! ad led there.

use std::borrow::Cow;

/// The longest text kept of one part, in bytes. The whole address stays in the event.
const LONGEST: usize = 500;

/// The parameters that are click ids.
pub const CLICKS: [&str; 6] = ["fbclid", "gclid", "gbraid", "wbraid", "msclkid", "ttclid"];

/// Parts of a page's address. Text is as the address has it, percent-decoded, without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub host: Option<String>,
    pub path: Option<String>,
    pub utm_source: Option<String>,
    pub utm_medium: Option<String>,
    pub utm_campaign: Option<String>,
    pub utm_content: Option<String>,
    pub utm_term: Option<String>,
    /// Meta's click id.
    pub fbclid: Option<String>,
    /// Google's: on the web, and of apps with and without a known user.
    pub gclid: Option<String>,
    pub gbraid: Option<String>,
    pub wbraid: Option<String>,
    /// Microsoft's.
    pub msclkid: Option<String>,
    /// TikTok's.
    pub ttclid: Option<String>,
}

impl Page {
    /// Reads an `http` or `https` address. Of anything else nothing is known.
    pub fn of(address: &str) -> Self {
        let Some((scheme, rest)) = address.split_once("://") else {
            return Page::default();
        };
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return Page::default();
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match place.find('/') {
            Some(slash) => place.split_at(slash),
            None => (place, "/"),
        };
        // A port and, of old, a user may stand around the host.
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default();
        let mut page = Page {
            host: kept(&host.to_ascii_lowercase()),
            path: kept(path),
            ..Page::default()
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if let Some(part) = page.part(&name)
                && part.is_none()
            {
                *part = kept(&value);
            }
        }
        page
    }

    /// Adds a click that is known from elsewhere, if the address tells of none of its network.
    pub fn add_click(&mut self, parameter: &str, id: &str) {
        let is_click = CLICKS.contains(&parameter);
        if let Some(part) = self.part(parameter).filter(|part| is_click && part.is_none()) {
            *part = kept(id);
        }
    }

    fn part(&mut self, parameter: &str) -> Option<&mut Option<String>> {
        Some(match parameter {
            "utm_source" => &mut self.utm_source,
            "utm_medium" => &mut self.utm_medium,
            "utm_campaign" => &mut self.utm_campaign,
            "utm_content" => &mut self.utm_content,
            "utm_term" => &mut self.utm_term,
            "fbclid" => &mut self.fbclid,
            "gclid" => &mut self.gclid,
            "gbraid" => &mut self.gbraid,
            "wbraid" => &mut self.wbraid,
            "msclkid" => &mut self.msclkid,
            "ttclid" => &mut self.ttclid,
            _ => return None,
        })
    }
}

/// The text without control characters (PostgreSQL stores no NUL), cut. `None`: nothing is left of it.
pub(crate) fn kept(text: &str) -> Option<String> {
    let text: Cow<'_, str> = match text.contains(char::is_control) {
        true => text
            .chars()
            .filter(|char| !char.is_control())
            .collect::<String>()
            .into(),
        false => text.into(),
    };
    let text = text.trim();
    let text = &text[..text.floor_char_boundary(LONGEST)];
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_place_campaign_and_click() {
        let page = Page::of(
            "https://WWW.Clinica.example:8443/agendar?utm_source=facebook&utm_medium=paid%20social\
             &utm_campaign=Sorriso+Novo&utm_content=v%C3%ADdeo&utm_term=&fbclid=IwAR0x&gclid=Cj0K&x=1#topo",
        );
        assert_eq!(page.host.as_deref(), Some("www.clinica.example"));
        assert_eq!(page.path.as_deref(), Some("/agendar"));
        assert_eq!(page.utm_source.as_deref(), Some("facebook"));
        assert_eq!(page.utm_medium.as_deref(), Some("paid social"));
        assert_eq!(page.utm_campaign.as_deref(), Some("Sorriso Novo"));
        assert_eq!(page.utm_content.as_deref(), Some("vídeo"));
        assert_eq!(page.utm_term, None);
        assert_eq!(page.fbclid.as_deref(), Some("IwAR0x"));
        assert_eq!(page.gclid.as_deref(), Some("Cj0K"));
    }

    #[test]
    fn a_parameter_that_comes_twice_counts_the_first_time() {
        let page = Page::of("https://loja.example/?utm_source=a&utm_source=b");
        assert_eq!(page.utm_source.as_deref(), Some("a"));
    }

    #[test]
    fn what_postgresql_cannot_store_or_nobody_reads_is_left_out() {
        let long = "ã".repeat(400);
        let page = Page::of(&format!(
            "http://loja.example?utm_source=a%00b%0A&utm_campaign={long}"
        ));
        assert_eq!(page.path.as_deref(), Some("/"));
        assert_eq!(page.utm_source.as_deref(), Some("ab"));
        assert_eq!(page.utm_campaign.unwrap().len(), 500);
    }

    #[test]
    fn of_what_is_no_web_address_nothing_is_known() {
        for address in ["", "loja.example/a", "android-app://com.loja/?utm_source=x"] {
            assert_eq!(Page::of(address), Page::default(), "{address}");
        }
        assert_eq!(Page::of("https://").host, None);
    }

    #[test]
    fn a_click_from_elsewhere_is_added_where_the_address_has_none() {
        let mut page = Page::of("https://x.br/?gclid=Own");
        page.add_click("gclid", "Other");
        page.add_click("ttclid", "T1");
        page.add_click("utm_source", "no click");
        assert_eq!(
            (page.gclid.as_deref(), page.ttclid.as_deref()),
            (Some("Own"), Some("T1"))
        );
        assert_eq!(page.utm_source, None);
    }
}
