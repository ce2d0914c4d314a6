use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStringExt;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    dataset_id: String,
    server: Server,
    secrets: Secrets,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    listen: SocketAddr,
    workers: u16,
    ratio: f64,
    compress: bool,
    trusted_proxies: Vec<IpAddr>,
    ports: Vec<u16>,
    note: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secrets {
    token: SecretString,
    spare: Option<SecretString>,
}

const DEFAULTS: &str = r#"
dataset_id = "1"
[server]
listen = "127.0.0.1:8080"  # where to listen
workers = 2
ratio = 0.5
compress = true
trusted_proxies = []
ports = [1, 2]
[secrets]
token = "default"
"#;

fn load_with(variables: &[(&str, &str)]) -> anyhow::Result<Sample> {
    load_from(DEFAULTS, variables.iter().copied())
}

fn error_of(variables: &[(&str, &str)]) -> String {
    format!("{:#}", load_with(variables).unwrap_err())
}

/// A file that is there as long as the value is.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("rastro-config-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn the_embedded_defaults_alone_are_a_configuration() {
    let sample = load_with(&[]).unwrap();
    assert_eq!(sample.server.listen, "127.0.0.1:8080".parse().unwrap());
    assert_eq!((sample.server.workers, sample.server.ports), (2, vec![1, 2]));
    assert_eq!(sample.secrets.token.expose_secret(), "default");
    assert!(sample.server.note.is_none() && sample.secrets.spare.is_none());
}

#[test]
fn a_variable_overrides_the_file_and_the_file_overrides_the_defaults() {
    let file = TempFile::new("layers.toml", b"[server]\nworkers = 7\nratio = 0.25\n");
    let sample = load_with(&[("RASTRO__SERVER__WORKERS", "9"), ("RASTRO_CONFIG", file.path())]).unwrap();
    assert_eq!(
        (sample.server.workers, sample.server.ratio, sample.server.compress),
        (9, 0.25, true)
    );
}

#[test]
fn text_that_looks_like_something_else_still_becomes_the_type_of_its_field() {
    let sample = load_with(&[
        ("RASTRO__DATASET_ID", "00123456789012345678901234567890"),
        ("RASTRO__SECRETS__TOKEN", "123"),
        ("RASTRO__SECRETS__SPARE", "true"),
        ("RASTRO__SERVER__NOTE", "1e5"),
        ("RASTRO__SERVER__WORKERS", "16"),
        ("RASTRO__SERVER__RATIO", "1"),
        ("RASTRO__SERVER__COMPRESS", "false"),
        ("RASTRO__SERVER__LISTEN", "0.0.0.0:80"),
    ])
    .unwrap();
    assert_eq!(sample.dataset_id, "00123456789012345678901234567890");
    assert_eq!(sample.secrets.token.expose_secret(), "123");
    assert_eq!(sample.secrets.spare.unwrap().expose_secret(), "true");
    assert_eq!(sample.server.note.as_deref(), Some("1e5"));
    assert_eq!(
        (sample.server.workers, sample.server.ratio, sample.server.compress),
        (16, 1.0, false)
    );
    assert_eq!(sample.server.listen, "0.0.0.0:80".parse().unwrap());
}

#[test]
fn a_list_is_split_at_commas_and_may_have_one_item_or_none() {
    let proxies = |text| {
        load_with(&[("RASTRO__SERVER__TRUSTED_PROXIES", text)])
            .unwrap()
            .server
            .trusted_proxies
    };
    let addresses = |list: &[&str]| list.iter().map(|it| it.parse().unwrap()).collect::<Vec<IpAddr>>();
    assert_eq!(proxies("10.0.0.1, ::1"), addresses(&["10.0.0.1", "::1"]));
    assert_eq!(proxies("10.0.0.1"), addresses(&["10.0.0.1"]));
    assert_eq!(proxies(""), addresses(&[]));
    assert_eq!(
        load_with(&[("RASTRO__SERVER__PORTS", "80,443")])
            .unwrap()
            .server
            .ports,
        [80, 443]
    );
}

#[test]
fn a_comma_in_text_that_is_no_list_stays_text() {
    let sample = load_with(&[("RASTRO__SERVER__NOTE", "a,b"), ("RASTRO__SECRETS__TOKEN", "c,d")]).unwrap();
    assert_eq!(sample.server.note.as_deref(), Some("a,b"));
    assert_eq!(sample.secrets.token.expose_secret(), "c,d");
}

#[test]
fn a_secret_from_a_file_loses_one_line_break_at_its_end_and_nothing_else() {
    for (content, expected) in [
        ("s3cret", "s3cret"),
        ("s3cret\n", "s3cret"),
        ("12\r\n", "12"),
        (" two\nlines \n\n", " two\nlines \n"),
    ] {
        let file = TempFile::new(&format!("secret-{}", content.len()), content.as_bytes());
        let sample = load_with(&[("RASTRO__SECRETS__TOKEN_FILE", file.path())]).unwrap();
        assert_eq!(sample.secrets.token.expose_secret(), expected);
    }
}

#[test]
fn a_key_set_by_a_variable_and_by_a_file_stops_the_start_naming_both() {
    let file = TempFile::new("both", b"from-file");
    for order in [[0, 1], [1, 0]] {
        let both = [
            ("RASTRO__SECRETS__TOKEN", "direct"),
            ("RASTRO__SECRETS__TOKEN_FILE", file.path()),
        ];
        let error = error_of(&order.map(|index| both[index]));
        assert!(error.contains("`secrets.token` is set twice"), "{error}");
        assert!(
            format!("{error} ").contains("variable RASTRO__SECRETS__TOKEN "),
            "{error}"
        );
        assert!(error.contains("variable RASTRO__SECRETS__TOKEN_FILE"), "{error}");
        assert!(
            !error.contains("direct") && !error.contains("from-file"),
            "{error}"
        );
    }
}

#[test]
fn a_misspelt_variable_stops_the_start_and_is_named() {
    let error = error_of(&[("RASTRO__SERVER__LISTNE", "0.0.0.0:80")]);
    assert!(
        error.contains("key `server`: unknown field `listne`, expected one of `listen`"),
        "{error}"
    );
    assert!(error.contains("(variable RASTRO__SERVER__LISTNE)"), "{error}");
    let error = error_of(&[("RASTRO__SREVER__LISTEN", "0.0.0.0:80")]);
    assert!(
        error.contains("unknown field `srever`, expected one of `dataset_id`"),
        "{error}"
    );
    assert!(
        error.contains("`RASTRO__SREVER__LISTEN`") || error.contains("RASTRO__SREVER__LISTEN"),
        "{error}"
    );
}

#[test]
fn a_misspelt_key_in_the_file_stops_the_start_and_the_file_is_named() {
    let file = TempFile::new("misspelt.toml", b"[server]\nworkres = 7\n");
    let error = error_of(&[("RASTRO_CONFIG", file.path())]);
    assert!(error.contains("unknown field `workres`"), "{error}");
    assert!(error.contains("misspelt.toml"), "{error}");
}

#[test]
fn a_value_of_the_wrong_type_names_its_variable_and_is_not_printed() {
    for (name, value) in [
        ("RASTRO__SERVER__WORKERS", "hunter2"),
        ("RASTRO__SERVER__WORKERS", "70000"),
        ("RASTRO__SERVER__COMPRESS", "hunter2"),
        ("RASTRO__SERVER__LISTEN", "hunter2"),
        ("RASTRO__SERVER__TRUSTED_PROXIES", "10.0.0.1,hunter2"),
    ] {
        let error = error_of(&[(name, value)]);
        assert!(error.contains(&format!("variable {name}")), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("70000"), "{error}");
    }
}

#[test]
fn a_missing_value_says_which_variable_would_set_it() {
    let defaults = DEFAULTS.replace("token = \"default\"", "");
    let error = load_from::<Sample, String, String>(defaults.as_str(), [])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`secrets.token` is not set: set RASTRO__SECRETS__TOKEN,"),
        "{error}"
    );
    assert!(error.contains("RASTRO__SECRETS__TOKEN_FILE"), "{error}");
}

#[test]
fn a_file_that_is_not_there_or_not_toml_stops_the_start() {
    let error = error_of(&[("RASTRO_CONFIG", "/nonexistent/rastro.toml")]);
    assert!(
        error.contains("RASTRO_CONFIG") && error.contains("/nonexistent/rastro.toml"),
        "{error}"
    );
    let error = error_of(&[("RASTRO__SECRETS__TOKEN_FILE", "/nonexistent/token")]);
    assert!(
        error.contains("RASTRO__SECRETS__TOKEN_FILE") && error.contains("/nonexistent/token"),
        "{error}"
    );
    let file = TempFile::new("broken.toml", b"[server\n");
    let error = error_of(&[("RASTRO_CONFIG", file.path())]);
    assert!(error.contains("broken.toml"), "{error}");
}

#[test]
fn variables_of_others_and_an_empty_file_name_are_no_concern_of_ours() {
    // Kubernetes sets the second kind for every Service of its namespace.
    let sample = load_with(&[
        ("PATH", "/bin"),
        ("RASTRO_INGEST_GATEWAY_SERVICE_HOST", "10.1.2.3"),
        ("RASTRO_CONFIG", ""),
    ]);
    assert_eq!(sample.unwrap().server.workers, 2);
}

#[test]
fn a_variable_that_names_no_key_or_is_not_text_stops_the_start() {
    for name in [
        "RASTRO__",
        "RASTRO__SERVER__",
        "RASTRO____WORKERS",
        "RASTRO__SERVER__PORTS[0]",
        "RASTRO__A.B",
    ] {
        let error = error_of(&[(name, "1")]);
        assert!(
            error.contains(&format!("variable {name} names no key")),
            "{error}"
        );
    }
    let variables = [(
        OsString::from("RASTRO__SERVER__NOTE"),
        OsString::from_vec(vec![0xff]),
    )];
    let error = load_from::<Sample, _, _>(DEFAULTS, variables)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("RASTRO__SERVER__NOTE is not valid UTF-8"),
        "{error}"
    );
}

#[test]
fn printing_a_configuration_never_prints_its_secrets() {
    let sample = load_with(&[
        ("RASTRO__SECRETS__TOKEN", "hunter2"),
        ("RASTRO__SECRETS__SPARE", "hunter3"),
        ("RASTRO__DATASET_ID", "4711"),
    ])
    .unwrap();
    for printed in [format!("{sample:?}"), format!("{sample:#?}")] {
        assert!(printed.contains("4711"), "{printed}");
        assert!(
            printed.contains("REDACTED") && !printed.contains("hunter"),
            "{printed}"
        );
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grouped {
    common: CommonSections,
    own: Own,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommonSections {
    database: Database,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Database {
    url: String,
    connections: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    size: u16,
}

fn grouped(variables: &[(&str, &str)]) -> anyhow::Result<Grouped> {
    let embedded = Embedded {
        toml: [
            "[database]\nurl = \"common\"\nconnections = 2",
            "[own]\nsize = 3\n[database]\nconnections = 4",
        ],
        common: &["database"],
    };
    load_from(embedded, variables.iter().copied())
}

#[test]
fn common_sections_keep_their_own_names_and_a_service_may_have_defaults_of_its_own_in_them() {
    let config = grouped(&[("RASTRO__DATABASE__URL", "mine")]).unwrap();
    assert_eq!(config.common.database.url, "mine");
    assert_eq!((config.common.database.connections, config.own.size), (4, 3));
}

#[test]
fn what_is_wrong_in_a_common_section_is_named_as_it_is_written() {
    let error = |name, value| format!("{:#}", grouped(&[(name, value)]).unwrap_err());
    let misspelt = error("RASTRO__DATABASE__URI", "x");
    assert!(
        misspelt.contains("key `database`") && misspelt.contains("RASTRO__DATABASE__URI"),
        "{misspelt}"
    );
    let wrong = error("RASTRO__DATABASE__CONNECTIONS", "many");
    assert!(
        wrong.contains("`database.connections`") && !wrong.contains("common"),
        "{wrong}"
    );
    let inner_name = error("RASTRO__COMMON__DATABASE__URL", "x");
    assert!(inner_name.contains("common"), "{inner_name}");
}
