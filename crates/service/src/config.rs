//! Configuration in layers, each overriding the one before:
//!
//! 1. the TOML embedded in the service, which is also the documentation of every key,
//! 2. the TOML file named by `RASTRO_CONFIG`, if that is set and not empty,
//! 3. variables: `RASTRO__DATABASE__URL=...` sets key `url` of section `[database]`,
//! 4. variables that name a file: `RASTRO__DATABASE__URL_FILE=/run/secrets/url` sets the same key to what the
//!    file contains, less one line break at its end. (So no key's own name may end in `_file`.)
//!
//! A variable's text becomes whatever type its field has: `123` is a number for a number and text for a
//! `String` or a secret. **Lists:** where the embedded TOML has a list, the variable is split at commas;
//! blanks around items are dropped, one item needs no comma and the empty variable is the empty list. A field
//! that is a list must therefore be in the embedded TOML, if only as `[]`.
//!
//! Give every section `#[serde(deny_unknown_fields)]`: a misspelt variable then stops the start with an error
//! that names it. A value of the wrong type is not quoted, as it may be a secret; a field type that words
//! its own errors (with `serde::de::Error::custom`) must see to that itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail, ensure};
use config::{Config, ConfigError, File, FileFormat, Map, Source, Value, ValueKind};
use serde::de::DeserializeOwned;

/// What a secret is kept in: `Debug` says `[REDACTED]`, and reading it takes a visible `expose_secret()`.
pub use secrecy::{ExposeSecret, SecretString};

const FILE_VARIABLE: &str = "RASTRO_CONFIG";
const PREFIX: &str = "RASTRO__";
const SEPARATOR: &str = "__";
const FROM_FILE_SUFFIX: &str = "_file";

/// The TOML embedded in a service. A plain `&str` is one text without common sections.
#[derive(Debug, Clone, Copy)]
pub struct Embedded<'a> {
    /// What is the same in every service, and what is the service's own.
    pub toml: [&'a str; 2],
    /// Sections that every service has. They are read into the one field [`COMMON`] of the configuration.
    pub common: &'a [&'a str],
}

/// The field that holds the common sections. Nobody configures it by this name.
pub const COMMON: &str = "common";

impl<'a> From<&'a str> for Embedded<'a> {
    fn from(toml: &'a str) -> Self {
        Embedded {
            toml: ["", toml],
            common: &[],
        }
    }
}

/// Reads the configuration from the embedded TOML, the file and the variables of this process.
///
/// # Errors
/// When a file cannot be read or parsed, a key is unknown, missing, of the wrong type, or set by two
/// variables.
pub fn load<'a, T: DeserializeOwned>(embedded: impl Into<Embedded<'a>>) -> anyhow::Result<T> {
    load_from(embedded, std::env::vars_os())
}

/// As [`load`], with the variables given instead of taken from this process.
///
/// # Errors
/// As [`load`].
pub fn load_from<'a, T, K, V>(
    embedded: impl Into<Embedded<'a>>,
    variables: impl IntoIterator<Item = (K, V)>,
) -> anyhow::Result<T>
where
    T: DeserializeOwned,
    K: Into<OsString>,
    V: Into<OsString>,
{
    let embedded = embedded.into();
    let mut file_path = None;
    let mut overrides = Overrides::default();
    for (name, value) in variables {
        let (name, value) = (name.into(), value.into());
        if name == FILE_VARIABLE {
            file_path = Some(PathBuf::from(value)).filter(|path| !path.as_os_str().is_empty());
        } else if let Some(path) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) {
            overrides.add(path, value)?;
        }
    }

    let file = Config::builder()
        .add_source(file_path.iter().map(|path| toml_file(path)).collect::<Vec<_>>())
        .build()
        .with_context(|| format!("cannot read the file named by {FILE_VARIABLE}"))?;
    let lower = Config::builder()
        .add_source(
            embedded
                .toml
                .map(|toml| File::from_str(toml, FileFormat::Toml))
                .to_vec(),
        )
        .add_source(file.clone())
        .build()
        .context("cannot read the embedded defaults")?;
    overrides.split_lists(&lower);
    let origin_of = |key: &str| match (overrides.origin_of(key), &file_path) {
        (Some(origin), _) => origin.to_owned(),
        (None, Some(path)) if file.get::<Value>(key).is_ok() => format!("file {}", path.display()),
        _ => "the embedded defaults".to_owned(),
    };
    Config::builder()
        .add_source(lower)
        .add_source(overrides.clone())
        .build()
        .and_then(|config| T::deserialize(group(config.cache, embedded.common)?))
        .map_err(|error| explain(error, origin_of))
}

/// Moves the common sections into the field [`COMMON`].
fn group(root: Value, common: &[&str]) -> Result<Value, ConfigError> {
    let mut sections = root.into_table()?;
    if common.is_empty() {
        return Ok(Value::new(None, sections));
    }
    if sections.contains_key(COMMON) {
        return Err(ConfigError::Message(format!("unknown field `{COMMON}`")));
    }
    let taken = common.iter().filter_map(|name| sections.remove_entry(*name));
    let taken: Map<String, Value> = taken.collect();
    sections.insert(COMMON.to_owned(), Value::new(None, taken));
    Ok(Value::new(None, sections))
}

fn toml_file(path: &Path) -> impl Source + Clone + Send + Sync + 'static + use<> {
    File::from(path).format(FileFormat::Toml)
}

/// The keys that variables set, by their dotted path (`database.url`).
#[derive(Debug, Clone, Default)]
struct Overrides(BTreeMap<String, Override>);

#[derive(Debug, Clone)]
struct Override {
    /// The variable, and the file if it named one, as an operator would look for it.
    origin: String,
    value: ValueKind,
}

impl Overrides {
    /// Takes in the variable `RASTRO__{path}`.
    fn add(&mut self, path: &str, value: OsString) -> anyhow::Result<()> {
        let mut origin = format!("variable {PREFIX}{path}");
        let mut value = value
            .into_string()
            .map_err(|_| anyhow!("{origin} is not valid UTF-8"))?;
        let mut key = path.replace(SEPARATOR, ".").to_lowercase();
        ensure!(
            path.split(SEPARATOR).all(is_key),
            "{origin} names no key: write {PREFIX}SECTION{SEPARATOR}KEY"
        );
        if let Some(stem) = key.strip_suffix(FROM_FILE_SUFFIX) {
            let content = std::fs::read_to_string(&value)
                .with_context(|| format!("cannot read the file {value:?} named by {origin}"))?;
            key = stem.to_owned();
            origin = format!("file {value:?} named by {origin}");
            let content = content.strip_suffix('\n').unwrap_or(&content);
            value = content.strip_suffix('\r').unwrap_or(content).to_owned();
        }
        if let Some(other) = self.0.get(&key) {
            bail!("key `{key}` is set twice: by {} and by {origin}", other.origin);
        }
        self.0.insert(
            key,
            Override {
                origin,
                value: ValueKind::String(value),
            },
        );
        Ok(())
    }

    /// Where `key` came from, or something in it if it is a section.
    fn origin_of(&self, key: &str) -> Option<&str> {
        let is_in = |path: &str| {
            path.strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.0
            .iter()
            .find(|(path, _)| is_in(path))
            .map(|(_, it)| it.origin.as_str())
    }

    /// Turns the text of each key that is a list in `lower` into a list.
    fn split_lists(&mut self, lower: &Config) {
        for (key, Override { origin, value }) in &mut self.0 {
            let is_list = lower
                .get::<Value>(key)
                .is_ok_and(|value| matches!(value.kind, ValueKind::Array(_)));
            if let (true, ValueKind::String(text)) = (is_list, &*value) {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                *value = ValueKind::Array(items.map(|item| Value::new(Some(origin), item)).collect());
            }
        }
    }
}

impl Source for Overrides {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let values = self.0.iter();
        Ok(values
            .map(|(key, it)| (key.clone(), Value::new(Some(&it.origin), it.value.clone())))
            .collect())
    }
}

fn is_key(segment: &str) -> bool {
    segment.starts_with(|first: char| first.is_ascii_alphabetic())
        && segment.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Says what is wrong in the words of whoever set it: the key, and the variable or file it came from.
fn explain(error: ConfigError, origin_of: impl Fn(&str) -> String) -> anyhow::Error {
    let (key, problem) = match error {
        ConfigError::NotFound(key) => {
            let key = key.strip_prefix("common.").unwrap_or(&key);
            let variable = format!("{PREFIX}{}", key.replace('.', SEPARATOR).to_uppercase());
            return anyhow!(
                "key `{key}` is not set: set {variable}, or {variable}_FILE to a file that holds it"
            );
        }
        // Built here and not by the error's own Display, which would print the value.
        ConfigError::Type { key, expected, .. } => (key.unwrap_or_default(), format!("expected {expected}")),
        ConfigError::At { error, key, .. } => (key.unwrap_or_default(), error.to_string()),
        other => (String::new(), other.to_string()),
    };
    let key = key
        .strip_prefix(COMMON)
        .and_then(|rest| rest.strip_prefix('.'))
        .map_or(key.clone(), str::to_owned);
    let unknown_field = problem
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split('`').next());
    let culprit = match unknown_field {
        Some(field) if key.is_empty() => field,
        Some(field) => &format!("{key}.{field}"),
        // An item of a list comes from where the list does.
        None => key.split('[').next().unwrap_or_default(),
    };
    let origin = origin_of(culprit);
    if key.is_empty() {
        anyhow!("{problem} ({origin})")
    } else {
        anyhow!("key `{key}`: {problem} ({origin})")
    }
}

#[cfg(test)]
mod tests;
