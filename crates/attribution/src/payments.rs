//! From a notification to the books: what was told of a payment is only a reason to read it again.
//!
//! Where is the payment if the process dies? The notification stays until the commit that puts the payment
//! into the books also ends it; until then its lease runs out and somebody reads the payment again, which
//! changes nothing twice.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use rastro_core::payment::{Books, Payment};
use rastro_core::person::PersonKeys;
use rastro_service::shutdown::Shutdown;
use rastro_service::telemetry::{ErrorChain, trace_context};
use rastro_store::{
    Answered, Applied, Discovery, Finding, LeasedNotification, NotificationEnd, PaymentAccount, PaymentAlias,
    PaymentRead, PersonLookups, Store, StoreError, Topic,
};
use tracing::{Instrument as _, error, info, warn};

use crate::config::PaymentsConfig;
use crate::conversion::{self, Surroundings};
use crate::mercado_pago::orders::{Order, OrderPayment};
use crate::mercado_pago::payments::is_id;
use crate::mercado_pago::{MercadoPago, ReadError};
use crate::metrics::{AttributionMetrics, NotificationLabels, NotificationOutcome, ReadLabels, ReadOutcome};

/// Waits between the tries to read what a notification points at, in seconds. A read right after a
/// notification may still find nothing; after the last one the next sweep reads it.
const SCHEDULE: [i64; 5] = [2, 10, 60, 600, 3_600];
/// A notification that nobody signed may point anywhere: it is not worth as many reads. One that points at
/// nothing is worth no second one.
const UNSIGNED_TRIES: usize = 1;
/// How often an answer that brings nothing new is taken for one of before what a webhook told of. A repeated
/// webhook costs as many reads more.
const BEHIND_TRIES: i16 = 2;
/// For how many tries a paid part of an order is waited for whose number in the Payments API is not told yet:
/// that number's own webhook would make a second Purchase of it.
const NUMBER_TRIES: i16 = 3;
/// For how long an account is left alone whose token was refused.
const BLOCKED_SECONDS: i64 = 600;
/// The wait after the database failed.
const RETRY: Duration = Duration::from_secs(1);
/// How often a commit that lost against another one is tried at once.
const CONFLICTS: u32 = 5;

/// Reads payments and writes them down. Clones share everything.
#[derive(Clone)]
pub struct Payments {
    pub(crate) store: Store,
    pub(crate) mercado_pago: MercadoPago,
    pub(crate) metrics: AttributionMetrics,
}

/// Why a payment is not in the books as it is now.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing of it is ours.
    #[error("the payment is another account's")]
    OtherAccount,
}

/// How following a notification ended, where nothing failed.
enum Followed {
    /// What it points at is in the books.
    Done,
    /// There is nothing to read, for this reason.
    Nothing(&'static str),
    /// What it tells of is not there to be read yet, for this reason.
    Later(&'static str),
}

/// How a payment came to be looked at.
#[derive(Clone, Copy)]
pub(crate) struct Told<'n> {
    pub(crate) by: Discovery,
    /// W3C trace context of what told of it.
    pub(crate) traceparent: Option<&'n str>,
}

impl Payments {
    pub fn new(store: Store, mercado_pago: MercadoPago, metrics: AttributionMetrics) -> Self {
        Payments {
            store,
            mercado_pago,
            metrics,
        }
    }

    /// Follows notifications until shutdown, and finishes those it has begun.
    pub async fn run(&self, config: &PaymentsConfig, shutdown: &Shutdown) {
        let mut is_failing = false;
        while !shutdown.is_requested() {
            let wait = match self.round(config).await {
                Ok(0) => Duration::from_millis(config.idle_poll_milliseconds),
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        warn!(
                            "payment notifications cannot be followed, trying on: {}",
                            ErrorChain(&error)
                        );
                    }
                    tokio::select! {
                        () = tokio::time::sleep(RETRY) => {}
                        () = shutdown.requested() => {}
                    }
                    continue;
                }
            };
            if std::mem::take(&mut is_failing) {
                info!("payment notifications are followed again");
            }
            if !wait.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = shutdown.requested() => {}
                }
            }
        }
    }

    /// Follows what is due now; returns how many notifications were taken.
    ///
    /// # Errors
    /// When none could be taken.
    pub async fn round(&self, config: &PaymentsConfig) -> Result<usize, StoreError> {
        let leased = self
            .store
            .lease_notifications(i64::from(config.claim), i64::from(config.lease_seconds))
            .await?;
        let taken = leased.len();
        // Told ten times about one payment, it is read once.
        let mut by_resource: HashMap<(i64, Topic, String), Vec<LeasedNotification>> = HashMap::new();
        for notification in leased {
            let resource = (
                notification.account_id,
                notification.topic,
                notification.resource_id.clone(),
            );
            by_resource.entry(resource).or_default().push(notification);
        }
        futures_util::stream::iter(by_resource.into_values())
            .for_each_concurrent(config.concurrency, |group| self.follow(group))
            .await;
        Ok(taken)
    }

    /// Follows notifications that are all about one resource.
    async fn follow(&self, group: Vec<LeasedNotification>) {
        let signed = group.iter().find(|notification| notification.is_signed);
        let Some(first) = signed.or(group.first()) else {
            return;
        };
        let result = self.follow_one(first).await;
        let ending = match &result {
            Ok(Followed::Done) => {
                self.count(NotificationOutcome::done, group.len());
                return;
            }
            Ok(Followed::Nothing(why)) => Some((NotificationEnd::Ignored, *why)),
            Ok(Followed::Later(_)) => None,
            Err(FollowError::OtherAccount) => Some((NotificationEnd::Ignored, "other_account")),
            Err(FollowError::Read(ReadError::NotFound)) if is_last_try(first) || !first.is_signed => {
                Some((NotificationEnd::Ignored, "not_found"))
            }
            Err(FollowError::Read(ReadError::Blocked(_))) => None,
            Err(_) if is_last_try(first) => Some((NotificationEnd::Parked, "unreadable")),
            Err(_) => None,
        };
        let (outcome, written) = match ending {
            Some((end, outcome)) => {
                let ended = self.store.end_notifications(&first.into(), end, outcome).await;
                let counted = match end {
                    NotificationEnd::Parked => NotificationOutcome::parked,
                    _ => NotificationOutcome::ignored,
                };
                if let (NotificationEnd::Parked, Err(error)) = (end, &result) {
                    error!(
                        "{} {} of Mercado Pago account {} could not be read after all tries; the next \
                         comparison reads it: {}",
                        first.topic.as_str(),
                        first.resource_id,
                        first.account_id,
                        ErrorChain(error)
                    );
                }
                (counted, ended.map(drop))
            }
            None => (NotificationOutcome::later, self.delay(&group, &result).await),
        };
        match written {
            Ok(()) => self.count(outcome, group.len()),
            // Its lease ends and it is followed again.
            Err(error) => warn!(
                "a notification's end could not be written: {}",
                ErrorChain(&error)
            ),
        }
    }

    async fn delay(
        &self,
        group: &[LeasedNotification],
        result: &Result<Followed, FollowError>,
    ) -> Result<(), StoreError> {
        for notification in group {
            let tries = usize::try_from(notification.attempts).unwrap_or_default();
            let scheduled = SCHEDULE[tries.saturating_sub(1).min(SCHEDULE.len() - 1)];
            let (seconds, outcome) = match result {
                Ok(Followed::Later(why) | Followed::Nothing(why)) => (scheduled, *why),
                Err(FollowError::Read(ReadError::Blocked(_))) => (BLOCKED_SECONDS, "blocked"),
                Err(FollowError::Read(ReadError::NotFound)) => (scheduled, "not_found"),
                Err(FollowError::Read(ReadError::Throttled { .. })) => (scheduled.max(60), "throttled"),
                Err(FollowError::Store(_)) => (scheduled, "not_stored"),
                Ok(Followed::Done) | Err(_) => (scheduled, "unreadable"),
            };
            self.store
                .delay_notification(notification, seconds, outcome)
                .await?;
        }
        Ok(())
    }

    async fn follow_one(&self, notification: &LeasedNotification) -> Result<Followed, FollowError> {
        let Some(account) = self.store.payment_account(notification.account_id).await? else {
            return Ok(Followed::Nothing("no_account"));
        };
        let id = notification.resource_id.as_str();
        if !is_id(id) {
            return Ok(Followed::Nothing("no_id"));
        }
        let told = Told {
            by: match notification.is_signed {
                true => Discovery::Webhook,
                false => Discovery::Hint,
            },
            traceparent: notification.traceparent.as_deref(),
        };
        // What is read right after a webhook may still be of before it.
        let may_be_early = |tries| notification.is_signed && notification.attempts <= tries;
        let mut answered = Answered::from(notification);
        let ids = match notification.topic {
            Topic::Payment | Topic::FraudAlert => {
                let payment = self.read(&account, id).await?;
                answered.may_be_behind = notification.topic == Topic::Payment && may_be_early(BEHIND_TRIES);
                let may_be_behind = answered.may_be_behind;
                let applied = self
                    .apply(&account, &payment, told, Some(answered), Vec::new())
                    .await?;
                return Ok(match may_be_behind && !applied.is_changed {
                    true => Followed::Later("behind"),
                    false => Followed::Done,
                });
            }
            Topic::Order => {
                let order = self
                    .check(&account, self.mercado_pago.order(&account, id).await)
                    .await?;
                return self
                    .follow_order(&account, order, told, may_be_early(NUMBER_TRIES), &answered)
                    .await;
            }
            Topic::MerchantOrder => {
                let found = self.mercado_pago.payments_of_merchant_order(&account, id).await;
                self.check(&account, found).await?
            }
            Topic::Chargeback => {
                let found = self.mercado_pago.payments_of_chargeback(&account, id).await;
                self.check(&account, found).await?
            }
            // A claim changes its payment, which is told by itself.
            Topic::Claim | Topic::Other => return Ok(Followed::Nothing("no_reader")),
        };
        // One that cannot be read keeps no other back.
        let mut problem = None;
        for id in ids.iter().filter(|id| is_id(id)) {
            if let Err(error) = self.follow_number(&account, id, told).await {
                problem.get_or_insert(error);
            }
        }
        self.finish(&answered, problem).await
    }

    /// Reads a payment and brings the books to it.
    async fn follow_number(
        &self,
        account: &PaymentAccount,
        id: &str,
        told: Told<'_>,
    ) -> Result<(), FollowError> {
        let payment = self.read(account, id).await?;
        self.apply(account, &payment, told, None, Vec::new()).await?;
        Ok(())
    }

    /// Follows the payments of an order. `may_be_early`: one that is paid may be told without its number in
    /// the Payments API, and is waited for.
    async fn follow_order(
        &self,
        account: &PaymentAccount,
        order: Order,
        told: Told<'_>,
        may_be_early: bool,
        answered: &Answered,
    ) -> Result<Followed, FollowError> {
        // One that cannot be read keeps no other back.
        let mut problem = order.problem.map(FollowError::from);
        let mut awaits_number = false;
        for part in order.payments {
            if may_be_early && part.reference_id.is_none() && part.payment.was_paid() {
                awaits_number = true;
                continue;
            }
            if let Err(error) = self.follow_part(account, part, told, Vec::new()).await {
                problem.get_or_insert(error);
            }
        }
        match problem {
            None if awaits_number => Ok(Followed::Later("no_number")),
            problem => self.finish(answered, problem).await,
        }
    }

    async fn finish(
        &self,
        answered: &Answered,
        problem: Option<FollowError>,
    ) -> Result<Followed, FollowError> {
        if let Some(problem) = problem {
            return Err(problem);
        }
        self.store
            .end_notifications(answered, NotificationEnd::Done, "applied")
            .await?;
        Ok(Followed::Done)
    }

    /// Books a payment of an order once, whatever number tells of it.
    pub(crate) async fn follow_part(
        &self,
        account: &PaymentAccount,
        part: OrderPayment,
        told: Told<'_>,
        findings: Vec<Finding>,
    ) -> Result<(), FollowError> {
        let Some(reference) = &part.reference_id else {
            self.apply(account, &part.payment, told, None, findings).await?;
            return Ok(());
        };
        // Both numbers are the same money, and the Payments API knows its fees. Where it does not know the
        // payment, the order's word is what there is; it may know it later.
        let read = match self.read_number(account, reference).await {
            Ok(payment) => Some(payment),
            Err(FollowError::Read(ReadError::NotFound)) => None,
            Err(error) => return Err(error),
        };
        let own = part.payment.id.clone();
        let linked = self
            .store
            .link_payment(account.dataset_id, reference, &own, read.is_some())
            .await?;
        let mut payment = read.unwrap_or(part.payment);
        if let Some(twice) = linked.booked_twice_as {
            // Both were told of before anybody told that they are one.
            warn!(
                payment.id = %twice,
                "payment {twice} is payment {}: its own books are taken back", linked.booked_as
            );
            let taken_back = payment.clone().taken_back(twice);
            self.apply(account, &taken_back, told, None, Vec::new()).await?;
        }
        payment.id = linked.booked_as;
        self.apply(account, &payment, told, None, findings).await?;
        Ok(())
    }

    /// Reads a payment as it is now, by the number that the Payments API has of it; returns it under the one
    /// it is booked under.
    ///
    /// # Errors
    /// Also when it is another account's: a notification may name any payment.
    pub(crate) async fn read(&self, account: &PaymentAccount, id: &str) -> Result<Payment, FollowError> {
        let aliases = self.store.payment_aliases(account.dataset_id, &[id]).await?;
        let alias = aliases.first();
        let number = alias.map_or(id, PaymentAlias::number);
        let mut payment = self.read_number(account, number).await?;
        if let Some(alias) = alias {
            payment.id.clone_from(&alias.booked_as);
        }
        Ok(payment)
    }

    /// The same, and returns it under this number, wherever it is booked.
    async fn read_number(&self, account: &PaymentAccount, number: &str) -> Result<Payment, FollowError> {
        let payment = self.mercado_pago.payment(account, number).await;
        let payment = self.check(account, payment).await?;
        match payment.account_id == account.account_id {
            true => Ok(payment),
            false => Err(FollowError::OtherAccount),
        }
    }

    /// Counts an answer, and leaves an account alone whose token is refused.
    pub(crate) async fn check<T>(
        &self,
        account: &PaymentAccount,
        answer: Result<T, ReadError>,
    ) -> Result<T, FollowError> {
        let outcome = match &answer {
            Ok(_) => ReadOutcome::ok,
            Err(ReadError::NotFound) => ReadOutcome::not_found,
            Err(ReadError::Blocked(_)) => ReadOutcome::blocked,
            Err(ReadError::Throttled { .. } | ReadError::Unavailable(_)) => ReadOutcome::unavailable,
            Err(ReadError::Refused { .. } | ReadError::Invalid(_)) => ReadOutcome::invalid,
        };
        self.metrics.reads.get_or_create(&ReadLabels { outcome }).inc();
        let id = account.account_id;
        match &answer {
            Ok(_) if account.was_blocked && self.store.block_payment_account(id, None, 0).await? => {
                info!("Mercado Pago takes the access token of account {id} again");
            }
            Err(ReadError::Blocked(reason))
                if self
                    .store
                    .block_payment_account(id, Some(reason), BLOCKED_SECONDS)
                    .await? =>
            {
                error!(
                    "Mercado Pago refuses the access token of account {id}: {reason}. Its payments wait; \
                     enter a new token with `attribution account`"
                );
            }
            _ => {}
        }
        Ok(answer?)
    }

    /// Brings the books to what was read, under the number that it is booked under: it may have got one since
    /// it was read.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub(crate) async fn apply(
        &self,
        account: &PaymentAccount,
        payment: &Payment,
        told: Told<'_>,
        answered: Option<Answered>,
        findings: Vec<Finding>,
    ) -> Result<Applied, FollowError> {
        // It goes on with the trace of the webhook that told of it; the event that is made of it goes on with
        // this.
        let span = tracing::info_span!(
            parent: None,
            "payment",
            otel.kind = "consumer",
            otel.name = "process payment_notifications",
            messaging.system = "postgresql",
            messaging.operation.name = "process",
            "messaging.operation.type" = "process",
            messaging.destination.name = "payment_notifications",
            payment.id = %payment.id,
        );
        if let Some(traceparent) = told.traceparent {
            trace_context::set_parent(&span, traceparent);
        }
        let applying = async {
            let (again, found) = (answered.clone(), findings.clone());
            match self
                .apply_traced(account, payment, told.by, answered, findings)
                .await
            {
                Err(FollowError::Store(StoreError::BookedAs(id))) => {
                    let payment = Payment {
                        id,
                        ..payment.clone()
                    };
                    self.apply_traced(account, &payment, told.by, again, found).await
                }
                applied => applied,
            }
        };
        applying.instrument(span).await
    }

    async fn apply_traced(
        &self,
        account: &PaymentAccount,
        payment: &Payment,
        discovered_by: Discovery,
        answered: Option<Answered>,
        findings: Vec<Finding>,
    ) -> Result<Applied, FollowError> {
        let dataset_id = account.dataset_id;
        let Some(settings) = self.store.dataset_settings(dataset_id).await? else {
            return Err(FollowError::OtherAccount);
        };
        let nobodys = Payment {
            payer: PersonKeys::default(),
            lead_id: None,
            ..payment.clone()
        };
        let mut tries = 0;
        loop {
            // Before anything of the person is read: who is erased from here on is read again.
            let read_at = self.store.erasure_epoch(dataset_id).await?;
            let payer = self.store.lookups(dataset_id, &payment.payer);
            // Who asked to be forgotten is not found again in payments of before. The money stays.
            let is_forgotten = self
                .store
                .is_forgotten(dataset_id, &payer, payment.created_at)
                .await?;
            let (payment, payer) = match is_forgotten {
                true => (&nobodys, PersonLookups::default()),
                false => (payment, payer),
            };
            let mut context = self.store.order_context(dataset_id, payment, &payer).await?;
            if is_forgotten {
                context.ads_refused = true;
                context.lead = None;
            }
            let around = Surroundings {
                account,
                settings: &settings,
                context: &context,
                now: self.store.now().await?,
            };
            let read = PaymentRead {
                dataset_id,
                payment,
                books: payment.books(account.live_mode),
                order_id: context.order_id.clone(),
                lead: context.lead.as_ref().map(|lead| lead.matched.clone()),
                conversion: conversion::due(payment, &around),
                payer,
                read_at,
                discovered_by,
                answered: answered.clone(),
                findings: findings.clone(),
            };
            match self.store.apply_payment(&read).await {
                Ok(applied) => {
                    self.count_applied(account, payment, &applied);
                    return Ok(applied);
                }
                Err(error) if error.is_conflict() && tries < CONFLICTS => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn count_applied(&self, account: &PaymentAccount, payment: &Payment, applied: &Applied) {
        self.metrics
            .movements
            .inc_by(u64::try_from(applied.movements.len()).unwrap_or_default());
        if applied.became_purchase {
            self.metrics.purchases.inc();
        }
        let is_counted = payment.books(account.live_mode) == Books::Counted;
        if !applied.is_stale && is_counted && payment.currency != account.currency {
            warn!(
                payment.id = %payment.id,
                "payment {} is in {}, its account in {}: it is kept apart",
                payment.id, payment.currency.as_str(), account.currency.as_str()
            );
        }
        if !applied.movements.is_empty() {
            info!(
                payment.id = %payment.id,
                payment.status = %payment.status,
                movements = applied.movements.len(),
                "booked {} movements of payment {}", applied.movements.len(), payment.id
            );
        }
    }

    fn count(&self, outcome: NotificationOutcome, notifications: usize) {
        self.metrics
            .notifications
            .get_or_create(&NotificationLabels { outcome })
            .inc_by(u64::try_from(notifications).unwrap_or_default());
    }
}

fn is_last_try(notification: &LeasedNotification) -> bool {
    let tries = usize::try_from(notification.attempts).unwrap_or_default();
    let most = match notification.is_signed {
        true => SCHEDULE.len(),
        false => UNSIGNED_TRIES,
    };
    tries > most
}
