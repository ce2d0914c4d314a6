//! The `[dashboard]` section of the monitor's configuration.

use std::net::{IpAddr, SocketAddr};

use anyhow::ensure;
use ipnet::IpNet;
use rastro_service::config::SecretString;
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DashboardConfig {
    /// For links in messages, and as the origin of our own forms. Empty: no links.
    pub public_url: String,
    /// The reporting zone, by its IANA name.
    pub time_zone: String,
    pub listen: SocketAddr,
    /// The gateway as pages reach it, for the script tag. Empty: the page says where to put it.
    pub gateway_url: String,
    /// Where traces are looked at. Empty: the trace id alone is shown.
    pub jaeger_url: String,
    /// Networks from which `proxy_header` and `X-Forwarded-For` are believed.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which a proxy names who signed in there. Empty: only keys open the dashboard.
    pub proxy_header: String,
    /// Who may order, of those whom the proxy names: addresses, or `*@empresa.com.br`.
    pub operators: Vec<String>,
    pub viewers: Vec<String>,
    /// Every page says that its data is invented.
    pub demo: bool,
    /// A streaming replica that pages are read from. Empty: the primary.
    pub replica_url: SecretString,
}

impl DashboardConfig {
    /// Whether its settings make sense together.
    ///
    /// # Errors
    /// Names the setting that does not.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.proxy_header.is_empty() || !self.trusted_proxies.is_empty(),
            "dashboard.proxy_header without dashboard.trusted_proxies: anybody could write that header"
        );
        ensure!(
            self.proxy_header.is_empty() || !(self.operators.is_empty() && self.viewers.is_empty()),
            "dashboard.proxy_header without dashboard.operators or dashboard.viewers lets nobody in"
        );
        ensure!(
            actix_web::http::header::HeaderName::try_from(self.proxy_header.as_str()).is_ok()
                || self.proxy_header.is_empty(),
            "dashboard.proxy_header is not the name of a header"
        );
        for entry in self.operators.iter().chain(&self.viewers) {
            ensure!(
                entry.contains('@') && (!entry.contains('*') || entry.starts_with("*@") && entry.len() > 2),
                "dashboard.operators and dashboard.viewers hold addresses or *@domain, not {entry:?}"
            );
        }
        for (name, url) in [
            ("public_url", &self.public_url),
            ("gateway_url", &self.gateway_url),
            ("jaeger_url", &self.jaeger_url),
        ] {
            ensure!(
                url.is_empty() || url.starts_with("https://") || url.starts_with("http://"),
                "dashboard.{name} must begin with https:// (or http://)"
            );
        }
        Ok(())
    }
}

/// Networks, or single addresses.
fn networks<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let network = |text: &String| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let wrong =
        |_| serde::de::Error::custom("expected addresses and networks, such as 10.0.0.7 or 10.0.0.0/8");
    texts.iter().map(|text| network(text).map_err(wrong)).collect()
}

#[cfg(test)]
mod tests {
    fn load(variables: &[(&str, &str)]) -> Result<(), String> {
        rastro_boot::testing::config::<crate::config::Config>(variables)
            .map(drop)
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_header_that_anybody_could_write_stops_the_start() {
        let header = ("RASTRO__DASHBOARD__PROXY_HEADER", "X-Auth-Request-Email");
        let viewers = ("RASTRO__DASHBOARD__VIEWERS", "*@empresa.com.br");
        let proxies = ("RASTRO__DASHBOARD__TRUSTED_PROXIES", "10.0.0.7");
        assert!(load(&[header, viewers]).unwrap_err().contains("trusted_proxies"));
        assert!(load(&[header, proxies]).unwrap_err().contains("lets nobody in"));
        assert!(load(&[header, viewers, proxies]).is_ok());
        let everybody = ("RASTRO__DASHBOARD__VIEWERS", "*");
        assert!(load(&[header, everybody, proxies]).is_err());
    }
}
