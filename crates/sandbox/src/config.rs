//! How a sandbox is set up: where it listens, whom it knows, how much it remembers.

use std::net::SocketAddr;

use crate::clock::SandboxClock;

/// An access token and the dataset it may write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenGrant {
    pub token: String,
    /// `None`: any dataset.
    pub dataset_id: Option<String>,
}

/// Settings of one sandbox. The default knows no token, so it refuses every request until one is granted.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The tokens that exist. One token may be granted several datasets, and one dataset several tokens.
    pub tokens: Vec<TokenGrant>,
    /// Tokens that may send events and read nothing, as those that a client makes by hand in Events Manager.
    pub send_only_tokens: Vec<String>,
    /// When set, every call must carry `appsecret_proof`: hex HMAC-SHA256 of the token under this secret.
    pub app_secret: Option<String>,
    /// How many of the newest events are kept whole, for inspection. 0 keeps none, which is what a load test
    /// wants.
    pub keep_events: usize,
    /// How many of the newest requests are kept for inspection.
    pub keep_requests: usize,
    /// Takes 32 hex digits (MD5) in hashed user parameters. Official SDKs pass them through, but Meta
    /// documents only SHA-256, so the default refuses them.
    pub accept_md5: bool,
    /// Threads that serve requests.
    pub workers: usize,
    pub clock: SandboxClock,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tokens: Vec::new(),
            send_only_tokens: Vec::new(),
            app_secret: None,
            keep_events: 10_000,
            keep_requests: 1_000,
            accept_md5: false,
            workers: 1,
            clock: SandboxClock::system(),
        }
    }
}

impl SandboxConfig {
    /// Grants `token` this dataset.
    #[must_use]
    pub fn with_token(mut self, dataset_id: impl Into<String>, token: impl Into<String>) -> Self {
        self.tokens.push(TokenGrant {
            token: token.into(),
            dataset_id: Some(dataset_id.into()),
        });
        self
    }

    /// Grants `token` every dataset, whatever its id.
    #[must_use]
    pub fn with_token_for_any_dataset(mut self, token: impl Into<String>) -> Self {
        self.tokens.push(TokenGrant {
            token: token.into(),
            dataset_id: None,
        });
        self
    }
}
