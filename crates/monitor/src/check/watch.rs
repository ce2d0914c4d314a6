//! The two rules that a check cannot evaluate: that no check runs, and that the database is away. The
//! dashboard stays up, and asks these.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rastro_core::alert::Rule;
use rastro_core::alert::state::{Side, side};
use rastro_store::Leadership;

use super::{Monitor, Report, decide, evaluate, send, small};
use crate::notify::{Bundle, BundleKind, Channel, Item};
use crate::words;

impl Monitor {
    /// Says that no check has gone well for too long, or that they go well again. For a process that is not
    /// `monitor check`, once a minute. `started_at`: when that process began, for a system on which no check
    /// ever ran.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn watch_checks(&self, started_at: DateTime<Utc>) -> anyhow::Result<Report> {
        let mut lock = Leadership::of_monitor(self.store.clone());
        if !lock.take().await? {
            // A check is under way.
            return Ok(Report {
                was_busy: true,
                ..Report::default()
            });
        }
        let now = self.now().await?;
        let measured = evaluate::check_silent(&self.store.last_runs().await?, started_at);
        let mut current = self.store.current_alerts().await?;
        current.retain(|alert| alert.rule == Rule::CheckSilent);
        let silences = self.store.silences().await?;
        let channels: Vec<&'static str> = self.channels.iter().map(Channel::name).collect();
        let situation = decide::Situation {
            rules: &self.config.alerts,
            silences: &silences,
            channels: &channels,
            now,
        };
        let decided = decide::decide(
            &current,
            vec![(Rule::CheckSilent, Ok(vec![measured]))],
            &situation,
        );
        self.store.change_alerts(&decided.changes).await?;
        let sent = send::everything(self, now).await;
        let mut report = Report::default();
        report.run.transitions = small(decided.transitions);
        report.run.messages_sent = small(sent.messages);
        report.run.error = (!sent.errors.is_empty()).then(|| sent.errors.join("; "));
        Ok(report)
    }

    /// Whether the database has been away for so long that it is to be said.
    pub fn database_is_down(&self, unanswered_for: Duration) -> bool {
        let measured = evaluate::database_down(unanswered_for);
        let thresholds = self.config.alerts.of(Rule::DatabaseDown);
        thresholds.enabled && side(Rule::DatabaseDown, measured.value, thresholds) == Side::Beyond
    }

    /// Says that the database is away, or (`is_back`) that it answers again, without the database: once for
    /// each, it is for the caller to remember. Returns what did not go well.
    pub async fn tell_database_down(
        &self,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
        is_back: bool,
    ) -> Vec<String> {
        let lasted = (now - since).to_std().unwrap_or_default();
        let measured = evaluate::database_down(lasted);
        let (kind, word) = match is_back {
            true => (BundleKind::Resolved, "resolved"),
            false => (BundleKind::Opened, "opened"),
        };
        let thread = format!("database-down-{}", since.timestamp());
        let mut errors = Vec::new();
        for channel in &self.channels {
            let item = Item {
                alert_id: 0,
                rule: Rule::DatabaseDown,
                sentence: words::headline(Rule::DatabaseDown, &measured.facts, now, channel.language()),
                since,
                lasted_seconds: is_back.then(|| (now - since).num_seconds()),
                is_unstable: false,
            };
            let bundle = Bundle {
                key: format!("{thread}-{word}-1"),
                thread: thread.clone(),
                kind,
                severity: measured.severity,
                items: vec![item],
                daily: None,
                note: None,
                opened_as: None,
                still_open: false,
                public_url: self.config.dashboard.public_url.clone(),
                local_since: self.local(since).format("%H:%M").to_string(),
            };
            if let Err(error) = channel.send(&bundle).await {
                errors.push(error.to_string());
            }
        }
        errors
    }
}
