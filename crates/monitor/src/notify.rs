//! The channels: Slack and e-mail. What is said at once to one channel is one [`Bundle`]; each channel says
//! it in its own way.

mod bundle;
pub mod email;
pub mod slack;

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::config::{Config, NotifyConfig};
use crate::words::Language;

pub use bundle::{Bundle, BundleKind, Daily, Item, LISTED};
pub use email::Email;
pub use slack::Slack;

/// The names of the channels, as they are stored.
pub const SLACK: &str = "slack";
pub const EMAIL: &str = "email";

/// Why something was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It may go later: after so long, if the channel said.
    #[error("{message}")]
    Later { message: String, wait: Option<Duration> },
    /// Nothing was heard of the channel: nothing else would go either, for now.
    #[error("{0}")]
    Away(String),
    /// This will never go; others may.
    #[error("{0}")]
    Refused(String),
    /// Nothing will go until somebody changes the configuration.
    #[error("{0}")]
    Off(String),
}

/// One channel that is configured.
pub enum Channel {
    Slack(Slack),
    Email(Email),
}

impl Channel {
    pub fn name(&self) -> &'static str {
        match self {
            Channel::Slack(_) => SLACK,
            Channel::Email(_) => EMAIL,
        }
    }

    pub fn language(&self) -> Language {
        match self {
            Channel::Slack(slack) => slack.language,
            Channel::Email(email) => email.language,
        }
    }

    /// Another after its configuration was changed.
    pub fn config_hash(&self) -> [u8; 32] {
        match self {
            Channel::Slack(slack) => slack.config_hash,
            Channel::Email(email) => email.config_hash,
        }
    }

    /// Whom it reaches, each by itself and by a hash: one Slack channel, several addresses.
    pub fn recipients(&self) -> Vec<[u8; 32]> {
        match self {
            Channel::Slack(slack) => vec![slack.config_hash],
            Channel::Email(email) => email.recipients(),
        }
    }

    /// Says it to one of the [`recipients`](Self::recipients), by place; returns the channel's own name of
    /// the message.
    ///
    /// # Errors
    /// When it was not said.
    pub async fn send(&self, bundle: &Bundle, recipient: usize) -> Result<Option<String>, SendError> {
        match self {
            Channel::Slack(slack) => slack.send(bundle).await,
            Channel::Email(email) => email.send(bundle, recipient).await.map(Some),
        }
    }
}

/// The channels that are configured.
///
/// # Errors
/// When one is configured in a way that cannot be meant.
pub fn channels(config: &Config) -> anyhow::Result<Vec<Channel>> {
    let mut channels = Vec::new();
    channels.extend(Slack::new(&config.notify)?.map(Channel::Slack));
    channels.extend(Email::new(&config.notify)?.map(Channel::Email));
    Ok(channels)
}

/// Whether the channels are configured in a way that can be meant.
pub(crate) fn check(config: &NotifyConfig) -> anyhow::Result<()> {
    Slack::new(config)?;
    Email::check(config)
}

fn hash(parts: &[&str]) -> [u8; 32] {
    Sha256::digest(parts.join("\n")).into()
}
