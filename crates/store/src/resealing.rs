//! A change of the sealing key: everything sealed moves to the first key, so that the others can be
//! forgotten.

use diesel::sql_types::{Array, BigInt, Binary, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use secrecy::ExposeSecret;

use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::leads::contact_of;
use crate::statement::Prepare;

/// Leads read and sealed anew in one statement.
const LEADS_AT_ONCE: i64 = 500;
/// A pass after which a lead is still sealed with another key is followed by the next. Of a service that goes
/// on sealing with the old key there would be no end.
const MOST_PASSES: usize = 5;

/// What is sealed with the first key now, and was opened for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    pub access_tokens: usize,
    pub payment_accounts: usize,
    /// Those that another key had sealed.
    pub leads: usize,
}

#[derive(QueryableByName)]
struct SealedLead {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = BigInt)]
    lead_id: i64,
    #[diesel(sql_type = Text)]
    event_id: String,
    #[diesel(sql_type = Binary)]
    contact: Vec<u8>,
}

impl SealedLead {
    /// What its contact is sealed for.
    fn bound_to(&self) -> Result<String, StoreError> {
        Ok(contact_of(dataset_id(self.dataset_id)?, &self.event_id))
    }
}

/// What one pass over the leads came upon.
#[derive(Default)]
struct Pass {
    of_other_keys: usize,
    resealed: usize,
    unopened: usize,
}

impl Store {
    /// Seals access tokens, the secrets of payment accounts and the contacts of leads with the first sealing
    /// key. What broke off is done by doing it again.
    ///
    /// # Errors
    /// [`StoreError::Unopened`] when all else was sealed and something opens with none of the keys: the one
    /// that sealed it is still needed. [`StoreError::SealedMeanwhile`] when leads with another key came in
    /// all the while.
    pub async fn reseal(&self) -> Result<Resealed, StoreError> {
        let (access_tokens, unopened_tokens) = self.reseal_access_tokens().await?;
        let (payment_accounts, unopened_accounts) = self.reseal_payment_accounts().await?;
        let (leads, unopened_leads) = self.reseal_leads().await?;
        if unopened_tokens + unopened_accounts + unopened_leads > 0 {
            return Err(StoreError::Unopened {
                tokens: unopened_tokens,
                accounts: unopened_accounts,
                leads: unopened_leads,
            });
        }
        Ok(Resealed {
            access_tokens,
            payment_accounts,
            leads,
        })
    }

    /// How many leads were sealed anew, and how many open with no key.
    async fn reseal_leads(&self) -> Result<(usize, usize), StoreError> {
        let mut resealed = 0;
        for _ in 0..MOST_PASSES {
            let pass = self.pass_over_leads().await?;
            resealed += pass.resealed;
            if pass.of_other_keys == 0 {
                return Ok((resealed, pass.unopened));
            }
        }
        Err(StoreError::SealedMeanwhile)
    }

    /// All leads in the order of their keys, in bounded steps. Erased ones have no contact.
    async fn pass_over_leads(&self) -> Result<Pass, StoreError> {
        let mut pass = Pass::default();
        let mut after = (0, 0);
        loop {
            let leads: Vec<SealedLead> = sql_query(
                "SELECT dataset_id, lead_id, event_id, contact FROM leads
                 WHERE (dataset_id, lead_id) > ($1, $2) AND contact <> '' ORDER BY dataset_id, lead_id LIMIT $3",
            )
            .bind::<BigInt, _>(after.0)
            .bind::<BigInt, _>(after.1)
            .bind::<BigInt, _>(LEADS_AT_ONCE)
            .prepared()
            .load(&mut self.connection().await?)
            .await?;
            let Some(last) = leads.last() else {
                return Ok(pass);
            };
            after = (last.dataset_id, last.lead_id);
            self.reseal_some(&leads, &mut pass).await?;
        }
    }

    async fn reseal_some(&self, leads: &[SealedLead], pass: &mut Pass) -> Result<(), StoreError> {
        let (mut of_other_keys, mut anew) = (Vec::new(), Vec::new());
        for lead in leads {
            let bound_to = lead.bound_to()?;
            if self.sealer.is_of_first_key(&lead.contact, &bound_to) {
                continue;
            }
            match self.sealer.open(&lead.contact, &bound_to) {
                Some(contact) => {
                    anew.push(self.sealer.seal(contact.expose_secret(), &bound_to));
                    of_other_keys.push(lead);
                }
                None => pass.unopened += 1,
            }
        }
        if of_other_keys.is_empty() {
            return Ok(());
        }
        pass.of_other_keys += of_other_keys.len();
        let column = |value: fn(&SealedLead) -> i64| -> Vec<i64> {
            of_other_keys.iter().map(|lead| value(lead)).collect()
        };
        let was: Vec<&[u8]> = of_other_keys.iter().map(|lead| lead.contact.as_slice()).collect();
        pass.resealed += sql_query(include_str!("sql/reseal_leads.sql"))
            .bind::<Array<BigInt>, _>(column(|lead| lead.dataset_id))
            .bind::<Array<BigInt>, _>(column(|lead| lead.lead_id))
            .bind::<Array<Binary>, _>(was)
            .bind::<Array<Binary>, _>(anew)
            .prepared()
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
    }

    /// Whether the sealing keys open leads: an error if there are some and none of a few opens. All of them
    /// would have to be read to know of each.
    pub(crate) async fn check_keys_of_leads(&self) -> Result<(), StoreError> {
        let leads: Vec<SealedLead> = sql_query(include_str!("sql/oldest_and_newest_leads.sql"))
            .load(&mut self.connection().await?)
            .await?;
        let mut unopened = Vec::new();
        for lead in &leads {
            if self.sealer.open(&lead.contact, &lead.bound_to()?).is_none() {
                unopened.push(lead.lead_id);
            }
        }
        if !leads.is_empty() && unopened.len() == leads.len() {
            return Err(StoreError::SealingKeyOfLeads);
        }
        if !unopened.is_empty() {
            tracing::error!(
                "the configured sealing keys do not open every lead, such as {unopened:?}: the key that sealed them was \
                 taken away before `ingest-gateway reseal`; put it back behind the first (database.sealing_keys)"
            );
        }
        Ok(())
    }
}
