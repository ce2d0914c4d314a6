//! What people may do to datasets and keys, the same over the admin API and by the commands. Each change is
//! logged with who made it.

use rastro_core::dataset::DatasetId;
use rastro_graph_api::GraphApi;
use rastro_service::clock::Clock;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{Dataset, DatasetChange, DatasetSettings, KeyRefused, Store, StoreError, TokenCheck};
use secrecy::{ExposeSecret, SecretString};
use tracing::{info, warn};

use crate::problem::Problem;
use crate::seed;
use crate::wire::admin::{
    DatasetList, DatasetReceipt, DatasetView, KeyList, KeyReceipt, KeyView, LogPage, LogQuery, TokenReport,
    access_token, change, dataset_id, key_order,
};
use crate::wire::fields::Fields;

/// The office in which datasets and keys are kept.
#[derive(Clone)]
pub(crate) struct Administration {
    pub(crate) store: Store,
    pub(crate) graph_api: GraphApi,
    pub(crate) clock: Clock,
}

impl Administration {
    pub(crate) async fn datasets(&self) -> Result<DatasetList, Problem> {
        let datasets = self.store.datasets().await.map_err(unavailable)?;
        Ok(DatasetList {
            datasets: datasets.into_iter().map(DatasetView::from).collect(),
        })
    }

    pub(crate) async fn dataset(&self, id: DatasetId) -> Result<DatasetView, Problem> {
        known(self.store.dataset(id).await)
    }

    /// Creates a dataset from a body: its id, its access token and settings. Without a name it is called as
    /// Meta calls it.
    pub(crate) async fn create_dataset(&self, body: &[u8], who: &str) -> Result<DatasetReceipt, Problem> {
        let mut fields = Fields::of_body(body)?;
        let names_id = fields.names("dataset_id");
        let id = dataset_id(&mut fields);
        if !names_id {
            fields.wrong(
                "dataset_id",
                "is required: Meta's number of the dataset (pixel), as text",
            );
        }
        let token = access_token(&mut fields);
        let change = self.settings(&mut fields).await?;
        // Meta is not asked about what is refused anyway.
        let (Some(id), Some(token), true) = (id, token, !fields.is_wrong()) else {
            fields.finish()?;
            return Err(Problem::try_again("nothing was created; ask again"));
        };
        fields.finish()?;
        if self.store.dataset(id).await.map_err(unavailable)?.is_some() {
            return Err(Problem::dataset_exists());
        }
        let (check, report) = self.check(id, &token).await?;
        let mut settings = change.apply(&DatasetSettings::default());
        if settings.name.is_empty() {
            settings.name = check
                .meta_name
                .clone()
                .filter(|name| !name.is_empty())
                .unwrap_or(id.to_string());
        }
        let dataset = Dataset {
            id,
            settings,
            access_token: token,
        };
        let created = self
            .store
            .add_dataset(&dataset, &check, who)
            .await
            .map_err(unavailable)?;
        let created = created.ok_or_else(Problem::dataset_exists)?;
        info!(dataset_id = %id, "{who} created dataset {id}");
        Ok(DatasetReceipt {
            dataset: created.into(),
            token: report,
        })
    }

    /// Changes the settings that a body names; null takes one away.
    pub(crate) async fn change_dataset(
        &self,
        id: DatasetId,
        body: &[u8],
        who: &str,
    ) -> Result<DatasetView, Problem> {
        let mut fields = Fields::of_body(body)?;
        let change = self.settings(&mut fields).await?;
        fields.finish()?;
        let changed = known(self.store.change_dataset(id, &change, who).await)?;
        info!(dataset_id = %id, "{who} changed dataset {id}");
        Ok(changed)
    }

    async fn settings(&self, fields: &mut Fields<'_>) -> Result<DatasetChange, Problem> {
        let change = change(fields, self.clock.now());
        if let Some(zone) = &change.time_zone
            && !self.store.knows_time_zone(zone).await.map_err(unavailable)?
        {
            fields.wrong(
                "time_zone",
                "is no known time zone, such as \"America/Sao_Paulo\"",
            );
        }
        Ok(change)
    }

    /// Enters another access token, checked against Meta at once.
    pub(crate) async fn enter_token(
        &self,
        id: DatasetId,
        body: &[u8],
        who: &str,
    ) -> Result<DatasetReceipt, Problem> {
        let mut fields = Fields::of_body(body)?;
        let token = access_token(&mut fields);
        fields.finish()?;
        let token = token.ok_or_else(|| Problem::try_again("nothing was changed; ask again"))?;
        known(self.store.dataset(id).await)?;
        let (check, report) = self.check(id, &token).await?;
        let dataset = known(self.store.enter_token(id, &token, &check, who).await)?;
        info!(dataset_id = %id, "{who} entered another access token for dataset {id}");
        if let Err(error) = seed::probe_if_blocked(&self.store, id).await {
            warn!(dataset_id = %id, "with its new token dataset {id} waits for the next probe: {}", ErrorChain(&error));
        }
        Ok(DatasetReceipt {
            dataset,
            token: report,
        })
    }

    /// Asks Meta about a token. One that Meta does not accept at all is refused; one that Meta could not be
    /// asked about, or that may not read (a token for sending only), is taken.
    async fn check(&self, id: DatasetId, token: &SecretString) -> Result<(TokenCheck, TokenReport), Problem> {
        let report = match self.graph_api.dataset_name(id, token).await {
            Ok(name) => TokenReport {
                result: "confirmed",
                meta_name: Some(name),
                message: None,
            },
            Err(failure) => {
                // Should Meta ever quote it.
                let message = failure.message.replace(token.expose_secret(), "[the token]");
                if failure.is_about_the_token() {
                    return Err(Problem::token_refused(&message));
                }
                TokenReport {
                    result: if failure.error.is_some() {
                        "not_readable"
                    } else {
                        "unreachable"
                    },
                    meta_name: None,
                    message: Some(message),
                }
            }
        };
        let check = TokenCheck {
            meta_name: report.meta_name.clone(),
        };
        Ok((check, report))
    }

    pub(crate) async fn retire_dataset(&self, id: DatasetId, who: &str) -> Result<DatasetView, Problem> {
        let retired = known(self.store.retire_dataset(id, who).await)?;
        info!(dataset_id = %id, "{who} retired dataset {id}");
        Ok(retired)
    }

    pub(crate) async fn restore_dataset(&self, id: DatasetId, who: &str) -> Result<DatasetView, Problem> {
        let restored = known(self.store.restore_dataset(id, who).await)?;
        info!(dataset_id = %id, "{who} restored dataset {id}");
        Ok(restored)
    }

    /// The keys of the dataset that a query names, or all.
    pub(crate) async fn keys(&self, query: &str) -> Result<KeyList, Problem> {
        let mut fields = Fields::of_query(query);
        let dataset = dataset_id(&mut fields);
        fields.finish()?;
        let keys = self.store.api_keys(dataset).await.map_err(unavailable)?;
        Ok(KeyList {
            keys: keys.into_iter().map(KeyView::from).collect(),
        })
    }

    /// Makes a key from a body, and shows it this once.
    pub(crate) async fn create_key(&self, body: &[u8], who: &str) -> Result<KeyReceipt, Problem> {
        let mut fields = Fields::of_body(body)?;
        let Some(order) = key_order(&mut fields) else {
            fields.finish()?;
            return Err(Problem::try_again("no key was made; ask again"));
        };
        let made = match fields.is_wrong() {
            true => None,
            false => Some(self.store.issue_api_key(&order, who).await.map_err(unavailable)?),
        };
        if let Some(Err(refused)) = &made {
            let name = match refused {
                KeyRefused::SendsNothing => "event_names",
                _ => "dataset_id",
            };
            fields.wrong(name, &refused.to_string());
        }
        fields.finish()?;
        let Some(Ok((key, secret))) = made else {
            return Err(Problem::try_again("no key was made; ask again"));
        };
        info!("{who} made the {key}");
        Ok(KeyReceipt {
            key: key.into(),
            api_key: secret.expose_secret().to_owned(),
        })
    }

    pub(crate) async fn revoke_key(&self, key_id: i64, who: &str) -> Result<KeyView, Problem> {
        let revoked = self
            .store
            .revoke_api_key(key_id, who)
            .await
            .map_err(unavailable)?;
        let revoked = revoked.ok_or_else(Problem::unknown_key)?;
        info!("{who} revoked the {revoked}");
        Ok(revoked.into())
    }

    pub(crate) async fn log(&self, query: &str) -> Result<LogPage, Problem> {
        let query = LogQuery::parse(query)?;
        let entries = self
            .store
            .admin_log(query.dataset_id, query.before, query.limit)
            .await;
        Ok(LogPage::new(entries.map_err(unavailable)?, query.limit))
    }
}

fn known(dataset: Result<Option<rastro_store::KnownDataset>, StoreError>) -> Result<DatasetView, Problem> {
    let dataset = dataset
        .map_err(unavailable)?
        .ok_or_else(Problem::unknown_dataset)?;
    Ok(dataset.into())
}

pub(crate) fn unavailable(error: StoreError) -> Problem {
    warn!("an order about datasets or keys failed: {}", ErrorChain(&error));
    Problem::try_again("the database did not do it just now; asking again is safe")
}
