//! The services behind a real PgBouncer in session mode, which is the mode that works
//! (proto-docs/operation.md): events go through, what each connection sets is its own, and the retry-worker
//! leads.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rastro_sandbox::{EventFilter, Sandbox, SandboxConfig};
use rastro_test_support::cluster::checkout;
use rastro_test_support::process::free_address;
use rastro_test_support::services::{Seed, Services};
use rastro_test_support::{TestDatabase, eventually};

const KEY: &str = "mE1dNnKB1LGNsVlGXvbmYzTNFlh6W3mBtrdQi/0kfDQ=";
const SEED: Seed<'_> = Seed {
    dataset_id: "123456789012345",
    access_token: "EAApooler0token",
    secret_key: "sk_0123456789abcdef0123456789abcdef",
    publishable_key: "pk_0123456789abcdef0123456789abcdef",
};

/// Ends with the value.
struct Pooler {
    child: Child,
    folder: PathBuf,
    url: String,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// PgBouncer's program, or none: the test then says that it is skipped.
#[expect(
    clippy::disallowed_methods,
    reason = "whether this is CI, is a fact of the environment"
)]
fn program() -> Option<PathBuf> {
    let known = [
        PathBuf::from("/usr/sbin/pgbouncer"),
        checkout().join(".local/bin/pgbouncer"),
    ];
    let found = known.into_iter().find(|path| path.is_file());
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(
        found.is_some() || !is_ci,
        "no pgbouncer: scripts/install.sh pgbouncer"
    );
    found
}

impl Pooler {
    /// In front of this database, with two connections to it: fewer than the services have to it.
    async fn start(program: PathBuf, database: &TestDatabase, connections: u16) -> Self {
        // postgres://user:password@host:port/name
        let rest = database.url().strip_prefix("postgres://").unwrap();
        let (login, place) = rest.split_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        let (host, port) = place.split_once('/').unwrap().0.split_once(':').unwrap();
        let name = database.name();
        let address = free_address(0).unwrap();
        // Where the user that it runs as, if we are root, can read it.
        let folder = std::env::temp_dir().join(format!("rastro-pgbouncer-{}", address.port()));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let (users, settings) = (folder.join("users"), folder.join("pgbouncer.ini"));
        fs::write(&users, format!("\"{user}\" \"{password}\"\n")).unwrap();
        let text = format!(
            "[databases]\n{name} = host={host} port={port} dbname={name} user={user} password={password}\n\
             [pgbouncer]\nlisten_addr = {}\nlisten_port = {}\nunix_socket_dir =\nauth_type = trust\n\
             auth_file = {}\npool_mode = session\ndefault_pool_size = {connections}\nmax_client_conn = 100\n",
            address.ip(),
            address.port(),
            users.display(),
        );
        fs::write(&settings, text).unwrap();
        for file in [&users, &settings] {
            fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
        }
        let mut command = Command::new(program);
        command
            .arg("-q")
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let me = Command::new("id").arg("-u").output().unwrap().stdout;
        if me == b"0\n" {
            command.args(["-u", "postgres"]);
        }
        let pooler = Pooler {
            child: command.spawn().unwrap(),
            folder,
            url: format!("postgres://{user}@{address}/{name}"),
        };
        let listens = async || tokio::net::TcpStream::connect(address).await.ok().map(drop);
        eventually("pgbouncer listens", listens).await;
        pooler
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_in_session_mode_everything_works() {
    let Some(program) = program() else {
        eprintln!("skipped: there is no pgbouncer (scripts/install.sh pgbouncer)");
        return;
    };
    let database = TestDatabase::create().await;
    let pooler = Pooler::start(program, &database, 24).await;
    let sandbox = SandboxConfig::default().with_token(SEED.dataset_id, SEED.access_token);
    let sandbox = Sandbox::start(sandbox).await.unwrap();
    let services = Services::beside_this_program(&pooler.url, KEY);
    let gateway = services.gateway(&SEED).start().unwrap();
    let forwarder = services.forwarder(&sandbox.url()).start().unwrap();
    let worker = services.retry_worker().start().unwrap();
    for number in 0..20 {
        let answered = SEED.send_lead(&gateway, &format!("event-{number}")).await;
        assert_eq!(answered.unwrap(), 202);
    }
    let arrived = async || (sandbox.events(&EventFilter::default()).len() == 20).then_some(());
    eventually("all events are at Meta", arrived).await;
    // What a service sets on its connections arrived there, and what it locks it holds.
    let (client, connection) = tokio_postgres::connect(database.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let leads = async || {
        let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let held: i64 = client.query_one(held, &[]).await.unwrap().get(0);
        (held > 0).then_some(())
    };
    eventually("the retry-worker leads", leads).await;
    // The pool has no more connections than it may, and these are all: nobody went around it.
    let direct = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND pid <> pg_backend_pid()";
    let connections: i64 = client.query_one(direct, &[]).await.unwrap().get(0);
    assert!((3..=24).contains(&connections), "{connections}");
    for process in [worker, forwarder, gateway] {
        process.stop().await.unwrap();
    }
    assert_eq!(sandbox.counts().unique, 20);
}
