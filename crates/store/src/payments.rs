//! `payments` and `purchase_movements`: what was last read of a payment, and the books.
//!
//! [`Store::apply_payment`] is the one way in, for webhooks, sweeps and operators alike: state forward,
//! movements, the order, its Purchase, the notification that told of it and the finding that a comparison
//! makes of it are one commit.

mod conversion;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Date, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel::{OptionalExtension, QueryableByName, sql_query};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use rastro_core::payment::{Booked, Books, Movement, MovementKind, Payment, movements_due};

use crate::connection::Store;
use crate::erasures::epoch::{self, ErasureEpoch};
use crate::error::StoreError;
use crate::lookup::PersonLookups;
use crate::payment_aliases;
use crate::payment_notifications::{Answered, NotificationEnd, end_notifications};
use crate::payment_orders::{is_another_buyers, order_of};
use crate::purchases;
use crate::reconciliation::{self, Finding};
use crate::statement::Prepare;

use self::conversion::convert;
pub use self::conversion::{Conversion, ConversionDue};

/// By what we learnt of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    Webhook,
    /// A notification that nobody signed.
    Hint,
    Sweep,
    Operator,
}

impl Discovery {
    fn as_str(self) -> &'static str {
        match self {
            Discovery::Webhook => "webhook",
            Discovery::Hint => "hint",
            Discovery::Sweep => "sweep",
            Discovery::Operator => "operator",
        }
    }
}

/// The lead that paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentMatch {
    pub lead_id: i64,
    pub method: &'static str,
    /// In percent.
    pub confidence: i16,
}

/// A payment as it was read, with all that becomes of it.
#[derive(Debug)]
pub struct PaymentRead<'p> {
    pub dataset_id: DatasetId,
    pub payment: &'p Payment,
    pub books: Books,
    pub order_id: String,
    pub lead: Option<PaymentMatch>,
    pub payer: PersonLookups,
    /// When it was looked up who that is, and what else is known of the person.
    pub read_at: ErasureEpoch,
    pub discovered_by: Discovery,
    pub conversion: ConversionDue,
    /// Which notifications this answers.
    pub answered: Option<Answered>,
    /// The comparison that read it, and what it found.
    pub findings: Vec<Finding>,
}

/// What reading a payment changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// We know a later state: nothing was changed.
    pub is_stale: bool,
    pub is_new: bool,
    pub movements: Vec<Movement>,
    /// What became of its conversion, now or before.
    pub conversion: Conversion,
    /// It became a Purchase now.
    pub became_purchase: bool,
}

impl Store {
    /// Brings a payment, its movements, its order and its Purchase to what was read, in one commit. A state
    /// that is older than the stored one changes nothing; the same state again changes nothing either.
    ///
    /// # Errors
    /// [`StoreError::ReadBeforeErasure`] when the payer may have been erased since: it is to be read again.
    pub async fn apply_payment(&self, read: &PaymentRead<'_>) -> Result<Applied, StoreError> {
        let mut connection = self.connection().await?;
        let connection: &mut AsyncPgConnection = &mut connection;
        let applying = connection.transaction(async |connection| apply(connection, read).await);
        tokio::time::timeout(self.patience(), applying)
            .await
            .map_err(|_| StoreError::TimedOut)?
    }

    /// Takes from payments of which nothing was told for so many days by what their payer would be found, of
    /// at most `limit`; returns of how many. The money stays.
    pub async fn forget_payers(&self, days: i32, limit: i64) -> Result<usize, StoreError> {
        let forgotten = sql_query(include_str!("sql/forget_payers.sql"))
            .bind::<Integer, _>(days)
            .bind::<BigInt, _>(limit)
            .prepared()
            .execute(&mut self.connection().await?)
            .await?;
        Ok(forgotten)
    }
}

#[derive(QueryableByName)]
struct Known {
    #[diesel(sql_type = Text)]
    conversion: String,
    #[diesel(sql_type = Timestamptz)]
    updated_at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = BigInt)]
    refunded_minor: i64,
    #[diesel(sql_type = Bool)]
    told_by_order: bool,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    approved_at: Option<DateTime<Utc>>,
}

impl Known {
    /// Whether what was read is of before what we know. An order's clock is not its payment's: what an order
    /// told is only kept from going back.
    fn is_later_than(&self, payment: &Payment) -> bool {
        if payment.is_taken_back() {
            return false;
        }
        match self.told_by_order && !payment.told_by_order {
            true => payment.is_behind(&self.status, self.refunded_minor),
            false => self.updated_at > payment.updated_at,
        }
    }
}

/// Locks are taken in one order by everybody: that of erasures, the payment's number, the payment, then as
/// [`accept_requests`] does, then notifications.
async fn apply(connection: &AsyncPgConnection, read: &PaymentRead<'_>) -> Result<Applied, StoreError> {
    epoch::keep_out(connection).await?;
    if epoch::are_current(connection, &[Some(read.read_at)]).await? != [true] {
        return Err(StoreError::ReadBeforeErasure);
    }
    let payment = read.payment;
    payment_aliases::refuse_other_number(connection, read.dataset_id, payment).await?;
    let is_new = write(connection, include_str!("sql/insert_payment.sql"), read).await? == 1;
    let known: Option<Known> = match is_new {
        true => None,
        false => Some(lock(connection, read).await?),
    };
    let mut applied = Applied {
        is_stale: known.as_ref().is_some_and(|known| known.is_later_than(payment)),
        is_new,
        movements: Vec::new(),
        conversion: match &known {
            Some(known) => Conversion::parse(&known.conversion)?,
            None => Conversion::None,
        },
        became_purchase: false,
    };
    if !applied.is_stale {
        if !is_new {
            write(connection, include_str!("sql/update_payment.sql"), read).await?;
        }
        if read.books == Books::Counted {
            applied.movements = movements_due(payment, &booked(connection, read).await?);
            book(connection, read, &applied.movements).await?;
        }
        convert(connection, read, &mut applied).await?;
        // Whoever recorded the order first has committed by now, and its payment is there to be seen.
        let was_paid = known.as_ref().is_some_and(|known| known.approved_at.is_some());
        if applied.conversion == Conversion::Duplicate
            && !was_paid
            && is_another_buyers(connection, read.dataset_id, payment, &read.order_id, &read.payer).await?
        {
            return Err(StoreError::AnotherBuyers);
        }
        if (payment.status == "refunded" || payment.is_taken_back()) && !applied.movements.is_empty() {
            purchases::refund_emptied(connection, read.dataset_id, &read.order_id).await?;
        }
    }
    if let Some(answered) = &read.answered {
        let outcome = match (applied.is_stale, read.books) {
            (true, _) => "stale",
            (_, Books::Counted) => "applied",
            (_, books) => books.as_str(),
        };
        end_notifications(connection, answered, NotificationEnd::Done, outcome).await?;
    }
    reconciliation::add_findings(connection, read.dataset_id, &read.findings).await?;
    Ok(applied)
}

async fn lock(mut connection: &AsyncPgConnection, read: &PaymentRead<'_>) -> Result<Known, StoreError> {
    let known = sql_query(
        "SELECT conversion, updated_at, status, refunded_minor, told_by_order, approved_at FROM payments
         WHERE dataset_id = $1 AND payment_id = $2 FOR UPDATE",
    )
    .bind::<BigInt, _>(read.dataset_id.as_i64())
    .bind::<Text, _>(&read.payment.id)
    .get_result(&mut connection)
    .await?;
    Ok(known)
}

/// Both statements take the same parameters.
async fn write(
    mut connection: &AsyncPgConnection,
    statement: &'static str,
    read: &PaymentRead<'_>,
) -> Result<usize, StoreError> {
    let (payment, lead) = (read.payment, read.lead.as_ref());
    let written = sql_query(statement)
        .bind::<BigInt, _>(read.dataset_id.as_i64())
        .bind::<Text, _>(&payment.id)
        .bind::<BigInt, _>(payment.account_id)
        .bind::<Text, _>(&payment.status)
        .bind::<Text, _>(&payment.status_detail)
        .bind::<Text, _>(read.books.as_str())
        .bind::<Text, _>(&payment.operation_type)
        .bind::<Text, _>(payment.currency.as_str())
        .bind::<BigInt, _>(payment.amount_minor)
        .bind::<BigInt, _>(payment.refunded_minor)
        .bind::<Nullable<BigInt>, _>(payment.net_minor)
        .bind::<Nullable<BigInt>, _>(payment.fee_minor)
        .bind::<Nullable<BigInt>, _>(payment.total_paid_minor)
        .bind::<Text, _>(&payment.payment_method)
        .bind::<Text, _>(&payment.payment_type)
        .bind::<Nullable<Integer>, _>(payment.installments)
        .bind::<Nullable<Text>, _>(&payment.external_reference)
        .bind::<Nullable<Text>, _>(&payment.remote_order_id)
        .bind::<Text, _>(&read.order_id)
        .bind::<Nullable<BigInt>, _>(lead.map(|lead| lead.lead_id))
        .bind::<Nullable<Text>, _>(lead.map(|lead| lead.method))
        .bind::<Nullable<SmallInt>, _>(lead.map(|lead| lead.confidence))
        .bind::<Nullable<Binary>, _>(read.payer.email.as_deref())
        .bind::<Nullable<Binary>, _>(read.payer.phone.as_deref())
        .bind::<Nullable<Binary>, _>(read.payer.cpf.as_deref())
        .bind::<Timestamptz, _>(payment.created_at)
        .bind::<Nullable<Timestamptz>, _>(payment.approved_at)
        .bind::<Timestamptz, _>(payment.updated_at)
        .bind::<Nullable<Timestamptz>, _>(payment.expires_at)
        .bind::<Nullable<Timestamptz>, _>(payment.money_release_at)
        .bind::<Text, _>(read.discovered_by.as_str())
        .bind::<Bool, _>(payment.told_by_order)
        .prepared()
        .execute(&mut connection)
        .await?;
    Ok(written)
}

async fn booked(
    mut connection: &AsyncPgConnection,
    read: &PaymentRead<'_>,
) -> Result<Vec<Booked>, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        kind: String,
        #[diesel(sql_type = Text)]
        movement_key: String,
        #[diesel(sql_type = BigInt)]
        amount_minor: i64,
        #[diesel(sql_type = BigInt)]
        fee_minor: i64,
    }
    let rows: Vec<Row> = sql_query(
        "SELECT kind, movement_key, amount_minor, fee_minor FROM purchase_movements
         WHERE dataset_id = $1 AND payment_id = $2",
    )
    .bind::<BigInt, _>(read.dataset_id.as_i64())
    .bind::<Text, _>(&read.payment.id)
    .load(&mut connection)
    .await?;
    let booked = |row: Row| {
        Ok(Booked {
            kind: MovementKind::parse(&row.kind).ok_or(StoreError::Invalid {
                what: "kind of a movement",
            })?,
            key: row.movement_key,
            amount_minor: row.amount_minor,
            fee_minor: row.fee_minor,
        })
    };
    rows.into_iter().map(booked).collect()
}

async fn book(
    mut connection: &AsyncPgConnection,
    read: &PaymentRead<'_>,
    movements: &[Movement],
) -> Result<(), StoreError> {
    if movements.is_empty() {
        return Ok(());
    }
    fn of<'m, T>(movements: &'m [Movement], value: impl Fn(&'m Movement) -> T) -> Vec<T> {
        movements.iter().map(value).collect()
    }
    sql_query(include_str!("sql/book_movements.sql"))
        .bind::<BigInt, _>(read.dataset_id.as_i64())
        .bind::<Text, _>(&read.payment.id)
        .bind::<Text, _>(read.payment.currency.as_str())
        .bind::<Array<Text>, _>(of(movements, |movement| movement.key.as_str()))
        .bind::<Array<Text>, _>(of(movements, |movement| movement.kind.as_str()))
        .bind::<Array<BigInt>, _>(of(movements, |movement| movement.amount_minor))
        .bind::<Array<BigInt>, _>(of(movements, |movement| movement.fee_minor))
        .bind::<Array<Timestamptz>, _>(of(movements, |movement| movement.occurred_at))
        .prepared()
        .execute(&mut connection)
        .await?;
    Ok(())
}

/// What is known of the order that a payment pays for, and of whoever placed it.
#[derive(Clone, Debug, Default)]
pub struct OrderContext {
    /// The order that it pays for.
    pub order_id: String,
    /// The finished event of the claim that a page or server made of it.
    pub claimed_event: Option<String>,
    /// The lead of that claim.
    pub claim_lead: Option<i64>,
    /// The person refused advertising, with the order or with the form.
    pub ads_refused: bool,
    pub lead: Option<PaidLead>,
    /// What became of the payment's conversion so far, if the payment is known.
    pub conversion: Option<Conversion>,
}

/// The lead of a payment.
#[derive(Clone)]
pub struct PaidLead {
    pub matched: PaymentMatch,
    pub fbp: Option<String>,
    pub fbc: Option<String>,
    pub ads_refused: bool,
    /// Its finished event, with the browser's data of then. `None`: it is older than what is kept, or erased.
    pub event: Option<String>,
}

/// Browser and click ids belong in no log.
impl std::fmt::Debug for PaidLead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.matched.fmt(f)
    }
}

impl Store {
    /// What a payment's Purchase is made of: the claim of its order, and the lead: the one that is named,
    /// that of the claim, or the newest of the 90 days before the payment by the strongest identifier that
    /// finds one. An identifier that more than five people share finds nobody.
    pub async fn order_context(
        &self,
        dataset: DatasetId,
        payment: &Payment,
        payer: &PersonLookups,
    ) -> Result<OrderContext, StoreError> {
        #[derive(QueryableByName)]
        struct Claim {
            #[diesel(sql_type = Nullable<Text>)]
            claimed_event: Option<String>,
            #[diesel(sql_type = Nullable<BigInt>)]
            lead_id: Option<i64>,
            #[diesel(sql_type = Bool)]
            ads_refused: bool,
        }
        let mut connection = self.connection().await?;
        let order_id = order_of(&connection, dataset, payment, payer).await?;
        let claim: Option<Claim> = sql_query(
            "SELECT claimed_event, lead_id, ads_refused FROM purchases WHERE dataset_id = $1 AND order_id = $2",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Text, _>(&order_id)
        .get_result(&mut connection)
        .await
        .optional()?;
        let claim_lead = claim.as_ref().and_then(|claim| claim.lead_id);
        let lead = find_lead(&connection, dataset, payment, claim_lead, payer).await?;
        let known = known(&connection, dataset, &payment.id).await?;
        let claim_refused = claim.as_ref().is_some_and(|claim| claim.ads_refused);
        Ok(OrderContext {
            order_id,
            ads_refused: claim_refused
                || claim.is_none() && lead.as_ref().is_some_and(|lead| lead.ads_refused),
            claimed_event: claim.and_then(|claim| claim.claimed_event),
            claim_lead,
            lead,
            conversion: known,
        })
    }
}

async fn find_lead(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    payment: &Payment,
    claim_lead: Option<i64>,
    payer: &PersonLookups,
) -> Result<Option<PaidLead>, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        lead_id: i64,
        #[diesel(sql_type = Integer)]
        rank: i32,
        #[diesel(sql_type = Nullable<Text>)]
        fbp: Option<String>,
        #[diesel(sql_type = Nullable<Text>)]
        fbc: Option<String>,
        #[diesel(sql_type = Bool)]
        ads_refused: bool,
        #[diesel(sql_type = Date)]
        event_day: chrono::NaiveDate,
    }
    #[derive(QueryableByName)]
    struct Payload {
        #[diesel(sql_type = Text)]
        payload: String,
    }
    let row: Option<Row> = sql_query(include_str!("sql/find_paying_lead.sql"))
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Nullable<BigInt>, _>(payment.lead_id)
        .bind::<Nullable<BigInt>, _>(payment.named_lead())
        .bind::<Nullable<BigInt>, _>(claim_lead)
        .bind::<Nullable<Binary>, _>(payer.email.as_deref())
        .bind::<Nullable<Binary>, _>(payer.phone.as_deref())
        .bind::<Nullable<Binary>, _>(payer.cpf.as_deref())
        .bind::<Timestamptz, _>(payment.created_at)
        .prepared()
        .get_result(&mut connection)
        .await
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    // What the merchant says is sure. A payer's address may be of whoever's account paid: a spouse, a
    // company.
    let (method, confidence) = match row.rank {
        0 => ("lead_id", 100),
        1 => ("external_reference", 100),
        2 => ("order", 95),
        3 => ("email", 70),
        4 => ("phone", 70),
        _ => ("cpf", 80),
    };
    let event: Option<Payload> = sql_query(
        "SELECT payload FROM events WHERE dataset_id = $1 AND event_number = $2 AND day = $3 AND payload <> ''",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .bind::<BigInt, _>(row.lead_id)
    .bind::<Date, _>(row.event_day)
    .get_result(&mut connection)
    .await
    .optional()?;
    Ok(Some(PaidLead {
        matched: PaymentMatch {
            lead_id: row.lead_id,
            method,
            confidence,
        },
        fbp: row.fbp,
        fbc: row.fbc,
        ads_refused: row.ads_refused,
        event: event.map(|event| event.payload),
    }))
}

async fn known(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    payment_id: &str,
) -> Result<Option<Conversion>, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        conversion: String,
    }
    let row: Option<Row> =
        sql_query("SELECT conversion FROM payments WHERE dataset_id = $1 AND payment_id = $2")
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Text, _>(payment_id)
            .get_result(&mut connection)
            .await
            .optional()?;
    row.map(|row| Conversion::parse(&row.conversion)).transpose()
}
