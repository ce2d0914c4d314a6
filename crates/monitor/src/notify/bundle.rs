//! What is said at once, before any channel's own form: the sentences, what to do, and where to look.

use chrono::{DateTime, Utc};
use rastro_core::alert::{Rule, Severity};

use crate::words::{self, Language};

/// As many are listed; the rest is a number.
pub const LISTED: usize = 10;

/// One alert, in the channel's language.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// 0: it is stored nowhere.
    pub alert_id: i64,
    pub rule: Rule,
    pub sentence: String,
    /// When it fired.
    pub since: DateTime<Utc>,
    /// For how long it was open, once it is resolved.
    pub lasted_seconds: Option<i64>,
    /// Its worst value, once it is resolved, of a rule whose value can become worse.
    pub worst: Option<String>,
    /// What stopped while it was open, once it is resolved, as a sentence.
    pub stopped: Option<String>,
    /// It comes and goes: nothing more is said until it is quiet.
    pub is_unstable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleKind {
    Opened,
    Worse,
    Reminder,
    Resolved,
    /// Opened ones with others beside them.
    Mixed,
    Daily,
    ChannelOff,
    Test,
}

/// The morning's mail.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Daily {
    /// Name and value, both in the channel's language.
    pub figures: Vec<(String, String)>,
    pub open: Vec<String>,
    pub information: Vec<String>,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// The same when it is sent again: `alert-41-opened-1`.
    pub key: String,
    /// What all messages about it have in common: `alert-41`.
    pub thread: String,
    pub kind: BundleKind,
    pub severity: Severity,
    pub items: Vec<Item>,
    /// Of a daily mail.
    pub daily: Option<Daily>,
    /// Of a channel that was switched off: which, and why.
    pub note: Option<String>,
    /// The channel's own name of the message that opened it, to be edited.
    pub opened_as: Option<String>,
    /// Something of that message is still open.
    pub still_open: bool,
    /// The address of the dashboard, or nothing.
    pub public_url: String,
    /// Local time of day of the first item, for a reader whose client cannot convert it.
    pub local_since: String,
}

impl Item {
    /// `11 min; pior: 38 %`: of one that is resolved.
    pub fn summary(&self, language: Language) -> Option<String> {
        let lasted = words::duration(self.lasted_seconds?);
        Some(match &self.worst {
            None => lasted,
            Some(worst) => language.pick(
                format!("{lasted}; pior: {worst}"),
                format!("{lasted}; worst: {worst}"),
            ),
        })
    }

    /// Its sentence, and what was lost meanwhile.
    pub fn whole_sentence(&self) -> String {
        match &self.stopped {
            None => self.sentence.clone(),
            Some(stopped) => format!("{} {stopped}", self.sentence),
        }
    }
}

impl Bundle {
    /// The first line: severity, what, where, how bad. It is the subject of a mail and what a phone shows.
    pub fn first_line(&self, language: Language) -> String {
        match self.kind {
            BundleKind::Daily => return self.daily_line(language),
            BundleKind::ChannelOff => {
                let note = self.note.as_deref().unwrap_or_default();
                let text = language.pick(
                    format!("O canal de avisos foi desligado: {note}"),
                    format!("An alert channel was switched off: {note}"),
                );
                return words::subject_line(self.severity, &text, language);
            }
            BundleKind::Test => {
                return language
                    .pick(
                        "Mensagem de teste do Rastro: este canal funciona.",
                        "Test message of Rastro: this channel works.",
                    )
                    .to_owned();
            }
            _ => {}
        }
        let sentence = match self.items.as_slice() {
            [one] => one.sentence.clone(),
            [first, rest @ ..] => {
                let more = words::count(i64::try_from(rest.len()).unwrap_or(i64::MAX), language);
                language.pick(
                    format!("{} E mais {more}.", first.sentence),
                    format!("{} And {more} more.", first.sentence),
                )
            }
            [] => String::new(),
        };
        match self.kind {
            BundleKind::Resolved => {
                let summary = match self.items.as_slice() {
                    [one] => one.summary(language),
                    many => {
                        let lasted = many.iter().filter_map(|item| item.lasted_seconds).max();
                        lasted.map(words::duration)
                    }
                };
                let summary = summary.unwrap_or_default();
                language.pick(
                    format!("Resolvido ({summary}): {sentence}"),
                    format!("Resolved ({summary}): {sentence}"),
                )
            }
            kind => {
                let again = match kind {
                    BundleKind::Reminder => language.pick("Ainda: ", "Still: "),
                    BundleKind::Worse => language.pick("Piorou: ", "Worse: "),
                    _ => "",
                };
                words::subject_line(self.severity, &format!("{again}{sentence}"), language)
            }
        }
    }

    fn daily_line(&self, language: Language) -> String {
        let open = self.daily.as_ref().map_or(0, |daily| daily.open.len());
        match open {
            0 => language
                .pick(
                    "Bom dia: tudo chega à Meta.",
                    "Good morning: everything reaches Meta.",
                )
                .to_owned(),
            1 => language
                .pick("Bom dia: 1 alerta aberto.", "Good morning: 1 open alert.")
                .to_owned(),
            open => language.pick(
                format!("Bom dia: {open} alertas abertos."),
                format!("Good morning: {open} open alerts."),
            ),
        }
    }

    /// `e mais 7`: of those that are not listed.
    pub fn rest(&self, language: Language) -> Option<String> {
        let rest = self.items.len().checked_sub(LISTED).filter(|rest| *rest > 0)?;
        let rest = words::count(i64::try_from(rest).unwrap_or(i64::MAX), language);
        Some(language.pick(format!("e mais {rest}"), format!("and {rest} more")))
    }

    /// Where to look, if there is a dashboard.
    pub fn alert_url(&self) -> Option<String> {
        let base = self.base()?;
        Some(match self.items.as_slice() {
            [one] if one.alert_id > 0 => format!("{base}/alertas/{}", one.alert_id),
            _ => format!("{base}/alertas"),
        })
    }

    /// What to do, if there is a dashboard.
    pub fn runbook_url(&self) -> Option<String> {
        let rule = self.items.first()?.rule;
        Some(format!("{}/runbook#{}", self.base()?, rule.anchor()))
    }

    fn base(&self) -> Option<&str> {
        Some(self.public_url.trim_end_matches('/')).filter(|url| !url.is_empty())
    }

    /// Marks of an alert that comes and goes.
    pub fn unstable_note(language: Language) -> &'static str {
        language.pick(
            "Instável: vai e volta. Nada mais será dito até uma hora de calma.",
            "Unstable: it comes and goes. Nothing more will be said until an hour of quiet.",
        )
    }
}
