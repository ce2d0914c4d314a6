//! Custom conversions and audiences at Meta, brought to what the configuration declares: first a plan, then
//! what the plan says.
//!
//! What is declared is found at Meta by its mark (`description` is `Rastro: <name>`) or, made by hand, by its
//! name: an answer that was lost does not make a second one. Meta lets rules, event types and seeds not be
//! changed; where they differ it is said, and another object takes the name only by order. Nothing is deleted
//! without an order, and then only what bears the mark. Source: Meta, "Custom Conversions", "Audience Rules",
//! "Lookalike Audiences".

mod compare;
mod config;
mod declared;
mod report;
mod words;

use std::time::Duration;

use anyhow::bail;
use rastro_core::dataset::DatasetId;
use rastro_graph_api::{AccountEdge, AccountObject, AdAccount, Failure, FailureClass, GraphApi};
use secrecy::SecretString;
use serde_json::{Value, json};

pub use compare::{Action, Difference, Item};
pub use config::SyncConfig;
pub use declared::{Declared, Kind};
pub use report::Report;

const THROTTLE_WAIT: Duration = Duration::from_secs(300);
/// How often one question is asked again.
const RETRIES: u32 = 5;
/// 20 objects each; more is a loop.
const MOST_PAGES: u32 = 1_000;

/// Whose objects, and how they are reached.
#[derive(Clone)]
pub struct Sync {
    pub graph_api: GraphApi,
    pub account: AdAccount,
    pub dataset: DatasetId,
    /// Of a system user with `ads_management`.
    pub access_token: SecretString,
    pub declared: Vec<Declared>,
    /// Before a question is asked again.
    pub poll: Duration,
}

/// What may be done beside making what is missing and changing what Meta lets be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// What differs in what cannot be changed is renamed, and made anew under its name.
    pub replace: bool,
    /// Audiences that bear the mark and are declared no more are deleted.
    pub delete: bool,
}

/// All that there is at Meta, of both kinds.
pub(crate) struct Remote {
    pub(crate) conversions: Vec<AccountObject>,
    pub(crate) audiences: Vec<AccountObject>,
}

impl Remote {
    pub(crate) fn of(&self, kind: Kind) -> &[AccountObject] {
        match kind {
            Kind::Conversion => &self.conversions,
            Kind::Audience | Kind::Lookalike => &self.audiences,
        }
    }
}

impl Sync {
    /// What would be done. Changes nothing.
    ///
    /// # Errors
    /// When Meta does not tell what there is: why, in words.
    pub async fn plan(&self, orders: Orders) -> anyhow::Result<Report> {
        let remote = self.remote().await?;
        let items = compare::plan(&self.declared, &remote, self.dataset, orders);
        Ok(Report::planned(self.account.to_string(), items))
    }

    /// Does what the plan says, and says what became of each. What fails stops nothing else, unless
    /// everything would.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn apply(&self, orders: Orders) -> anyhow::Result<Report> {
        let mut remote = self.remote().await?;
        let items = compare::plan(&self.declared, &remote, self.dataset, orders);
        let mut report = Report::applied(self.account.to_string());
        for item in items {
            let done = self.carry_out(&item, &mut remote).await;
            report.note(item, done);
        }
        Ok(report)
    }

    /// Does one thing. `Err`: why it is not known to be done, in words.
    async fn carry_out(&self, item: &Item, remote: &mut Remote) -> Result<(), String> {
        match &item.action {
            Action::InPlace { .. }
            | Action::Differs { .. }
            | Action::Ambiguous { .. }
            | Action::Undeclared { .. } => Ok(()),
            Action::Create => self.create(item, remote).await,
            Action::Change { id, differences } => {
                let changed: serde_json::Map<String, Value> = differences
                    .iter()
                    .flat_map(|difference| difference.parameters.clone())
                    .collect();
                self.update(id, &Value::Object(changed)).await
            }
            Action::Replace { id, .. } => {
                let aside = json!({
                    "name": format!("{} (replaced, {id})", item.name),
                    "description": declared::replaced_mark(&item.name),
                });
                self.update(id, &aside).await?;
                self.create(item, remote).await
            }
            Action::Delete { id } => {
                let deleted = self
                    .ask(|| self.graph_api.delete_object(id, &self.access_token))
                    .await;
                deleted.map_err(|failure| words::of(&failure, item.kind))
            }
        }
    }

    async fn update(&self, id: &str, parameters: &Value) -> Result<(), String> {
        // The same again does no harm.
        let updated = self
            .ask(|| self.graph_api.update_object(id, parameters, &self.access_token))
            .await;
        updated.map_err(|failure| words::of(&failure, Kind::Conversion))
    }

    /// Makes what an item declares. An answer that was lost is looked for: asked a second time, Meta would
    /// make a second one.
    async fn create(&self, item: &Item, remote: &mut Remote) -> Result<(), String> {
        let declared = self
            .declared
            .iter()
            .find(|declared| declared.is(item.kind, &item.name));
        let declared = declared.ok_or_else(|| "is not declared".to_owned())?;
        let parameters = declared.parameters(self.dataset, remote)?;
        let (edge, token) = (item.kind.edge(), &self.access_token);
        let mut tries = 0;
        let failure = loop {
            let made = self
                .graph_api
                .create_object(&self.account, edge, &parameters, token)
                .await;
            match made {
                Ok(id) => {
                    remote_of(remote, edge).push(as_made(id, &parameters));
                    return Ok(());
                }
                // Refused before anything was done.
                Err(failure) if failure.class == FailureClass::Throttled && tries < RETRIES => {
                    tries += 1;
                    tokio::time::sleep(failure.wait.unwrap_or(THROTTLE_WAIT)).await;
                }
                Err(failure) => break failure,
            }
        };
        if matches!(
            failure.class,
            FailureClass::Refused | FailureClass::Blocked | FailureClass::Throttled
        ) {
            return Err(words::of(&failure, item.kind));
        }
        let there = self
            .objects(edge)
            .await
            .map_err(|failure| words::of(&failure, item.kind))?;
        *remote_of(remote, edge) = there;
        match compare::found(declared, remote).as_slice() {
            [] => Err(format!(
                "Meta did not say whether it was made, and does not show it: run it again ({})",
                failure.message
            )),
            _ => Ok(()),
        }
    }

    async fn remote(&self) -> anyhow::Result<Remote> {
        let both = async {
            Ok::<_, Failure>(Remote {
                conversions: self.objects(AccountEdge::CustomConversions).await?,
                audiences: self.objects(AccountEdge::CustomAudiences).await?,
            })
        };
        match both.await {
            Ok(remote) => Ok(remote),
            Err(failure) => bail!(words::of(&failure, Kind::Conversion)),
        }
    }

    async fn objects(&self, edge: AccountEdge) -> Result<Vec<AccountObject>, Failure> {
        let (mut objects, mut after): (Vec<AccountObject>, Option<String>) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let token = &self.access_token;
            let page = self
                .ask(|| {
                    self.graph_api
                        .account_objects(&self.account, edge, after.as_deref(), token)
                })
                .await?;
            objects.extend(page.objects);
            match page.after {
                Some(next) if Some(&next) != after.as_ref() => after = Some(next),
                _ => return Ok(objects),
            }
        }
        // What was not seen could be made a second time.
        Err(Failure {
            class: FailureClass::Refused,
            message: "Meta's listing does not end".to_owned(),
            wait: None,
            error: None,
        })
    }

    /// Asks until there is an answer or none will come.
    async fn ask<T, F>(&self, call: impl Fn() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut tries = 0;
        loop {
            let failure = match call().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let own = match failure.class {
                FailureClass::Transient | FailureClass::Unknown => self.poll,
                FailureClass::Throttled => THROTTLE_WAIT,
                FailureClass::Blocked | FailureClass::Refused | FailureClass::TooLarge => {
                    return Err(failure);
                }
            };
            if tries == RETRIES {
                return Err(failure);
            }
            tries += 1;
            tokio::time::sleep(failure.wait.unwrap_or(own)).await;
        }
    }
}

fn remote_of(remote: &mut Remote, edge: AccountEdge) -> &mut Vec<AccountObject> {
    match edge {
        AccountEdge::CustomConversions => &mut remote.conversions,
        AccountEdge::CustomAudiences => &mut remote.audiences,
    }
}

/// What was just made, as far as the rest of the plan needs it.
fn as_made(id: String, parameters: &Value) -> AccountObject {
    AccountObject {
        id,
        fields: parameters.as_object().cloned().unwrap_or_default(),
    }
}
