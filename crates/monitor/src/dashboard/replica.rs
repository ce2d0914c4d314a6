//! A streaming replica, from which pages are read where there is one: they cost the primary nothing then. Who
//! asks, and all that changes something, is the primary's matter.
//!
//! How far it is behind is measured from both ends: the primary says where its log ends, and the replica
//! whether it has come there. A replica that hears nothing any more would take itself for complete.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use rastro_store::{LogPosition, Store, StoreError};

use crate::dashboard::layout::{Banner, Tone};
use crate::dashboard::words::Lang;

/// Further behind than this pages are read from the primary.
const MOST_BEHIND: TimeDelta = TimeDelta::minutes(2);
/// Less than this is what measuring every few seconds costs, and not worth a word.
const WORTH_A_WORD: TimeDelta = TimeDelta::seconds(15);
/// After an order of somebody's they see what came of it.
const SEES_OWN_ORDERS_FOR: TimeDelta = TimeDelta::seconds(10);
/// Positions of the primary that the replica has not reached, kept at most: two minutes of them.
const MOST_POSITIONS: usize = 32;

/// From where a page is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// And how far it is behind.
    Replica(TimeDelta),
    /// Without a word: somebody has just ordered something.
    PrimaryAfterOrder,
    /// Because of what is wrong with the replica.
    Primary(Trouble),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Not asked yet, or it does not answer.
    Away,
    /// The address leads to a server that takes writes.
    NoReplica,
    Behind(TimeDelta),
}

/// What is known of the replica.
#[derive(Default)]
pub struct Lag(Mutex<State>);

#[derive(Default)]
struct State {
    /// Where the primary was at which moment, oldest first, as far as the replica has not come there.
    ahead: VecDeque<(DateTime<Utc>, LogPosition)>,
    /// The replica has all that was committed by then.
    as_of: Option<DateTime<Utc>>,
    is_no_replica: bool,
    is_away: bool,
    ordered_at: Option<DateTime<Utc>>,
}

impl Lag {
    /// Asks both ends. An error is the replica's: while the primary is away nothing new can be missed.
    ///
    /// # Errors
    /// When the replica does not answer.
    pub async fn measure(
        &self,
        primary: &Store,
        replica: &Store,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let position = primary.log_position().await;
        let primary_is_away = position.is_err();
        let asked: Vec<_> = {
            let mut state = self.state();
            if let Ok(position) = position {
                if state.ahead.len() >= MOST_POSITIONS {
                    // The oldest are what it reaches first; of the newest every other one is enough.
                    state.ahead.pop_back();
                }
                state.ahead.push_back((now, position));
            }
            state.ahead.iter().cloned().collect()
        };
        let mut reached = None;
        for (at, position) in asked {
            match replica.has_replayed(&position).await {
                Ok(Some(true)) => reached = Some(at),
                Ok(Some(false)) => break,
                Ok(None) => {
                    let mut state = self.state();
                    (state.is_no_replica, state.is_away) = (true, false);
                    return Ok(());
                }
                Err(error) => {
                    self.state().is_away = true;
                    return Err(error);
                }
            }
        }
        let mut state = self.state();
        (state.is_no_replica, state.is_away) = (false, false);
        if let Some(reached) = reached {
            state.ahead.retain(|(at, _)| *at > reached);
            state.as_of = state.as_of.max(Some(reached));
        }
        if primary_is_away && state.ahead.is_empty() && state.as_of.is_some() {
            // All that there was, it has.
            state.as_of = Some(now);
        }
        Ok(())
    }

    /// The replica did not answer somebody's page.
    pub fn note_away(&self) {
        self.state().is_away = true;
    }

    /// Somebody ordered something.
    pub fn note_order(&self, now: DateTime<Utc>) {
        self.state().ordered_at = Some(now);
    }

    pub fn source(&self, now: DateTime<Utc>) -> Source {
        let state = self.state();
        let behind = state.as_of.map(|as_of| (now - as_of).max(TimeDelta::zero()));
        match behind {
            _ if state.is_no_replica => Source::Primary(Trouble::NoReplica),
            Some(_) | None if state.is_away => Source::Primary(Trouble::Away),
            None => Source::Primary(Trouble::Away),
            Some(behind) if behind > MOST_BEHIND => Source::Primary(Trouble::Behind(behind)),
            Some(_) if state.ordered_at.is_some_and(|at| now - at < SEES_OWN_ORDERS_FOR) => {
                Source::PrimaryAfterOrder
            }
            Some(behind) => Source::Replica(behind),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a page says of where it was read, if that is worth a word.
pub fn banner(source: Source, lang: Lang) -> Option<Banner> {
    let how_long = |behind: TimeDelta| lang.duration(behind.num_milliseconds());
    let (tone, text) = match source {
        Source::Replica(behind) if behind < WORTH_A_WORD => return None,
        Source::PrimaryAfterOrder => return None,
        Source::Replica(behind) => (
            Tone::Watch,
            match lang {
                Lang::Pt => format!("Lido de uma réplica com atraso de {}.", how_long(behind)),
                Lang::En => format!("Read from a replica that is {} behind.", how_long(behind)),
            },
        ),
        Source::Primary(Trouble::Away) => (
            Tone::Watch,
            lang.t(
                "A réplica não responde: as páginas são lidas do banco principal.",
                "The replica does not answer: pages are read from the primary.",
            )
            .to_owned(),
        ),
        Source::Primary(Trouble::NoReplica) => (
            Tone::Watch,
            lang.t(
                "dashboard.replica_url não leva a uma réplica: as páginas são lidas do banco principal.",
                "dashboard.replica_url does not lead to a replica: pages are read from the primary.",
            )
            .to_owned(),
        ),
        Source::Primary(Trouble::Behind(behind)) => (
            Tone::Watch,
            match lang {
                Lang::Pt => format!(
                    "A réplica está com atraso de {}: as páginas são lidas do banco principal.",
                    how_long(behind)
                ),
                Lang::En => format!(
                    "The replica is {} behind: pages are read from the primary.",
                    how_long(behind)
                ),
            },
        ),
    };
    Some(Banner { tone, text })
}

/// What stands at the foot of a page that was read from a replica.
pub fn foot(source: Source, lang: Lang) -> Option<String> {
    match source {
        Source::Replica(behind) => Some(match lang {
            Lang::Pt => format!(
                "lido de uma réplica, atraso {}",
                lang.duration(behind.num_milliseconds())
            ),
            Lang::En => format!(
                "read from a replica, {} behind",
                lang.duration(behind.num_milliseconds())
            ),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    #[test]
    fn a_replica_that_is_late_away_or_none_is_not_read_and_the_page_says_so() {
        let lag = Lag::default();
        assert_eq!(lag.source(at(0)), Source::Primary(Trouble::Away));
        lag.state().as_of = Some(at(0));
        assert_eq!(lag.source(at(4)), Source::Replica(TimeDelta::seconds(4)));
        assert!(banner(lag.source(at(4)), Lang::En).is_none());
        assert!(
            banner(lag.source(at(20)), Lang::En)
                .unwrap()
                .text
                .contains("20\u{a0}s")
        );
        assert_eq!(
            lag.source(at(121)),
            Source::Primary(Trouble::Behind(TimeDelta::seconds(121)))
        );
        lag.note_order(at(4));
        assert_eq!(lag.source(at(13)), Source::PrimaryAfterOrder);
        assert_eq!(lag.source(at(14)), Source::Replica(TimeDelta::seconds(14)));
        lag.note_away();
        assert_eq!(lag.source(at(14)), Source::Primary(Trouble::Away));
        lag.state().is_no_replica = true;
        assert_eq!(lag.source(at(14)), Source::Primary(Trouble::NoReplica));
    }
}
