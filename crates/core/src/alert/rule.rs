//! The rules by name, and what each of them is.

use serde::{Deserialize, Serialize};

/// How much somebody is in a hurry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// In the daily mail only.
    Info,
    /// Today.
    Warning,
    /// Now: it wakes somebody.
    Critical,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Severity::Info, Severity::Warning, Severity::Critical]
            .into_iter()
            .find(|severity| severity.as_str() == word)
    }
}

/// On which side of its threshold a value is a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Fires above `fires`, clears below `clears`.
    Above,
    /// Fires below `fires`, clears from `clears` on.
    Below,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $severity:ident;)+) => {
        /// What is watched. The names are those of the configuration, of the tables and, with hyphens, of the
        /// runbook's headings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[$doc])* $variant,)+
        }

        impl Rule {
            pub const ALL: &'static [Rule] = &[$(Rule::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Rule::$variant => $name,)+
                }
            }

            /// As severe as it is where its measurement says nothing else.
            pub fn severity(self) -> Severity {
                match self {
                    $(Rule::$variant => Severity::$severity,)+
                }
            }
        }
    };
}

rules! {
    /// The share of attempts of events that failed, in percent.
    ErrorRate = "error_rate", Critical;
    /// The share of requests that took longer than 2 s or were not answered, in percent.
    Latency = "latency", Warning;
    /// The share of what was received that had been received before, in percent.
    Duplicates = "duplicates", Warning;
    /// A breaker is not closed because requests failed: Meta's API is down.
    BreakerErrors = "breaker_errors", Critical;
    /// ... because Meta refuses the access token.
    BreakerBlocked = "breaker_blocked", Critical;
    /// ... because Meta refused event after event for the same cause.
    BreakerRefused = "breaker_refused", Critical;
    /// Seconds for which Meta has said wait.
    BreakerThrottled = "breaker_throttled", Warning;
    /// Seconds for which an operator's order has been in force.
    BreakerForced = "breaker_forced", Info;
    /// Dead letters of one cause that nobody was told of.
    DeadLetters = "dead_letters", Warning;
    /// Undelivered events that Meta will refuse soon for their age.
    Expiring = "expiring", Warning;
    /// Seconds for which the oldest ready event has waited.
    QueueAge = "queue_age", Critical;
    /// Seconds by which retries are late.
    RetryOverdue = "retry_overdue", Critical;
    /// Days ahead for which events can be stored.
    Partitions = "partitions", Critical;
    /// How likely it is by chance that nothing came.
    Silence = "silence", Warning;
    /// How many times faster than allowed the delivery goal is being spent.
    DeliveryBudget = "delivery_budget", Warning;
    /// Events of a closed day that are nowhere.
    Conservation = "conservation", Critical;
    /// Events that Meta did not confirm of requests that it accepted.
    PartialAck = "partial_ack", Critical;
    /// Meta's score of an event name.
    EmqDrop = "emq_drop", Info;
    /// Seconds for which Meta's score could not be read.
    EmqUnreadable = "emq_unreadable", Info;
    /// Seconds for which real events have carried a test code.
    TestCode = "test_code", Warning;
    /// Days until Meta ends the API version that is used.
    ApiVersion = "api_version", Info;
    /// Seconds since the newest day of ad spend ended.
    SpendStale = "spend_stale", Warning;
    /// Approved payments without a purchase.
    Reconciliation = "reconciliation", Critical;
    /// Seconds up to which an account's payments are known.
    PaymentsUnread = "payments_unread", Critical;
    /// Payments that a person has to look at: disputes, orders paid twice, webhooks that did not come.
    PaymentsOdd = "payments_odd", Warning;
    /// Return on ad spend.
    RoasLow = "roas_low", Info;
    /// Cost of a new customer.
    CacHigh = "cac_high", Info;
    /// Runs in a row in which a rule could not be evaluated.
    CheckFailing = "check_failing", Warning;
    /// Seconds since the last good run of `monitor check`; evaluated by the dashboard.
    CheckSilent = "check_silent", Critical;
    /// Seconds for which the database has not answered; evaluated by the dashboard.
    DatabaseDown = "database_down", Critical;
}

impl Rule {
    pub fn parse(name: &str) -> Option<Self> {
        Rule::ALL.iter().copied().find(|rule| rule.as_str() == name)
    }

    /// Its heading in the runbook, as the end of an address: `error-rate`.
    pub fn anchor(self) -> String {
        self.as_str().replace('_', "-")
    }

    /// Whether twice the value is worse. How long something has lasted grows by itself, and is no news.
    pub fn grows(self) -> bool {
        matches!(
            self,
            Rule::ErrorRate
                | Rule::Latency
                | Rule::Duplicates
                | Rule::DeadLetters
                | Rule::Expiring
                | Rule::PartialAck
                | Rule::Reconciliation
                | Rule::PaymentsOdd
        )
    }

    pub fn direction(self) -> Direction {
        match self {
            Rule::Partitions | Rule::Silence | Rule::EmqDrop | Rule::ApiVersion | Rule::RoasLow => {
                Direction::Below
            }
            _ => Direction::Above,
        }
    }
}
