//! `payment_notifications`: what was told to us about payments. Told again, it is the same row.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;

use crate::connection::Store;
use crate::error::{StoreError, dataset_id};
use crate::statement::Prepare;

/// What a notification is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    Payment,
    Order,
    MerchantOrder,
    Chargeback,
    Claim,
    FraudAlert,
    Other,
}

const TOPICS: [(&str, Topic); 7] = [
    ("payment", Topic::Payment),
    ("order", Topic::Order),
    ("merchant_order", Topic::MerchantOrder),
    ("chargeback", Topic::Chargeback),
    ("claim", Topic::Claim),
    ("fraud_alert", Topic::FraudAlert),
    ("other", Topic::Other),
];

impl Topic {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        let known = TOPICS.iter().find(|(_, topic)| *topic == self);
        known.map_or("other", |(word, _)| word)
    }

    /// From the word that is stored.
    fn parse(word: &str) -> Option<Self> {
        let known = TOPICS.iter().find(|(known, _)| *known == word);
        known.map(|(_, topic)| *topic)
    }
}

/// A notification as it came. Nothing of its body but ids is kept.
#[derive(Clone, Debug)]
pub struct NewNotification {
    pub dataset_id: DatasetId,
    pub account_id: i64,
    /// SHA-256 of what makes two deliveries the same.
    pub delivery_key: [u8; 32],
    /// Whether its signature is the account's. Otherwise it is only a reason to look.
    pub is_signed: bool,
    pub topic: Topic,
    pub resource_id: String,
    pub action: Option<String>,
    pub remote_request_id: Option<String>,
    /// W3C trace context of the request, if it is traced.
    pub traceparent: Option<String>,
}

/// A notification that is ours to follow until its lease ends.
#[derive(Clone, Debug)]
pub struct LeasedNotification {
    pub dataset_id: DatasetId,
    pub notification_id: i64,
    pub account_id: i64,
    pub is_signed: bool,
    pub topic: Topic,
    pub resource_id: String,
    /// This try included.
    pub attempts: i16,
    /// W3C trace context of the request that told it, if that was traced.
    pub traceparent: Option<String>,
    /// The database's time when it was taken: what is read from now on is newer than everything it tells of.
    pub leased_at: DateTime<Utc>,
    fence: i64,
}

/// What becomes of notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationEnd {
    /// What they point at was read and is in the books.
    Done,
    /// There is nothing to read.
    Ignored,
    /// It could not be read after all tries. The next sweep reads it.
    Parked,
}

impl NotificationEnd {
    fn as_str(self) -> &'static str {
        match self {
            NotificationEnd::Done => "done",
            NotificationEnd::Ignored => "ignored",
            NotificationEnd::Parked => "parked",
        }
    }
}

/// Which notifications a read answers: all about this resource that came before it.
#[derive(Clone, Debug)]
pub struct Answered {
    pub dataset_id: DatasetId,
    pub account_id: i64,
    pub topic: Topic,
    pub resource_id: String,
    pub read_after: DateTime<Utc>,
    /// Whether it was signed. Where nothing was found, one that was not says nothing of those that were.
    pub is_signed: bool,
    /// What was read may be of before what they tell of: where it changes nothing, they stay.
    pub may_be_behind: bool,
}

impl From<&LeasedNotification> for Answered {
    fn from(leased: &LeasedNotification) -> Self {
        Answered {
            dataset_id: leased.dataset_id,
            account_id: leased.account_id,
            topic: leased.topic,
            resource_id: leased.resource_id.clone(),
            read_after: leased.leased_at,
            is_signed: leased.is_signed,
            may_be_behind: false,
        }
    }
}

impl Store {
    /// Deletes notifications that ended more than so many days ago, at most `limit`; returns how many.
    pub async fn forget_notifications(&self, days: i32, limit: i64) -> Result<usize, StoreError> {
        let forgotten = sql_query(include_str!("sql/forget_notifications.sql"))
            .bind::<Integer, _>(days)
            .bind::<BigInt, _>(limit)
            .prepared()
            .execute(&mut self.connection().await?)
            .await?;
        Ok(forgotten)
    }

    /// Keeps a notification, and says whether it is new. Durable when this returns. One that was parked and
    /// is told again is followed again.
    pub async fn keep_notification(&self, new: &NewNotification) -> Result<bool, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Bool)]
            is_new: bool,
        }
        let row: Row = sql_query(include_str!("sql/keep_notification.sql"))
            .bind::<BigInt, _>(new.dataset_id.as_i64())
            .bind::<BigInt, _>(new.account_id)
            .bind::<Binary, _>(new.delivery_key.as_slice())
            .bind::<Text, _>(if new.is_signed { "webhook" } else { "hint" })
            .bind::<Text, _>(new.topic.as_str())
            .bind::<Text, _>(&new.resource_id)
            .bind::<Nullable<Text>, _>(&new.action)
            .bind::<Nullable<Text>, _>(&new.remote_request_id)
            .bind::<Nullable<Text>, _>(&new.traceparent)
            .prepared()
            .get_result(&mut self.connection().await?)
            .await?;
        Ok(row.is_new)
    }

    /// Takes due notifications of accounts that may be asked, those that were signed first, and of either the
    /// longest due. Nobody else gets them
    /// until the lease ends.
    pub async fn lease_notifications(
        &self,
        limit: i64,
        lease_seconds: i64,
    ) -> Result<Vec<LeasedNotification>, StoreError> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            dataset_id: i64,
            #[diesel(sql_type = BigInt)]
            notification_id: i64,
            #[diesel(sql_type = BigInt)]
            account_id: i64,
            #[diesel(sql_type = Text)]
            source: String,
            #[diesel(sql_type = Text)]
            topic: String,
            #[diesel(sql_type = Text)]
            resource_id: String,
            #[diesel(sql_type = SmallInt)]
            attempts: i16,
            #[diesel(sql_type = BigInt)]
            fence: i64,
            #[diesel(sql_type = Nullable<Text>)]
            traceparent: Option<String>,
            #[diesel(sql_type = Timestamptz)]
            leased_at: DateTime<Utc>,
        }
        let rows: Vec<Row> = sql_query(include_str!("sql/lease_notifications.sql"))
            .bind::<BigInt, _>(limit)
            .bind::<BigInt, _>(lease_seconds)
            .prepared()
            .load(&mut self.connection().await?)
            .await?;
        let leased = |row: Row| {
            Ok(LeasedNotification {
                dataset_id: dataset_id(row.dataset_id)?,
                notification_id: row.notification_id,
                account_id: row.account_id,
                is_signed: row.source == "webhook",
                // A topic of a newer program is none that this one can follow.
                topic: Topic::parse(&row.topic).unwrap_or(Topic::Other),
                resource_id: row.resource_id,
                attempts: row.attempts,
                traceparent: row.traceparent,
                leased_at: row.leased_at,
                fence: row.fence,
            })
        };
        rows.into_iter().map(leased).collect()
    }

    /// Ends all notifications that a read answers; returns how many.
    pub async fn end_notifications(
        &self,
        answered: &Answered,
        end: NotificationEnd,
        outcome: &str,
    ) -> Result<usize, StoreError> {
        end_notifications(&*self.connection().await?, answered, end, outcome).await
    }

    /// Follows this notification again after a while, if it is still ours.
    pub async fn delay_notification(
        &self,
        leased: &LeasedNotification,
        seconds: i64,
        outcome: &str,
    ) -> Result<(), StoreError> {
        sql_query(include_str!("sql/delay_notification.sql"))
            .bind::<BigInt, _>(leased.dataset_id.as_i64())
            .bind::<BigInt, _>(leased.notification_id)
            .bind::<BigInt, _>(leased.fence)
            .bind::<BigInt, _>(seconds)
            .bind::<Text, _>(outcome)
            .prepared()
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
    }
}

pub(crate) async fn end_notifications(
    mut connection: &AsyncPgConnection,
    answered: &Answered,
    end: NotificationEnd,
    outcome: &str,
) -> Result<usize, StoreError> {
    let ended = sql_query(include_str!("sql/end_notifications.sql"))
        .bind::<BigInt, _>(answered.dataset_id.as_i64())
        .bind::<BigInt, _>(answered.account_id)
        .bind::<Text, _>(answered.topic.as_str())
        .bind::<Text, _>(&answered.resource_id)
        .bind::<Timestamptz, _>(answered.read_after)
        .bind::<Text, _>(end.as_str())
        .bind::<Text, _>(outcome)
        .bind::<Bool, _>(answered.is_signed || end == NotificationEnd::Done)
        .prepared()
        .execute(&mut connection)
        .await?;
    Ok(ended)
}
