//! The processes and commands of the revenue story: the stand-ins for Mercado Pago and Google Ads, the
//! attribution service, and what is done by hand.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use rastro_sandbox::google_ads::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN};
use rastro_test_support::process::Program;
use sha2::{Digest, Sha256};

use super::{Running, Secrets, folder, keep, say, services};
use crate::books;
use crate::demo::revenue::ads::{self, GOOGLE_ACCOUNT, GOOGLE_MANAGER, META_ACCOUNT};
use crate::demo::revenue::stand::{SELLER, Stand};
use crate::demo::revenue::{Story, past};

/// A secret of the demo that its file does not hold: made of one that it does.
fn derived(secrets: &Secrets, what: &str) -> String {
    let digest = Sha256::digest(format!("{what} {}", secrets.secret_key));
    digest.iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}

/// The stand-in's arguments for its other addresses. What was paid outlives it.
pub(super) fn stand_ins(secrets: &Secrets, mercado_pago: SocketAddr, google_ads: SocketAddr) -> [String; 10] {
    let books = folder().join("mercado-pago.json").display().to_string();
    [
        "--mercado-pago".to_owned(),
        mercado_pago.to_string(),
        "--seller".to_owned(),
        format!("{SELLER}=APP_USR-{}", derived(secrets, "seller")),
        "--webhook-secret".to_owned(),
        derived(secrets, "webhook"),
        "--books".to_owned(),
        books,
        "--google-ads".to_owned(),
        google_ads.to_string(),
    ]
}

impl Running {
    /// Plays the half year before, if it was not played yet, connects the account with all that it was paid,
    /// says what both ad accounts spent, and starts the service, which reads it.
    pub async fn begin_revenue(&self, run: &str, now_ms: i64) -> anyhow::Result<Story> {
        let dataset = self.secrets.dataset_id.parse().context("the demo's dataset")?;
        // Letters alone: a reference of many digits would be taken for somebody's number, and not be kept.
        let letter =
            |digit: char| char::from(b'a' + u8::try_from(digit.to_digit(16).unwrap_or(0)).unwrap_or(0));
        let mut story = Story {
            sql: books::connect(&self.database_url).await?,
            store: self.store()?,
            stand: Stand::open(self.sandbox, self.mercado_pago, self.google_ads).await?,
            dataset,
            run: run.chars().map(letter).collect(),
            now_ms,
        };
        books::money::count_only_payments(&story.sql, dataset).await?;
        if let Some(orders) = story.begin().await? {
            say(&format!(
                "{orders} orders of the last {} days were paid there",
                past::DAYS
            ));
        }
        self.attribution(&["account"]).await?;
        for line in self.attribution(&["reconcile", "200"]).await? {
            say(line.trim());
        }
        let token = self.ads_token();
        let account = ads::at_meta(&token, now_ms);
        story.stand.put_ad_account(META_ACCOUNT, &account).await?;
        let account = ads::at_google(now_ms);
        story.stand.put_google_account(GOOGLE_ACCOUNT, &account).await?;
        let health = self.health[3].1;
        let service = self
            .program()
            .with(&[("RASTRO__HEALTH__LISTEN", &health.to_string())]);
        keep(service, health, "/readyz").await?;
        let webhooks = format!("http://{}/api/webhooks/mercado-pago/{SELLER}", self.gateway);
        story.stand.send_webhooks_to(&webhooks).await?;
        Ok(story)
    }

    /// Waits for the spend and for the credits of this run, and has the last year credited again by what was
    /// learnt of it.
    pub async fn end_revenue(&self, story: &Story) -> anyhow::Result<()> {
        story.await_spend().await?;
        story.await_credits().await?;
        for line in self
            .attribution(&["recompute", "--dataset", &self.secrets.dataset_id])
            .await?
        {
            say(line.trim());
        }
        Ok(())
    }

    fn ads_token(&self) -> String {
        format!("EAA{}", derived(&self.secrets, "ads"))
    }

    /// One command of the program; its lines.
    async fn attribution(&self, arguments: &[&str]) -> anyhow::Result<Vec<String>> {
        let (status, log) = self.program().arguments(arguments).start()?.ended().await?;
        ensure!(
            status.success(),
            "attribution {} failed: {}",
            arguments.join(" "),
            log.join("\n")
        );
        Ok(log)
    }

    fn program(&self) -> Program {
        let mercado_pago = format!("http://{}", self.mercado_pago);
        let meta = format!("http://{}", self.sandbox);
        let google = format!("http://{}", self.google_ads);
        let dataset = self.secrets.dataset_id.as_str();
        let services = services(&self.database_url, &self.secrets);
        services.attribution(&mercado_pago, &meta).with(&[
            ("RASTRO__ACCOUNT__ACCOUNT_ID", &SELLER.to_string()),
            ("RASTRO__ACCOUNT__DATASET_ID", dataset),
            ("RASTRO__ACCOUNT__LABEL", "demo"),
            (
                "RASTRO__ACCOUNT__ACCESS_TOKEN",
                &format!("APP_USR-{}", derived(&self.secrets, "seller")),
            ),
            (
                "RASTRO__ACCOUNT__WEBHOOK_SECRETS",
                &derived(&self.secrets, "webhook"),
            ),
            ("RASTRO__META_SPEND__ACCOUNT_ID", META_ACCOUNT),
            ("RASTRO__META_SPEND__DATASET_ID", dataset),
            ("RASTRO__META_SPEND__ACCESS_TOKEN", &self.ads_token()),
            // Nobody waits for minutes to see a demo.
            ("RASTRO__META_SPEND__POLL_MILLISECONDS", "50"),
            ("RASTRO__GOOGLE_ADS__CUSTOMER_ID", GOOGLE_ACCOUNT),
            ("RASTRO__GOOGLE_ADS__LOGIN_CUSTOMER_ID", GOOGLE_MANAGER),
            ("RASTRO__GOOGLE_ADS__DATASET_ID", dataset),
            ("RASTRO__GOOGLE_ADS__CLIENT_ID", CLIENT_ID),
            ("RASTRO__GOOGLE_ADS__CLIENT_SECRET", CLIENT_SECRET),
            ("RASTRO__GOOGLE_ADS__REFRESH_TOKEN", REFRESH_TOKEN),
            ("RASTRO__GOOGLE_ADS__URL", &google),
            ("RASTRO__GOOGLE_ADS__TOKEN_URL", &format!("{google}/token")),
            ("RASTRO__MERCADO_PAGO__REQUESTS_PER_SECOND", "1000"),
            ("RASTRO__PAYMENTS__IDLE_POLL_MILLISECONDS", "100"),
            ("RASTRO__CREDITING__INTERVAL_SECONDS", "2"),
        ])
    }
}
