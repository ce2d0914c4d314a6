//! The channels: Slack and e-mail.

use crate::config::NotifyConfig;

/// Whether the channels are configured in a way that can be meant.
pub(crate) fn check(_config: &NotifyConfig) -> anyhow::Result<()> {
    Ok(())
}
