//! What the leads of each campaign became, kept in memory and read again every few seconds: a lead's
//! predicted value costs no query, and a database that is away costs no lead its value.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rastro_core::dataset::{Currency, DatasetId};
use rastro_core::lead_value::{CampaignSales, LeadValue, Worth, campaign_of, dated_origin};
use rastro_core::touchpoint::Touchpoint;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::ErrorChain;
use rastro_store::{DatasetSettings, Store, StoreError};
use tracing::warn;

/// By dataset, channel and campaign.
type Known = HashMap<(i64, String, String), (Currency, CampaignSales)>;

/// Clones share what is known.
#[derive(Clone)]
pub(crate) struct LeadValues {
    store: Store,
    known: Arc<RwLock<Known>>,
}

impl LeadValues {
    pub(crate) fn new(store: Store) -> Self {
        LeadValues {
            store,
            known: Arc::default(),
        }
    }

    /// Reads them again every so often, until shutdown.
    pub(crate) async fn keep_fresh(self, every: Duration, shutdown: Shutdown) {
        let mut is_failing = false;
        loop {
            match self.read().await {
                Ok(()) => is_failing = false,
                Err(error) if !std::mem::replace(&mut is_failing, true) => warn!(
                    "what leads are worth could not be read, what is known stays: {}",
                    ErrorChain(&error)
                ),
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = shutdown.requested() => return,
            }
        }
    }

    async fn read(&self) -> Result<(), StoreError> {
        let values = self.store.lead_values().await?;
        let read: Known = values
            .into_iter()
            .map(|value| {
                let campaign = (value.dataset_id.as_i64(), value.channel, value.campaign_key);
                (campaign, (value.currency, value.sales))
            })
            .collect();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    /// What a lead is likely worth that comes now by these touches. `None`: the dataset wants none, no
    /// campaign is known to have brought it, or too little is known of that campaign.
    pub(crate) fn of(
        &self,
        dataset: DatasetId,
        settings: &DatasetSettings,
        touches: &[Touchpoint],
        now_ms: i64,
    ) -> Option<Worth> {
        if settings.lead_value != LeadValue::Predicted {
            return None;
        }
        let origin = campaign_of(touches.iter().map(dated_origin), now_ms)?;
        let campaign = (dataset.as_i64(), origin.channel, origin.campaign_key);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (currency, sales) = known.get(&campaign)?;
        Some(Worth {
            minor: sales.predicted_minor(settings.lead_value_minimum_orders)?,
            currency: *currency,
        })
    }
}
