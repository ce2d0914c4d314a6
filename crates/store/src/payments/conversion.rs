//! What becomes of a payment's conversion: the order it pays for is recorded, and its Purchase accepted as an
//! event, once for good, in the commit that books the payment.

use diesel::sql_types::{BigInt, Bool, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{Applied, PaymentRead};
use crate::error::StoreError;
use crate::events::{Acceptance, NewRequest, Record, Stored, accept, accept_requests};
use crate::purchases::{self, MadeEvent, PurchaseChange};
use crate::statement::Prepare;

/// What became of a payment's conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// Nothing was due yet.
    None,
    /// Accepted here as an event.
    Sent,
    /// The order's event had come before.
    Duplicate,
    /// The person refused advertising.
    Withheld,
    /// Meta takes none that is so old.
    TooOld,
    /// When it was first read, the money had gone back.
    RefundedFirst,
    OtherCurrency,
    /// Of this dataset's orders others say that they are paid.
    NotVerified,
    /// Meta would refuse its event.
    Invalid,
}

const CONVERSIONS: [(&str, Conversion); 9] = [
    ("none", Conversion::None),
    ("sent", Conversion::Sent),
    ("duplicate", Conversion::Duplicate),
    ("withheld", Conversion::Withheld),
    ("too_old", Conversion::TooOld),
    ("refunded_first", Conversion::RefundedFirst),
    ("other_currency", Conversion::OtherCurrency),
    ("not_verified", Conversion::NotVerified),
    ("invalid", Conversion::Invalid),
];

impl Conversion {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        let known = CONVERSIONS.iter().find(|(_, conversion)| *conversion == self);
        known.map_or("none", |(word, _)| word)
    }

    pub(super) fn parse(word: &str) -> Result<Self, StoreError> {
        let known = CONVERSIONS.iter().find(|(known, _)| *known == word);
        known
            .map(|(_, conversion)| *conversion)
            .ok_or(StoreError::Invalid { what: "conversion" })
    }

    /// Nothing more will come of it.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Conversion::Sent | Conversion::Duplicate | Conversion::Withheld | Conversion::RefundedFirst
        )
    }
}

/// What is to be done about a payment's conversion.
#[derive(Debug)]
pub enum ConversionDue {
    Nothing,
    /// The order is recorded, and its event, if there is one, accepted. `without_event` is what becomes of it
    /// if there is none.
    Record {
        request: Box<NewRequest>,
        without_event: Conversion,
    },
    /// Not recorded, for this reason.
    Not(Conversion),
}

/// An order that was approved before.
#[derive(QueryableByName)]
struct Order {
    #[diesel(sql_type = Bool)]
    has_event: bool,
    /// It became none because too little was known of who paid, and nothing else became of it.
    #[diesel(sql_type = Bool)]
    awaits_event: bool,
}

async fn order(
    mut connection: &AsyncPgConnection,
    read: &PaymentRead<'_>,
    purchase_id: i64,
) -> Result<Order, StoreError> {
    let order = sql_query(include_str!("../sql/awaited_event.sql"))
        .bind::<BigInt, _>(read.dataset_id.as_i64())
        .bind::<BigInt, _>(purchase_id)
        .prepared()
        .get_result(&mut connection)
        .await?;
    Ok(order)
}

/// Accepts the event of an order that awaits it. The order stays locked by its recording, so that of two
/// payments one does.
async fn offer_late(
    connection: &AsyncPgConnection,
    request: &NewRequest,
    change: &PurchaseChange,
    applied: &mut Applied,
) -> Result<Option<Conversion>, StoreError> {
    let (Some(Record::Purchase(purchase)), Some(event)) =
        (&request.record, request.events.as_slice().first())
    else {
        return Ok(None);
    };
    let withheld = change.ads_refused.then(|| event.without_person());
    let event = withheld.as_ref().unwrap_or(event);
    let accepted = accept(connection, &[event]).await?;
    let Some((Acceptance::Accepted { event_number }, claim)) = accepted.into_iter().next() else {
        return Ok(Some(Conversion::Duplicate));
    };
    let made = MadeEvent {
        purchase,
        event_number,
        day: claim.map(|claim| claim.day),
    };
    purchases::note_events(connection, &[made]).await?;
    if event.withheld {
        return Ok(Some(Conversion::Withheld));
    }
    applied.became_purchase = true;
    Ok(Some(Conversion::Sent))
}

/// Records the order and accepts its event. The order decides whether that is still due: it is approved once
/// for good, whoever says so first; and one that nothing could be made of gets its event when the payer is
/// known.
pub(super) async fn convert(
    mut connection: &AsyncPgConnection,
    read: &PaymentRead<'_>,
    applied: &mut Applied,
) -> Result<(), StoreError> {
    if applied.conversion.is_final() {
        return Ok(());
    }
    let conversion = match &read.conversion {
        ConversionDue::Nothing => return Ok(()),
        ConversionDue::Not(reason) => *reason,
        ConversionDue::Record {
            request,
            without_event,
        } => match accept_requests(connection, &[request]).await?.as_slice() {
            [
                Stored::Now {
                    purchase: Some(change),
                    ..
                },
            ] if !change.changed => {
                let order = order(connection, read, change.purchase_id).await?;
                let became = match (order.has_event, order.awaits_event) {
                    (true, _) => Some(Conversion::Duplicate),
                    (false, true) => offer_late(connection, request, change, applied).await?,
                    (false, false) => None,
                };
                match became {
                    Some(conversion) => conversion,
                    // What kept the event back still does.
                    None => return Ok(()),
                }
            }
            [
                Stored::Now {
                    purchase: Some(change),
                    ..
                },
            ] if change.ads_refused => Conversion::Withheld,
            [Stored::Now { acceptances, .. }] => match acceptances.as_slice() {
                [Acceptance::Accepted { .. }] => {
                    applied.became_purchase = true;
                    Conversion::Sent
                }
                [Acceptance::Duplicate(_)] => Conversion::Duplicate,
                _ => *without_event,
            },
            _ => return Err(StoreError::Invalid { what: "purchase" }),
        },
    };
    if conversion != applied.conversion {
        sql_query("UPDATE payments SET conversion = $3 WHERE dataset_id = $1 AND payment_id = $2")
            .bind::<BigInt, _>(read.dataset_id.as_i64())
            .bind::<Text, _>(&read.payment.id)
            .bind::<Text, _>(conversion.as_str())
            .execute(&mut connection)
            .await?;
        applied.conversion = conversion;
    }
    Ok(())
}
