//! `payment_accounts`: whose money we read, and with which secrets.

use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text};
use diesel::{OptionalExtension, QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use rastro_core::dataset::{Currency, DatasetId};
use rastro_core::payment::{ConversionValue, Margin};
use secrecy::{ExposeSecret, SecretString};

use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::statement::Prepare;

/// What is done with notifications that nobody can sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsigned {
    #[default]
    Ignore,
    /// The payment is looked up, as a sweep would.
    Hint,
}

impl Unsigned {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Unsigned::Ignore => "ignore",
            Unsigned::Hint => "hint",
        }
    }

    /// From the word that is stored.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "ignore" => Some(Unsigned::Ignore),
            "hint" => Some(Unsigned::Hint),
            _ => None,
        }
    }
}

/// A seller's account at Mercado Pago, with what opens it.
#[derive(Clone, Debug)]
pub struct PaymentAccount {
    pub dataset_id: DatasetId,
    /// Mercado Pago's number of the user who is paid.
    pub account_id: i64,
    pub label: String,
    pub access_token: SecretString,
    /// Any of them may have signed a webhook.
    pub webhook_secrets: Vec<SecretString>,
    pub unsigned: Unsigned,
    /// Signatures older than this are refused; `None`: none is for its age.
    pub signature_max_age_seconds: Option<i32>,
    /// Payments of the other mode are no money.
    pub live_mode: bool,
    pub currency: Currency,
    pub conversion_value: ConversionValue,
    /// Nothing was asked of it lately: its token was refused.
    pub was_blocked: bool,
}

/// What the token is sealed for: moved to another account, it does not open.
fn token_of(dataset: DatasetId, account_id: i64) -> String {
    format!("access token of payment account {account_id} of dataset {dataset}")
}

fn secret_of(dataset: DatasetId, account_id: i64) -> String {
    format!("webhook secret of payment account {account_id} of dataset {dataset}")
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    dataset_id: i64,
    #[diesel(sql_type = BigInt)]
    account_id: i64,
    #[diesel(sql_type = Text)]
    label: String,
    #[diesel(sql_type = Binary)]
    access_token_sealed: Vec<u8>,
    #[diesel(sql_type = Array<Binary>)]
    webhook_secrets_sealed: Vec<Vec<u8>>,
    #[diesel(sql_type = Text)]
    unsigned: String,
    #[diesel(sql_type = Nullable<Integer>)]
    signature_max_age_seconds: Option<i32>,
    #[diesel(sql_type = Bool)]
    live_mode: bool,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = Text)]
    conversion_value: String,
    #[diesel(sql_type = Nullable<Integer>)]
    margin_millionths: Option<i32>,
    #[diesel(sql_type = Bool)]
    was_blocked: bool,
}

const COLUMNS: &str = "dataset_id, account_id, label, access_token_sealed, webhook_secrets_sealed, unsigned, \
     signature_max_age_seconds, live_mode, currency, conversion_value, margin_millionths, blocked_reason IS NOT NULL AS was_blocked";

impl Store {
    /// Creates the account, and says whether it did: one that exists stays as it is.
    ///
    /// # Errors
    /// Also when the account pays into another dataset already.
    pub async fn create_payment_account(&self, account: &PaymentAccount) -> Result<bool, StoreError> {
        let stored = self.payment_account(account.account_id).await?;
        match stored {
            Some(stored) if stored.dataset_id == account.dataset_id => Ok(false),
            _ => self.put_payment_account(account).await.map(|()| true),
        }
    }

    /// Creates the account or brings it to these settings and secrets. What blocked it is forgotten.
    ///
    /// # Errors
    /// Also when the account pays into another dataset already.
    pub async fn put_payment_account(&self, account: &PaymentAccount) -> Result<(), StoreError> {
        let (token, secrets) = self.sealed(account);
        sql_query(include_str!("sql/put_payment_account.sql"))
            .bind::<BigInt, _>(account.dataset_id.as_i64())
            .bind::<BigInt, _>(account.account_id)
            .bind::<Text, _>(&account.label)
            .bind::<Binary, _>(token)
            .bind::<Array<Binary>, _>(secrets)
            .bind::<Text, _>(account.unsigned.as_str())
            .bind::<Nullable<Integer>, _>(account.signature_max_age_seconds)
            .bind::<Bool, _>(account.live_mode)
            .bind::<Text, _>(account.currency.as_str())
            .bind::<Text, _>(account.conversion_value.as_str())
            .bind::<Nullable<BigInt>, _>(account.conversion_value.margin().map(Margin::millionths))
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
    }

    /// The account of this number, whichever dataset it pays into. `None`: we do not know it.
    pub async fn payment_account(&self, account_id: i64) -> Result<Option<PaymentAccount>, StoreError> {
        let row: Option<Row> = sql_query(format!(
            "SELECT {COLUMNS} FROM payment_accounts WHERE account_id = $1"
        ))
        .bind::<BigInt, _>(account_id)
        .get_result(&mut self.connection().await?)
        .await
        .optional()?;
        row.map(|row| self.account(row)).transpose()
    }

    /// All accounts there are by their number, blocked ones and those of retired datasets too. One that
    /// cannot be read, as it was sealed with a key that is gone, hides no other.
    pub async fn payment_accounts(
        &self,
    ) -> Result<Vec<(i64, Result<PaymentAccount, StoreError>)>, StoreError> {
        let rows: Vec<Row> = sql_query(format!(
            "SELECT {COLUMNS} FROM payment_accounts ORDER BY dataset_id, account_id"
        ))
        .load(&mut self.connection().await?)
        .await?;
        let accounts = rows.into_iter().map(|row| (row.account_id, self.account(row)));
        Ok(accounts.collect())
    }

    /// All accounts that may be asked now: those that are not blocked, or whose time to try again has come.
    /// None of a retired dataset: its payments would become events. One that cannot be read keeps no other
    /// back, and is told in the log.
    pub async fn open_payment_accounts(&self) -> Result<Vec<PaymentAccount>, StoreError> {
        let rows: Vec<Row> = sql_query(format!(
            "SELECT {COLUMNS} FROM payment_accounts AS a WHERE (retry_at IS NULL OR retry_at <= rastro_now())
                 AND EXISTS (SELECT FROM datasets AS d WHERE d.dataset_id = a.dataset_id AND d.retired_at IS NULL)
             ORDER BY dataset_id, account_id"
        ))
        .load(&mut self.connection().await?)
        .await?;
        let mut accounts = Vec::with_capacity(rows.len());
        for row in rows {
            let account_id = row.account_id;
            match self.account(row) {
                Ok(account) => accounts.push(account),
                Err(error) => tracing::error!(
                    "payment account {account_id} cannot be read, and none of its payments is: {error}. If its sealing key \
                     was taken away, put it back behind the first (database.sealing_keys), or enter the account anew"
                ),
            }
        }
        Ok(accounts)
    }

    /// Leaves the account alone for a while, or (without a reason) no longer. Says whether that is new.
    pub async fn block_payment_account(
        &self,
        account_id: i64,
        reason: Option<&str>,
        seconds: i64,
    ) -> Result<bool, StoreError> {
        let changed = sql_query(include_str!("sql/block_payment_account.sql"))
            .bind::<BigInt, _>(account_id)
            .bind::<Nullable<Text>, _>(reason)
            .bind::<BigInt, _>(seconds)
            .prepared()
            .load::<WasBlocked>(&mut self.connection().await?)
            .await?;
        Ok(changed.iter().any(|row| row.was_blocked != reason.is_some()))
    }

    /// Seals the secrets of every account with the first sealing key; returns how many accounts it opened,
    /// and how many no key opens. Secrets that are entered meanwhile are sealed with the first key of whoever
    /// enters them.
    pub(crate) async fn reseal_payment_accounts(&self) -> Result<(usize, usize), StoreError> {
        let rows: Vec<Row> = sql_query(format!("SELECT {COLUMNS} FROM payment_accounts"))
            .load(&mut self.connection().await?)
            .await?;
        let (mut resealed, mut unopened) = (0, 0);
        for row in rows {
            let read = (
                row.access_token_sealed.clone(),
                row.webhook_secrets_sealed.clone(),
            );
            match self.account(row) {
                Ok(account) => {
                    let (token, secrets) = self.sealed(&account);
                    sql_query(include_str!("sql/reseal_payment_account.sql"))
                        .bind::<BigInt, _>(account.dataset_id.as_i64())
                        .bind::<BigInt, _>(account.account_id)
                        .bind::<Binary, _>(token)
                        .bind::<Array<Binary>, _>(secrets)
                        .bind::<Binary, _>(read.0)
                        .bind::<Array<Binary>, _>(read.1)
                        .execute(&mut self.connection().await?)
                        .await?;
                    resealed += 1;
                }
                Err(StoreError::Sealed { .. }) => unopened += 1,
                Err(error) => return Err(error),
            }
        }
        Ok((resealed, unopened))
    }

    /// An account's token and the secrets of its webhooks, sealed with the first key.
    fn sealed(&self, account: &PaymentAccount) -> (Vec<u8>, Vec<Vec<u8>>) {
        let (dataset, id) = (account.dataset_id, account.account_id);
        let token = self
            .sealer
            .seal(account.access_token.expose_secret(), &token_of(dataset, id));
        let seal = |secret: &SecretString| self.sealer.seal(secret.expose_secret(), &secret_of(dataset, id));
        (token, account.webhook_secrets.iter().map(seal).collect())
    }

    fn account(&self, row: Row) -> Result<PaymentAccount, StoreError> {
        let dataset_id = dataset_id(row.dataset_id)?;
        let sealed = || StoreError::Sealed {
            dataset_id: row.dataset_id,
        };
        let open = |sealed_secret: &Vec<u8>, bound_to: &str| {
            self.sealer.open(sealed_secret, bound_to).ok_or_else(sealed)
        };
        let secret_of = secret_of(dataset_id, row.account_id);
        let secrets = row.webhook_secrets_sealed.iter();
        Ok(PaymentAccount {
            dataset_id,
            account_id: row.account_id,
            label: row.label,
            access_token: open(&row.access_token_sealed, &token_of(dataset_id, row.account_id))?,
            webhook_secrets: secrets
                .map(|secret| open(secret, &secret_of))
                .collect::<Result<_, _>>()?,
            unsigned: Unsigned::parse(&row.unsigned).ok_or(StoreError::Invalid { what: "unsigned" })?,
            signature_max_age_seconds: row.signature_max_age_seconds,
            live_mode: row.live_mode,
            was_blocked: row.was_blocked,
            currency: Currency::parse(&row.currency).ok_or(StoreError::Invalid { what: "currency" })?,
            conversion_value: ConversionValue::parse(
                &row.conversion_value,
                row.margin_millionths
                    .and_then(|millionths| Margin::from_millionths(millionths.into())),
            )
            .ok_or(StoreError::Invalid {
                what: "conversion_value",
            })?,
        })
    }
}

#[derive(QueryableByName)]
struct WasBlocked {
    #[diesel(sql_type = Bool)]
    was_blocked: bool,
}
