//! Whether events of a dataset may be sent now, as a function of outcomes and time.
//!
//! **Closed**: traffic flows. **Open**: nothing is sent, events stay queued, no retry is spent.
//! **Half-open**: one probe at a time, a small batch, finds out whether Meta answers again.
//!
//! There is one breaker per dataset, shared by every process as a row of PostgreSQL. Each change here makes a
//! new value with `generation` + 1, which the caller writes only where the row still has the generation it
//! read: of two processes that decide at once, one wins and the other reads again. So there is one probe in
//! the whole fleet, and a change is logged and alerted once. A result is fenced by the same number: what
//! began before the last change no longer matters.
//!
//! What is deliberately absent: a count of requests. The [`Evidence`] is read from the log of attempts,
//! because a counter in this row would be written by everybody at once.
//!
//! Times are milliseconds since 1970, read from one clock for all (the database's).

mod settings;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use settings::{BreakerSettings, InvalidSettings};

use crate::retry::up_to_a_fifth;

/// A dataset's breaker: what its row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    pub state: State,
    /// Grows by one with every change.
    pub generation: i64,
    /// Why it is not closed. Once closed, none.
    pub reason: Option<Reason>,
    /// When the state last changed. Evidence counts from then.
    pub since_ms: i64,
    /// While open: when the wait ends.
    pub open_until_ms: Option<i64>,
    /// Consecutive openings, for the doubling wait.
    pub open_count: i32,
    /// A probe is out, until it is settled or lost. May outlive its half-open state, if that ended without
    /// it.
    pub probe_until_ms: Option<i64>,
    /// Of the probes since it became half-open.
    pub probe_successes: i32,
    pub probe_failures: i32,
    /// What an operator ordered. It decides what is permitted; the state goes on being recorded beneath it.
    pub manual: Manual,
    /// When the order lapses; without it, never.
    pub manual_until_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed,
    Open,
    HalfOpen,
}

/// Why a breaker is not closed, in the order of what it takes to end it. While several apply, the last one
/// stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Meta said wait. It answers, so time is enough.
    Throttled,
    /// Meta fails or is out of reach. Probes have to succeed.
    Errors,
    /// Meta refused event after event for the same cause, and took none in between. A person has to act,
    /// because each further event would be lost to the same refusal; then probes have to succeed.
    Refused,
    /// Meta refuses the dataset (token, permission, configuration). A person has to act, then probes have to
    /// succeed.
    Blocked,
}

/// An operator's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manual {
    /// None: the state decides.
    Automatic,
    ForcedOpen,
    ForcedClosed,
}

/// What the requests of a dataset taught within the window *and* since the breaker's `since_ms`.
///
/// A failure is a request that Meta did not answer, or answered with an error of its own. A refusal of an
/// event (400) proves that Meta is alive: no failure. Throttled and blocked requests, and refusals that do
/// not end, are told to [`Breaker::stop`] instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    pub requests: u32,
    pub failures: u32,
    /// The latest requests that failed without a success between or after them.
    pub consecutive_failures: u32,
}

/// What may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    Freely,
    /// One small batch, by whom [`Breaker::take_probe`] gives it to.
    Probe,
    Nothing,
}

/// What came of a probe. Every way out has one, or the breaker would wait for the probe's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// Meta answered: it took the events, or refused them for what they are.
    Succeeded,
    Failed,
    /// Nothing was learnt (nothing to send, a local error, a cancel).
    Released,
    /// As for [`Breaker::stop`].
    Stopped {
        reason: Reason,
        until_ms: Option<i64>,
    },
}

impl Breaker {
    /// The breaker of a new dataset.
    pub fn closed(now_ms: i64) -> Self {
        Breaker {
            state: State::Closed,
            generation: 0,
            reason: None,
            since_ms: now_ms,
            open_until_ms: None,
            open_count: 0,
            probe_until_ms: None,
            probe_successes: 0,
            probe_failures: 0,
            manual: Manual::Automatic,
            manual_until_ms: None,
        }
    }

    /// What may be sent now. Changes nothing: a wait that is over shows after the next [`tick`](Self::tick).
    pub fn permission(&self, now_ms: i64) -> Permission {
        match (self.manual_in_force(now_ms), self.state) {
            (Manual::ForcedClosed, _) | (Manual::Automatic, State::Closed) => Permission::Freely,
            (Manual::ForcedOpen, _) | (Manual::Automatic, State::Open) => Permission::Nothing,
            (Manual::Automatic, State::HalfOpen) if is_ahead(self.probe_until_ms, now_ms) => {
                Permission::Nothing
            }
            (Manual::Automatic, State::HalfOpen) => Permission::Probe,
        }
    }

    /// The operator's order, unless it has lapsed.
    pub fn manual_in_force(&self, now_ms: i64) -> Manual {
        match self.manual_until_ms {
            Some(until_ms) if until_ms <= now_ms => Manual::Automatic,
            _ => self.manual,
        }
    }

    /// What time and evidence change; `None`: nothing. `chance` in 0..=1 lengthens a wait by up to a fifth.
    ///
    /// Closed opens on failures. Open, when its wait is over, closes if it was throttled and half-opens
    /// otherwise. A lapsed order ends.
    pub fn tick(
        &self,
        evidence: &Evidence,
        now_ms: i64,
        settings: &BreakerSettings,
        chance: f64,
    ) -> Option<Breaker> {
        let mut next = self.without_lapsed_order(now_ms);
        match self.state {
            // What was counted before it closed is no evidence against it, so there is none at that very
            // instant.
            State::Closed if now_ms > self.since_ms && evidence.speaks_against_meta(settings) => {
                next.open(Reason::Errors, None, now_ms, settings, chance);
            }
            State::Open if !is_ahead(self.open_until_ms, now_ms) => match self.reason {
                // The count of openings stays: throttled again within the window, it waits twice as long.
                Some(Reason::Throttled) => next.close(now_ms),
                _ => next.enter(State::HalfOpen, now_ms),
            },
            _ => {}
        }
        next.change_of(self)
    }

    /// Meta said wait, or a person must act: opens whatever the state. `until_ms`: what Meta asked for, a
    /// floor.
    ///
    /// `None`: it is open already and waits long enough, as when several requests in flight bring the same
    /// news. A wait that runs is never shortened.
    pub fn stop(
        &self,
        reason: Reason,
        until_ms: Option<i64>,
        now_ms: i64,
        settings: &BreakerSettings,
        chance: f64,
    ) -> Option<Breaker> {
        let mut next = *self;
        if self.state == State::Open && is_ahead(self.open_until_ms, now_ms) {
            next.reason = self.reason.max(Some(reason));
            if until_ms > self.open_until_ms || next.reason != self.reason {
                let wait_until_ms = wait_until(self.open_count, until_ms, now_ms, settings, chance);
                next.open_until_ms = self.open_until_ms.max(Some(wait_until_ms));
            }
        } else {
            next.open(reason, until_ms, now_ms, settings, chance);
        }
        next.change_of(self)
    }

    /// Takes the one probe, whose result [`settle_probe`](Self::settle_probe) wants under the new generation.
    /// `None`: somebody has it, or no probe is called for.
    pub fn take_probe(&self, now_ms: i64, settings: &BreakerSettings) -> Option<Breaker> {
        if self.permission(now_ms) != Permission::Probe {
            return None;
        }
        // Else the next tick would end the order, and with its generation this probe's result.
        let mut next = self.without_lapsed_order(now_ms);
        next.probe_until_ms = Some(now_ms.saturating_add(settings.probe_lease_ms));
        next.change_of(self)
    }

    /// A probe came back. `generation`: the one it was taken under; if the breaker has changed since, the
    /// result is of the past and changes nothing (`None`).
    ///
    /// Closes once `probes_to_close` are in with a share of failures below `close_below`, and opens as soon
    /// as that is out of reach, to wait twice as long.
    pub fn settle_probe(
        &self,
        outcome: ProbeOutcome,
        generation: i64,
        now_ms: i64,
        settings: &BreakerSettings,
        chance: f64,
    ) -> Option<Breaker> {
        if generation != self.generation || self.state != State::HalfOpen || self.probe_until_ms.is_none() {
            return None;
        }
        let mut next = *self;
        next.probe_until_ms = None;
        match outcome {
            ProbeOutcome::Succeeded => next.probe_successes = self.probe_successes.saturating_add(1),
            ProbeOutcome::Failed => next.probe_failures = self.probe_failures.saturating_add(1),
            ProbeOutcome::Released => {}
            ProbeOutcome::Stopped { reason, until_ms } => {
                next.open(reason, until_ms, now_ms, settings, chance);
                return next.change_of(self);
            }
        }
        let probes = i64::from(next.probe_successes) + i64::from(next.probe_failures);
        if f64::from(next.probe_failures) / f64::from(settings.probes_to_close) >= settings.close_below {
            next.open(Reason::Errors, None, now_ms, settings, chance);
        } else if probes >= i64::from(settings.probes_to_close) {
            next.close(now_ms);
            next.open_count = 0;
        }
        next.change_of(self)
    }

    /// An operator's order, until `until_ms` or for good. [`Manual::Automatic`] withdraws it.
    pub fn set_manual(&self, manual: Manual, until_ms: Option<i64>) -> Breaker {
        Breaker {
            generation: self.generation.saturating_add(1),
            manual,
            manual_until_ms: until_ms.filter(|_| manual != Manual::Automatic),
            ..*self
        }
    }

    /// A person removed the cause (a new token was entered): an open breaker may probe now, before its wait
    /// is over. `None`: it is not open, or Meta itself asked for the wait.
    pub fn retry_at_once(&self, now_ms: i64) -> Option<Breaker> {
        if self.state != State::Open || self.reason == Some(Reason::Throttled) {
            return None;
        }
        let mut next = *self;
        next.enter(State::HalfOpen, now_ms);
        next.change_of(self)
    }

    fn open(
        &mut self,
        reason: Reason,
        asked_ms: Option<i64>,
        now_ms: i64,
        settings: &BreakerSettings,
        chance: f64,
    ) {
        let forgotten =
            self.state == State::Closed && now_ms.saturating_sub(self.since_ms) >= settings.window_ms;
        let openings_before = if forgotten { 0 } else { self.open_count };
        self.open_count = openings_before.saturating_add(1);
        self.reason = self.reason.max(Some(reason));
        self.enter(State::Open, now_ms);
        self.open_until_ms = Some(wait_until(self.open_count, asked_ms, now_ms, settings, chance));
    }

    fn close(&mut self, now_ms: i64) {
        self.reason = None;
        self.probe_until_ms = None;
        self.enter(State::Closed, now_ms);
    }

    /// Keeps the lease of a probe that is still out, so that there are never two.
    fn enter(&mut self, state: State, now_ms: i64) {
        self.state = state;
        self.since_ms = now_ms;
        self.open_until_ms = None;
        self.probe_successes = 0;
        self.probe_failures = 0;
    }

    fn without_lapsed_order(&self, now_ms: i64) -> Breaker {
        match self.manual_in_force(now_ms) {
            Manual::Automatic => Breaker {
                manual: Manual::Automatic,
                manual_until_ms: None,
                ..*self
            },
            Manual::ForcedOpen | Manual::ForcedClosed => *self,
        }
    }

    /// This as the successor of `before`, if it differs.
    fn change_of(self, before: &Breaker) -> Option<Breaker> {
        (self != *before).then(|| Breaker {
            generation: before.generation.saturating_add(1),
            ..self
        })
    }
}

impl Evidence {
    fn speaks_against_meta(&self, settings: &BreakerSettings) -> bool {
        let too_many = self.requests >= settings.min_requests
            && f64::from(self.failures) / f64::from(self.requests) > settings.open_above;
        let in_a_row =
            settings.consecutive_failures > 0 && self.consecutive_failures >= settings.consecutive_failures;
        too_many || in_a_row
    }
}

/// When a wait that begins now ends: ours or what Meta asked for, whichever is longer, and up to a fifth of
/// it.
fn wait_until(
    open_count: i32,
    asked_ms: Option<i64>,
    now_ms: i64,
    settings: &BreakerSettings,
    chance: f64,
) -> i64 {
    let ours_ms = now_ms.saturating_add(settings.open_for(open_count));
    let least_ms = ours_ms.max(asked_ms.unwrap_or(ours_ms));
    let wait = Duration::from_millis(least_ms.saturating_sub(now_ms).unsigned_abs());
    let extra = up_to_a_fifth(wait, chance).as_millis();
    least_ms.saturating_add(i64::try_from(extra).expect("a fifth of an i64 fits in one"))
}

fn is_ahead(until_ms: Option<i64>, now_ms: i64) -> bool {
    until_ms.is_some_and(|until_ms| until_ms > now_ms)
}

impl State {
    const ALL: [State; 3] = [State::Closed, State::Open, State::HalfOpen];

    /// The word for it in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Open => "open",
            State::HalfOpen => "half_open",
        }
    }

    /// The reverse of [`as_str`](Self::as_str). `None`: a word of a version to come. Whoever reads rows skips
    /// that one, says so and goes on with the others.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl Reason {
    const ALL: [Reason; 4] = [
        Reason::Throttled,
        Reason::Errors,
        Reason::Refused,
        Reason::Blocked,
    ];

    /// The word for it in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Throttled => "throttled",
            Reason::Errors => "errors",
            Reason::Refused => "refused",
            Reason::Blocked => "blocked",
        }
    }

    /// The reverse of [`as_str`](Self::as_str). `None`: a word of a version to come. Whoever reads rows skips
    /// that one, says so and goes on with the others.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

impl Manual {
    const ALL: [Manual; 3] = [Manual::Automatic, Manual::ForcedOpen, Manual::ForcedClosed];

    /// The word for it in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Manual::Automatic => "automatic",
            Manual::ForcedOpen => "forced_open",
            Manual::ForcedClosed => "forced_closed",
        }
    }

    /// The reverse of [`as_str`](Self::as_str). `None`: a word of a version to come. Whoever reads rows skips
    /// that one, says so and goes on with the others.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|manual| manual.as_str() == word)
    }
}
