//! What the program is told: where things are by argument, secrets by variable, because arguments are for all to see.

use anyhow::{Context, bail};
use secrecy::SecretString;
use std::path::PathBuf;

pub(crate) const USAGE: &str = "\
Sends the demo's events through a running gateway and accounts for them.

Usage: rastro-demo --gateway URL --sandbox URL --out FILE [options]

  --gateway URL            the gateway, such as http://127.0.0.1:8080
  --sandbox URL            the stand-in for Meta
  --out FILE               where the account is written as JSON, readable by you alone
  --dataset ID             counts only this dataset's events at the stand-in
  --gateway-health URL     where the gateway has /healthz, /readyz and /metrics; for the account's list of addresses
  --forwarder-health URL   the same of the forwarder
  --seed N                 other people and other journeys (default 1)
  --help                   prints this

Secrets are variables:
  RASTRO_DEMO_DATABASE_URL, RASTRO_DEMO_SEALING_KEY   as the services have them
  RASTRO_DEMO_PUBLISHABLE_KEY, RASTRO_DEMO_SECRET_KEY   the keys of the dataset
  DATABASE_URL   if it names the same database, the account shows the variable instead of the address
";

pub(crate) struct Options {
    pub(crate) gateway: String,
    pub(crate) sandbox: String,
    pub(crate) out: PathBuf,
    pub(crate) dataset_id: Option<String>,
    pub(crate) gateway_health: Option<String>,
    pub(crate) forwarder_health: Option<String>,
    pub(crate) seed: u64,
    pub(crate) database_url: SecretString,
    pub(crate) sealing_key: SecretString,
    pub(crate) publishable_key: SecretString,
    pub(crate) secret_key: SecretString,
    /// The database as it may be shown on a terminal, for `psql`.
    pub(crate) psql: String,
}

/// A variable of the environment, if it is set to something.
#[expect(
    clippy::disallowed_methods,
    reason = "this module is the program's configuration"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Options {
    /// Reads arguments and variables. `None` when help was asked for.
    pub(crate) fn read(
        mut arguments: impl Iterator<Item = String>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Option<Self>> {
        let (mut gateway, mut sandbox, mut out) = (None, None, None);
        let (mut dataset_id, mut gateway_health, mut forwarder_health) = (None, None, None);
        let mut seed = 1;
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{flag} needs a value"));
            match flag.as_str() {
                "--help" => return Ok(None),
                "--gateway" => gateway = Some(value()?),
                "--sandbox" => sandbox = Some(value()?),
                "--out" => out = Some(PathBuf::from(value()?)),
                "--dataset" => dataset_id = Some(value()?),
                "--gateway-health" => gateway_health = Some(value()?),
                "--forwarder-health" => forwarder_health = Some(value()?),
                "--seed" => {
                    seed = value()?
                        .parse()
                        .context("--seed takes a number that is not negative")?;
                }
                _ => bail!("unknown argument {flag}; see --help"),
            }
        }
        let secret = |name: &str| {
            variable(name).with_context(|| format!("the variable {name} is missing; see --help"))
        };
        let database_url = secret("RASTRO_DEMO_DATABASE_URL")?;
        // A database of one's own may have a password that should not be left on the screen.
        let is_ones_own = variable("DATABASE_URL").as_ref() == Some(&database_url);
        Ok(Some(Options {
            gateway: gateway.context("--gateway is missing; see --help")?,
            sandbox: sandbox.context("--sandbox is missing; see --help")?,
            out: out.context("--out is missing; see --help")?,
            dataset_id,
            gateway_health,
            forwarder_health,
            seed,
            psql: if is_ones_own {
                "$DATABASE_URL".to_owned()
            } else {
                database_url.clone()
            },
            database_url: database_url.into(),
            sealing_key: secret("RASTRO_DEMO_SEALING_KEY")?.into(),
            publishable_key: secret("RASTRO_DEMO_PUBLISHABLE_KEY")?.into(),
            secret_key: secret("RASTRO_DEMO_SECRET_KEY")?.into(),
        }))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const WORDS: &str = "--gateway http://g --sandbox http://s --out account.json --gateway-health http://gh";

    pub(crate) fn read(
        words: &str,
        missing: &str,
        database: Option<&str>,
    ) -> anyhow::Result<Option<Options>> {
        let variable = |name: &str| match name {
            "DATABASE_URL" => database.map(str::to_owned),
            name => (name != missing).then(|| format!("value of {name}")),
        };
        Options::read(words.split_whitespace().map(str::to_owned), variable)
    }

    pub(crate) fn options() -> Options {
        read(&format!("{WORDS} --dataset 42"), "", None).unwrap().unwrap()
    }

    #[test]
    fn arguments_and_variables_become_the_options() {
        let options = options();
        assert_eq!(
            (options.gateway.as_str(), options.sandbox.as_str(), options.seed),
            ("http://g", "http://s", 1)
        );
        assert_eq!(options.gateway_health.as_deref(), Some("http://gh"));
        assert_eq!(
            options.secret_key.expose_secret(),
            "value of RASTRO_DEMO_SECRET_KEY"
        );
        assert_eq!(
            read(&format!("{WORDS} --seed 7"), "", None)
                .unwrap()
                .unwrap()
                .seed,
            7
        );
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        for (words, missing, named) in [
            ("--sandbox http://s --out o", "", "--gateway"),
            (WORDS, "RASTRO_DEMO_SEALING_KEY", "RASTRO_DEMO_SEALING_KEY"),
            ("--gatewya http://g", "", "--gatewya"),
            ("--gateway", "", "--gateway"),
            ("--seed many", "", "--seed"),
        ] {
            let error = read(words, missing, None).err().unwrap().to_string();
            assert!(error.contains(named), "{error}");
        }
        assert!(read("--help", "", None).unwrap().is_none());
    }

    #[test]
    fn the_address_of_ones_own_database_is_not_shown() {
        let own = read(WORDS, "", Some("value of RASTRO_DEMO_DATABASE_URL"))
            .unwrap()
            .unwrap();
        assert_eq!(own.psql, "$DATABASE_URL");
        let private = read(WORDS, "", Some("postgres://another")).unwrap().unwrap();
        assert_eq!(private.psql, "value of RASTRO_DEMO_DATABASE_URL");
    }
}
