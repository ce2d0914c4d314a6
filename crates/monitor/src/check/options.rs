//! How `monitor check` was started.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rastro_core::alert::Rule;

/// From the command line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Again and again, so long after each other.
    pub every: Option<Duration>,
    /// Say what this run would say, and change nothing.
    pub dry_run: bool,
    pub replay: Option<Replay>,
}

/// When a rule would have fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    pub days: u32,
    /// `None`: every rule that can be replayed.
    pub rule: Option<Rule>,
    /// With this threshold instead of the configured one.
    pub fires: Option<f64>,
}

impl Options {
    /// It evaluates and says: what nobody asked to be told of is no run.
    pub fn is_a_run(&self) -> bool {
        !self.dry_run && self.replay.is_none()
    }

    /// # Errors
    /// When there is a word that means nothing.
    pub fn parse(words: &[&str]) -> anyhow::Result<Self> {
        let mut options = Options::default();
        let (mut rule, mut fires) = (None, None);
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .copied()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word {
                "--dry-run" => options.dry_run = true,
                "--every" => options.every = Some(duration(value()?)?),
                "--replay" => {
                    let days = duration(value()?)?.as_secs() / 86_400;
                    ensure!((1..=366).contains(&days), "--replay takes 1d to 366d");
                    options.replay = Some(Replay {
                        days: u32::try_from(days)?,
                        rule: None,
                        fires: None,
                    });
                }
                "--rule" => {
                    let name = value()?;
                    rule = Some(Rule::parse(name).with_context(|| format!("there is no rule {name:?}"))?);
                }
                "--fires" => {
                    let text = value()?;
                    let number = text.trim_end_matches('%').parse();
                    fires = Some(number.with_context(|| format!("--fires: {text:?} is no number"))?);
                }
                _ => bail!("monitor check knows no {word:?}"),
            }
        }
        match &mut options.replay {
            Some(replay) => (replay.rule, replay.fires) = (rule, fires),
            None => ensure!(
                rule.is_none() && fires.is_none(),
                "--rule and --fires belong to --replay"
            ),
        }
        ensure!(
            u8::from(options.every.is_some())
                + u8::from(options.dry_run)
                + u8::from(options.replay.is_some())
                <= 1,
            "choose one of --every, --dry-run and --replay"
        );
        Ok(options)
    }
}

/// `60s`, `5m`, `2h`, `30d`.
fn duration(text: &str) -> anyhow::Result<Duration> {
    let split = text.len().saturating_sub(1);
    let (number, unit) = text.split_at_checked(split).unwrap_or((text, ""));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => bail!("{text:?} is no time: write 60s, 5m, 2h or 30d"),
    };
    let number: u64 = number.parse().with_context(|| format!("{text:?} is no time"))?;
    ensure!(number > 0 && number < 100_000, "{text:?} is no time");
    Ok(Duration::from_secs(number * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_nonsense_is_refused() {
        assert_eq!(Options::parse(&[]).unwrap(), Options::default());
        let every = Options::parse(&["--every", "60s"]).unwrap();
        assert_eq!(every.every, Some(Duration::from_secs(60)));
        let replay = Options::parse(&["--replay", "30d", "--rule", "error_rate", "--fires", "8%"]).unwrap();
        assert_eq!(
            replay.replay,
            Some(Replay {
                days: 30,
                rule: Some(Rule::ErrorRate),
                fires: Some(8.0)
            })
        );
        for nonsense in [
            &["--every"][..],
            &["--every", "60"],
            &["--every", "0s"],
            &["--every", "ç"],
            &["--replay", "5m"],
            &["--rule", "error_rate"],
            &["--replay", "30d", "--rule", "error"],
            &["--replay", "30d", "--dry-run"],
            &["now"],
        ] {
            assert!(Options::parse(nonsense).is_err(), "{nonsense:?}");
        }
    }
}
