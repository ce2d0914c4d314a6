//! What `make demo` shows: a stream of Brazilian conversion events, sent through the real services, and the
//! account of what became of them. Everything is left running.
//!
//! [`failures`] are to practise on. [`people`] and [`stream`] invent the events, [`visitors`] send them,
//! [`landing`] serves a page with a form, [`account`] compares what each witness says, [`revenue`] does the
//! same for money, and [`services`] keeps the processes.

pub mod account;
pub mod failures;
pub mod landing;
pub mod people;
pub mod revenue;
pub mod services;
pub mod stream;
pub mod visitors;

use std::net::SocketAddr;
use std::time::Duration;

use rastro_service::clock::Clock;
use rastro_store::Store;

use crate::books::{self, Books, Told};
use crate::demo::account::{Account, Leads};
use crate::demo::landing::Form;
use crate::demo::stream::{Origin, Request, expected, stream};
use crate::demo::visitors::{Keys, PATIENCE, Site};
use crate::load::{Load, Pace};
use crate::{Progress, heading, print, variable};

/// How many visitors are on the site at the same time.
const VISITORS: usize = 16;
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long nothing may arrive before the wait is given up.
const STALLED: Duration = Duration::from_secs(60);
/// The same for what an earlier run left behind, which may belong to a dataset whose forwarder is gone.
const STALLED_LEFTOVERS: Duration = Duration::from_secs(5);

/// The whole demo. Whether every event is accounted for.
pub async fn demo() -> anyhow::Result<bool> {
    let services = services::start().await?;
    let name = format!("{:012x}", rand::random::<u64>() >> 16);
    let now = Clock::system().now();
    heading("payments of half a year (invented)");
    let mut story = services.begin_revenue(&name, now.timestamp_millis()).await?;
    heading("events");
    let origin = Origin {
        seed: 1,
        run: &name,
        now: Clock::system().now().timestamp(),
    };
    let forms = landing::forms(&origin);
    let run = Run {
        gateway: services.gateway,
        sandbox: services.sandbox,
        store: services.store()?,
        dataset_id: services.secrets.dataset_id.clone(),
        keys: services.secrets.keys(),
        page: Some(services.landing),
    };
    let account = run.account_for(&stream(&origin), &forms).await?;
    heading("payments of today");
    let forms: Vec<String> = forms.into_iter().map(|form| form.event_id).collect();
    story.today(&forms).await?;
    run.settle("Purchases on the way to Meta", STALLED).await?;
    services.end_revenue(&story).await?;
    let money = story.account().await?;
    services.write(&account, &money)?;
    print(&services.report(&account, &money, &story.pages().await?));
    print(&services.start_panel().await?.report());
    if variable("FAILURES").is_some() {
        let around = failures::Surroundings {
            gateway: services.gateway,
            sandbox: services.sandbox,
            store: &services.store()?,
            dataset_id: services.secrets.dataset_id.parse()?,
            secret_key: &services.secrets.secret_key,
            now: Clock::system().now().timestamp(),
        };
        print(&failures::prepare(&around).await?.report());
    }
    Ok(account.problems().is_empty() && money.problems().is_empty())
}

/// One run through services that are there.
pub struct Run {
    pub gateway: SocketAddr,
    pub sandbox: SocketAddr,
    pub store: Store,
    /// Only this dataset's events count at the sandbox.
    pub dataset_id: String,
    pub keys: Keys,
    /// Where the landing page is; its forms say so.
    pub page: Option<SocketAddr>,
}

impl Run {
    /// Sends the stream and accounts for it. Nobody else may be sending through the same database meanwhile:
    /// its books are counted as a whole.
    pub async fn account_for(&self, requests: &[Request], forms: &[Form]) -> anyhow::Result<Account> {
        let what = "events of an earlier run on the way";
        let before = self.settle(what, STALLED_LEFTOVERS).await?;
        let meta_before = books::at_meta(self.sandbox, &self.dataset_id).await?;
        let leads_before = self.leads().await?;
        let site = Site::new(&self.keys, requests);
        self.send(&site, requests).await?;
        let mut answers = site.answers();
        for form in forms {
            match form.submit(self.gateway, &self.keys, self.page).await? {
                true => answers.accepted += 1,
                false => answers.duplicate += 1,
            }
        }
        let after = self.settle("events on the way to Meta", STALLED).await?;
        let meta_after = books::at_meta(self.sandbox, &self.dataset_id).await?;
        let told = Told {
            accepted: answers.accepted,
            duplicate: answers.duplicate,
        };
        let mut expected = expected(requests);
        expected.accepted += forms.len() as u64;
        let leads = Leads {
            sent: forms.len() as u64,
            kept: self.leads().await? - leads_before,
        };
        Ok(Account {
            expected,
            leads,
            answers,
            books: Books::between(told, (&before, &after), (meta_before, meta_after)),
        })
    }

    async fn leads(&self) -> anyhow::Result<u64> {
        Ok(self
            .store
            .count_leads(self.dataset_id.parse()?)
            .await?
            .try_into()?)
    }

    async fn send(&self, site: &std::sync::Arc<Site>, requests: &[Request]) -> anyhow::Result<()> {
        let total: usize = requests.iter().map(|request| request.sent().count()).sum();
        let load = Load {
            targets: vec![self.gateway],
            clients: site.visitors(VISITORS),
            pace: Pace::Closed(Duration::ZERO),
            window: None,
            patience: PATIENCE,
        };
        let mut sending = std::pin::pin!(load.start().await?.outcome());
        let mut progress = Progress::default();
        loop {
            progress.show(&format!("answered {} of {total} events", site.answers().sent()));
            tokio::select! {
                outcome = &mut sending => return outcome.map(drop),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn settle(&self, what: &str, patience: Duration) -> anyhow::Result<books::Census> {
        let mut progress = Progress::default();
        let show = |pending| {
            if pending > 0 {
                progress.show(&format!("{pending} {what}"));
            }
        };
        books::settle(&self.store, Duration::ZERO, patience, show).await
    }
}
