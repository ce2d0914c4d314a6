//! Which tables a connection means, and whom it speaks to.

#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use rastro_store::{DatabaseConfig, Leadership, Migrator, Store};
use rastro_test_support::{TestDatabase, eventually};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};

/// The migrator blocks, and has a runtime of its own.
async fn migrate(config: &DatabaseConfig) {
    let config = config.clone();
    let migrating = std::thread::spawn(move || Migrator::for_database(&config).unwrap().run().unwrap());
    tokio::task::spawn_blocking(move || migrating.join().unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn two_schemas_of_one_database_are_two_systems() {
    let database = TestDatabase::create_empty().await;
    let cells = ["cell_1", "cell_2"].map(|schema| DatabaseConfig {
        schema: schema.to_owned(),
        ..database.config()
    });
    for cell in &cells {
        migrate(cell).await;
    }
    let [one, two] = cells.map(|cell| Store::new(&cell, "test").unwrap());
    one.check_ready().await.unwrap();
    one.create_partitions_ahead(9).await.unwrap();
    assert_eq!(one.partition_days_ahead().await.unwrap(), 9);
    assert_eq!(two.partition_days_ahead().await.unwrap(), 7);

    let [mut leader, mut also_leader, mut waits] =
        [&one, &two, &one].map(|store| Leadership::new(store.clone()));
    assert!(leader.take().await.unwrap());
    assert!(
        also_leader.take().await.unwrap(),
        "the other schema has a leader of its own"
    );
    assert!(!waits.take().await.unwrap(), "and each has only one");

    let strays = "SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(database.value(strays).await, "0");
}

/// A PostgreSQL of this test's own, with TLS and a certificate for 127.0.0.1. Deleted with the value.
struct Server {
    folder: PathBuf,
    url: String,
}

fn script(command: &str, folder: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres.sh");
    let output = Command::new(script)
        .arg(command)
        .arg(folder)
        .arg("--durable")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Server {
    async fn start(certificate: &str, key: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{}", std::process::id()));
        let url = script("start", &folder);
        let server = Server { folder, url };
        // Written by PostgreSQL itself: the key must be its user's, and nobody else's.
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let line = text.trim_end().replace('\n', "%");
            server
                .run(&format!(
                    r#"COPY (SELECT '{line}') TO PROGRAM 'umask 077; tr % "\n" > {name}'"#
                ))
                .await;
        }
        server.run("ALTER SYSTEM SET ssl = on").await;
        server.run("SELECT pg_reload_conf()").await;
        eventually("TLS is on", || async {
            (server.value("SHOW ssl").await == "on").then_some(())
        })
        .await;
        server
    }

    async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client
    }

    async fn run(&self, sql: &str) {
        self.client().await.batch_execute(sql).await.unwrap();
    }

    async fn value(&self, sql: &str) -> String {
        let rows = self.client().await.simple_query(sql).await.unwrap();
        let row = rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0)?.to_owned()),
            _ => None,
        });
        row.unwrap_or_default()
    }

    fn config(&self, host: &str, parameters: &str) -> DatabaseConfig {
        let url = format!("{}?{parameters}", self.url.replace("127.0.0.1", host));
        DatabaseConfig::new(url.into(), "mE1dNnKB1LGNsVlGXvbmYzTNFlh6W3mBtrdQi/0kfDQ=".into())
    }

    /// Whether a store of this URL gets through, and then whether what it says is encrypted.
    async fn speaks(&self, host: &str, parameters: &str) -> Result<bool, String> {
        let store = Store::new(&self.config(host, parameters), "tls test").unwrap();
        // Answers that the schema is old, which is an answer.
        if let Err(error @ rastro_store::StoreError::Unreachable(_)) = store.check_ready().await {
            return Err(format!("{error:?}"));
        }
        let encrypted = "SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
            WHERE a.application_name = 'tls test'";
        let answer = self.value(encrypted).await;
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tls test'",
        )
        .await;
        Ok(answer == "t")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        script("destroy", &self.folder);
    }
}

/// A certificate authority that nobody else trusts.
fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

#[tokio::test]
async fn tls_is_what_sslmode_says() {
    let (ours, another) = (authority("ours"), authority("another"));
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
    let certificate = parameters.signed_by(&key, &ours).unwrap();
    let server = Server::start(&certificate.pem(), &key.serialize_pem()).await;
    let roots = |name: &str, pem: String| {
        let path = server.folder.join(name);
        std::fs::write(&path, pem).unwrap();
        format!("&sslrootcert={}", path.display())
    };
    let (ours, another) = (roots("ours.pem", ours.pem()), roots("another.pem", another.pem()));

    // Nobody is asked who they are.
    assert_eq!(server.speaks("127.0.0.1", "sslmode=disable").await, Ok(false));
    assert_eq!(
        server.speaks("127.0.0.1", "").await,
        Ok(true),
        "prefer is the default"
    );
    assert_eq!(server.speaks("127.0.0.1", "sslmode=require").await, Ok(true));

    // The right one.
    let full = format!("sslmode=verify-full{ours}");
    assert_eq!(server.speaks("127.0.0.1", &full).await, Ok(true));
    migrate(&server.config("127.0.0.1", &full)).await;

    // Signed by somebody else.
    for mode in ["require", "verify-ca", "verify-full"] {
        let refused = server
            .speaks("127.0.0.1", &format!("sslmode={mode}{another}"))
            .await
            .unwrap_err();
        assert!(refused.contains("UnknownIssuer"), "{mode}: {refused}");
    }
    let refused = server
        .speaks("127.0.0.1", "sslmode=verify-full")
        .await
        .unwrap_err();
    assert!(
        refused.contains("UnknownIssuer"),
        "the system does not trust it either: {refused}"
    );

    // The right signature, for another host.
    let refused = server.speaks("localhost", &full).await.unwrap_err();
    assert!(refused.contains("not valid for name"), "{refused}");
    assert_eq!(
        server
            .speaks("localhost", &format!("sslmode=verify-ca{ours}"))
            .await,
        Ok(true)
    );
}
