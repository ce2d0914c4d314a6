//! By what a person stands in the tables, found from by what one is named.

use std::collections::BTreeSet;

use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rastro_core::dataset::DatasetId;
use rastro_core::lead_status::LeadStatus;
use rastro_core::match_keys::{CountryCode, HashedKeys, MatchKey, Reading};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::PersonSought;
use super::shared::{Judged, Key};
use crate::connection::Store;
use crate::error::StoreError;
use crate::leads::contact_of;

/// By what a person stands in the tables.
#[derive(Default)]
pub(super) struct Traces {
    pub(super) leads: Vec<i64>,
    pub(super) emails: Vec<Vec<u8>>,
    pub(super) phones: Vec<Vec<u8>>,
    pub(super) cpfs: Vec<Vec<u8>>,
    pub(super) visitors: Vec<Vec<u8>>,
    pub(super) payments: Vec<String>,
    pub(super) orders: Vec<String>,
    /// Events of the leads and of the orders.
    pub(super) events: Vec<i64>,
    /// Ids of the events that the leads may have become.
    pub(super) event_ids: Vec<String>,
    /// What the person's other events hold, for LIKE.
    pub(super) patterns: Vec<String>,
    /// Hashes of keys that too many people share to be the person's. They were not followed.
    pub(super) shared: Vec<Vec<u8>>,
}

impl Traces {
    /// Whether an erasure that began with these others has begun with all of these.
    pub(super) fn adds_nothing_to(&self, others: &Traces) -> bool {
        fn within<T: Ord>(own: &[T], others: &[T]) -> bool {
            let others: BTreeSet<&T> = others.iter().collect();
            own.iter().all(|one| others.contains(one))
        }
        within(&self.leads, &others.leads)
            && within(&self.emails, &others.emails)
            && within(&self.phones, &others.phones)
            && within(&self.cpfs, &others.cpfs)
            && within(&self.visitors, &others.visitors)
            && within(&self.orders, &others.orders)
    }
}

#[derive(QueryableByName)]
pub(super) struct LeadRow {
    #[diesel(sql_type = BigInt)]
    lead_id: i64,
    #[diesel(sql_type = Nullable<Binary>)]
    email_hmac: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    phone_hmac: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    cpf_hmac: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    visitor_hmac: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    external_id_hmac: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Text>)]
    fbp: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    fbc: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    external_id: Option<String>,
    #[diesel(sql_type = Binary)]
    contact: Vec<u8>,
    #[diesel(sql_type = Text)]
    event_id: String,
}

impl LeadRow {
    /// By what it may lead on, but for a CPF, which is one person's.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key<'_>> {
        [
            self.email_hmac.as_deref().map(Key::Email),
            self.phone_hmac.as_deref().map(Key::Phone),
            self.visitor_hmac.as_deref().map(Key::Visitor),
            self.external_id_hmac.as_deref().map(Key::ExternalId),
            self.fbp.as_deref().map(Key::Fbp),
            self.fbc.as_deref().map(Key::Fbc),
        ]
        .into_iter()
        .flatten()
    }

    /// Takes from it what leads to other people, too.
    fn without_shared(mut self, judged: &Judged) -> Self {
        let shares_browser = [
            self.visitor_hmac.as_deref().map(Key::Visitor),
            self.external_id_hmac.as_deref().map(Key::ExternalId),
        ];
        let shares_browser = shares_browser
            .into_iter()
            .flatten()
            .any(|key| !judged.is_own(key));
        let own = |hmac: Option<Vec<u8>>, key: for<'k> fn(&'k [u8]) -> Key<'k>| {
            hmac.filter(|hmac| judged.is_own(key(hmac)))
        };
        self.email_hmac = own(self.email_hmac, |hmac| Key::Email(hmac));
        self.phone_hmac = own(self.phone_hmac, |hmac| Key::Phone(hmac));
        self.visitor_hmac = own(self.visitor_hmac, |hmac| Key::Visitor(hmac));
        self.external_id_hmac = own(self.external_id_hmac, |hmac| Key::ExternalId(hmac));
        self.fbp = self
            .fbp
            .filter(|id| !shares_browser && judged.is_own(Key::Fbp(id)));
        self.fbc = self
            .fbc
            .filter(|id| !shares_browser && judged.is_own(Key::Fbc(id)));
        self.external_id = self.external_id.filter(|_| !shares_browser);
        self
    }
}

#[derive(QueryableByName)]
struct OrderRow {
    #[diesel(sql_type = Text)]
    order_id: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    event_number: Option<i64>,
}

/// The leads of whoever is named, and those that name the same person: by an e-mail or a CPF that one of them
/// says. A phone may be a household's, and leads on only where it was given, or is of the lead that was. What
/// more than five people share leads on only where it was given. The leads come without such keys, and with
/// the hashes of these.
async fn leads_of(
    mut connection: &AsyncPgConnection,
    dataset: DatasetId,
    sought: &PersonSought,
) -> Result<(Vec<LeadRow>, Vec<Vec<u8>>), StoreError> {
    let given = &sought.lookups;
    let mut judged = Judged::except(given);
    let mut emails: BTreeSet<Vec<u8>> = given.email.iter().cloned().collect();
    let mut phones: BTreeSet<Vec<u8>> = given.phone.iter().cloned().collect();
    let mut cpfs: BTreeSet<Vec<u8>> = given.cpf.iter().cloned().collect();
    loop {
        let leads: Vec<LeadRow> = sql_query(include_str!("../sql/leads_of_person.sql"))
            .bind::<BigInt, _>(dataset.as_i64())
            .bind::<Nullable<BigInt>, _>(sought.lead_id)
            .bind::<Array<Binary>, _>(emails.iter().collect::<Vec<_>>())
            .bind::<Array<Binary>, _>(phones.iter().collect::<Vec<_>>())
            .bind::<Array<Binary>, _>(cpfs.iter().collect::<Vec<_>>())
            .load(&mut connection)
            .await?;
        judged.judge(connection, dataset, &leads).await?;
        let leads: Vec<LeadRow> = leads
            .into_iter()
            .map(|lead| lead.without_shared(&judged))
            .collect();
        let known = emails.len() + phones.len() + cpfs.len();
        for lead in &leads {
            emails.extend(lead.email_hmac.clone());
            cpfs.extend(lead.cpf_hmac.clone());
            if Some(lead.lead_id) == sought.lead_id {
                phones.extend(lead.phone_hmac.clone());
            }
        }
        if emails.len() + phones.len() + cpfs.len() == known {
            return Ok((leads, judged.shared()));
        }
    }
}

#[derive(QueryableByName)]
struct OrderAndPayment {
    #[diesel(sql_type = Text)]
    payment_id: String,
    #[diesel(sql_type = Text)]
    order_id: String,
}

impl Store {
    pub(super) async fn traces(
        &self,
        mut connection: &AsyncPgConnection,
        dataset: DatasetId,
        sought: &PersonSought,
    ) -> Result<Traces, StoreError> {
        let given = &sought.lookups;
        let mut traces = Traces {
            emails: given.email.iter().cloned().collect(),
            phones: given.phone.iter().cloned().collect(),
            cpfs: given.cpf.iter().cloned().collect(),
            patterns: sought.hashes.iter().flat_map(|hash| like(hash)).collect(),
            ..Traces::default()
        };
        let (leads, shared) = leads_of(connection, dataset, sought).await?;
        traces.shared = shared;
        let country = self
            .dataset_settings(dataset)
            .await?
            .and_then(|settings| settings.defaults.country);
        for lead in leads {
            let hashes = self.hashes_of(dataset, &lead, country, sought.lead_id);
            traces.patterns.extend(hashes.iter().flat_map(|hash| like(hash)));
            traces
                .event_ids
                .extend(LeadStatus::ALL.map(|status| self.step_event_id(dataset, lead.lead_id, status)));
            // Whoever is named by a lead is the person that this lead names.
            traces.emails.extend(lead.email_hmac);
            traces.phones.extend(lead.phone_hmac);
            traces.cpfs.extend(lead.cpf_hmac);
            traces
                .visitors
                .extend(lead.visitor_hmac.into_iter().chain(lead.external_id_hmac));
            let browser = [lead.fbp, lead.fbc, lead.external_id].into_iter().flatten();
            traces
                .patterns
                .extend(browser.filter(|id| id.len() >= 8).flat_map(|id| like(&id)));
            traces.events.push(lead.lead_id);
            traces.leads.push(lead.lead_id);
        }
        let payments: Vec<OrderAndPayment> = sql_query(
        "SELECT payment_id, order_id FROM payments
         WHERE dataset_id = $1 AND (lead_id = ANY($2) OR payer_email_hmac = ANY($3) OR payer_phone_hmac = ANY($4)
            OR payer_cpf_hmac = ANY($5)) ORDER BY payment_id",
    )
    .bind::<BigInt, _>(dataset.as_i64())
    .bind::<Array<BigInt>, _>(&traces.leads)
    .bind::<Array<Binary>, _>(&traces.emails)
    .bind::<Array<Binary>, _>(&traces.phones)
    .bind::<Array<Binary>, _>(&traces.cpfs)
    .load(&mut connection)
    .await?;
        let (paid, orders): (Vec<_>, Vec<_>) = payments
            .into_iter()
            .map(|row| (row.payment_id, row.order_id))
            .unzip();
        traces.payments = paid;
        let orders: Vec<OrderRow> = sql_query(
            "SELECT order_id, event_number FROM purchases
         WHERE dataset_id = $1 AND (lead_id = ANY($2) OR order_id = ANY($3) OR claimed_event LIKE ANY($4)) ORDER BY order_id",
        )
        .bind::<BigInt, _>(dataset.as_i64())
        .bind::<Array<BigInt>, _>(&traces.leads)
        .bind::<Array<Text>, _>(&orders)
        .bind::<Array<Text>, _>(&traces.patterns)
        .load(&mut connection)
        .await?;
        for order in orders {
            traces.events.extend(order.event_number);
            traces.orders.push(order.order_id);
        }
        Ok(traces)
    }

    /// Under which hashes whoever left this form stands in events that somebody else sent: the e-mail's, and
    /// of the lead that was named the phone's. None that is shared. Nothing of a form that does not open: the
    /// rest of the person is still to be erased.
    fn hashes_of(
        &self,
        dataset: DatasetId,
        lead: &LeadRow,
        country: Option<CountryCode>,
        named: Option<i64>,
    ) -> Vec<String> {
        let contact = self
            .sealer
            .open(&lead.contact, &contact_of(dataset, &lead.event_id));
        if contact.is_none() && !lead.contact.is_empty() {
            tracing::error!(
                dataset_id = %dataset,
                "the contact of lead {} opens with no configured sealing key: events that hold its hashes alone are not \
                 found, and not erased", lead.lead_id
            );
        }
        let contact = contact.unwrap_or_default();
        let form: Value = serde_json::from_str(contact.expose_secret()).unwrap_or_default();
        let reading = Reading {
            country,
            current_year: 0,
            variants: true,
        };
        let mut hashed = HashedKeys::new();
        for (name, key, own) in [
            ("email", MatchKey::Email, lead.email_hmac.is_some()),
            ("phone", MatchKey::Phone, lead.phone_hmac.is_some()),
        ] {
            let text = match &form[name] {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => continue,
            };
            if !own || key == MatchKey::Phone && named != Some(lead.lead_id) {
                continue;
            }
            // It was read when it came.
            let _ = hashed.add(key, &text, &reading);
        }
        let keys = [MatchKey::Email, MatchKey::Phone].into_iter();
        keys.flat_map(|key| hashed.get(key).map(|hash| hash.hash().to_owned()))
            .collect()
    }
}

/// Patterns for texts that hold this one as it is, or with a suffix of Meta's parameter builder behind it
/// (`<hash>.AQQAAQMC`), which is stored and sent as a part of the value.
fn like(text: &str) -> [String; 2] {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    [format!("%\"{escaped}\"%"), format!("%\"{escaped}.%")]
}
