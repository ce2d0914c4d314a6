//! The demo's processes, its secrets and what is left of a run: all in `.local/demo`.

mod panel;
mod revenue;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::RngExt;
use rastro_store::Store;
use rastro_test_support::cluster::Cluster;
use rastro_test_support::process::{Program, free_address, send_signal};
use rastro_test_support::services::{Seed, Services};
use serde_json::json;

use crate::demo::account::Account;
use crate::demo::landing;
use crate::demo::revenue::money::Money;
use crate::demo::visitors::Keys;
use crate::{books, heading, local, say, variable};

/// In the order of an event's way, so that nothing is accepted any more while the rest drains.
const NAMES: [&str; 8] = [
    // The landing page.
    "rastro-lab",
    "ingest-gateway",
    "attribution",
    "capi-forwarder",
    "retry-worker",
    "rastro-sandbox",
    "monitor-check",
    "monitor-dashboard",
];
/// How long a process may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(15);

fn folder() -> PathBuf {
    local().join("demo")
}

/// A demo that runs.
pub struct Running {
    pub secrets: Secrets,
    pub gateway: SocketAddr,
    pub sandbox: SocketAddr,
    pub landing: SocketAddr,
    /// The stand-in's other addresses.
    mercado_pago: SocketAddr,
    google_ads: SocketAddr,
    health: [(&'static str, SocketAddr); 4],
    database_url: String,
}

/// Starts everything anew.
pub async fn start() -> anyhow::Result<Running> {
    heading("database");
    let secrets = Secrets::load()?;
    let database_url = database()?;
    heading("services");
    stop_processes()?; // of an earlier demo; frees the friendly ports
    let services = services(&database_url, &secrets);
    services.migrate().await?;
    let (gateway, sandbox, landing) = (free_address(8080)?, free_address(8090)?, free_address(8070)?);
    let (mercado_pago, google_ads) = (free_address(8091)?, free_address(8092)?);
    let health = [
        ("gateway", free_address(9101)?),
        ("forwarder", free_address(9102)?),
        ("retry_worker", free_address(9103)?),
        ("attribution", free_address(9105)?),
    ];
    let [gateway_health, forwarder_health, worker_health, _] = health.map(|(_, address)| address);
    let token = format!("{}={}", secrets.dataset_id, secrets.access_token);
    let meta = Program::new(&services.programs, "rastro-sandbox");
    let meta = meta.arguments(&["--listen", &sandbox.to_string(), "--token", &token]);
    let others = revenue::stand_ins(&secrets, mercado_pago, google_ads);
    let meta = meta.arguments(&others.each_ref().map(String::as_str));
    keep(meta, sandbox, "/healthz").await?;
    let at = |program: Program, health: SocketAddr| {
        program.with(&[("RASTRO__HEALTH__LISTEN", &health.to_string())])
    };
    // Before the gateway, which is not ready without partitions: the schema may be weeks old.
    let worker = at(services.retry_worker(), worker_health);
    keep(worker, worker_health, "/readyz").await?;
    let origins = format!("http://{landing},http://127.0.0.1:8000,http://localhost:8000");
    let seed = services.gateway(&secrets.seed()).with(&[
        ("RASTRO__GATEWAY__LISTEN", &gateway.to_string()),
        ("RASTRO__SEED__NAME", "Rastro demo"),
        ("RASTRO__SEED__DEFAULT_COUNTRY", "br"),
        ("RASTRO__SEED__DEFAULT_CURRENCY", "BRL"),
        // The landing page's, and that of a page that somebody tries the script in (README.md).
        ("RASTRO__SEED__ALLOWED_ORIGINS", &origins),
    ]);
    // A start only creates: a dataset that an earlier demo made may not know the page's address.
    let (status, log) = seed.clone().arguments(&["reseed"]).start()?.ended().await?;
    ensure!(
        status.success(),
        "the dataset could not be written: {}",
        log.join("\n")
    );
    keep(at(seed, gateway_health), gateway_health, "/readyz").await?;
    let forwarder = services.forwarder(&format!("http://{sandbox}"));
    keep(at(forwarder, forwarder_health), forwarder_health, "/readyz").await?;
    let page = Program::new(&services.programs, "rastro-lab");
    let endpoint = format!("http://{gateway}");
    let page = page.arguments(&[
        "landing",
        &landing.to_string(),
        &endpoint,
        &secrets.publishable_key,
    ]);
    keep(page, landing, "/").await?;
    Ok(Running {
        secrets,
        gateway,
        sandbox,
        landing,
        mercado_pago,
        google_ads,
        health,
        database_url,
    })
}

/// Stops the demo, PostgreSQL included; its data stays. Nothing running is fine.
pub fn stop() -> anyhow::Result<()> {
    stop_processes()
}

/// Brings the database, the user's or the demo's, to the newest schema.
pub async fn migrate() -> anyhow::Result<()> {
    services(&database()?, &Secrets::load()?).migrate().await
}

fn services(database_url: &str, secrets: &Secrets) -> Services {
    Services::beside_this_program(database_url, &secrets.sealing_key)
}

/// The database that the user names with `DATABASE_URL`, else the demo's own private cluster.
fn database() -> anyhow::Result<String> {
    match variable("DATABASE_URL") {
        Some(url) => {
            say("using the database that DATABASE_URL names");
            Ok(url)
        }
        None => Ok(Cluster::kept(&folder().join("postgres"), "--durable")?
            .url()
            .to_owned()),
    }
}

// ---- processes: run/NAME.pid (two lines: pid, program) and run/NAME.log ----

/// Starts a program that outlives this one, and waits until it is ready.
async fn keep(program: Program, address: SocketAddr, path: &str) -> anyhow::Result<()> {
    keep_as(&name_of(program.path()), program, address, path).await
}

/// The same under another name than its file's: one program may run twice.
async fn keep_as(name: &str, program: Program, address: SocketAddr, path: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    let run = folder().join("run");
    fs::create_dir_all(&run)?;
    let program_path = program.path().display().to_string();
    let log = run.join(format!("{name}.log"));
    File::create(&log)?;
    let process = program.detached().logging_to(&log).start()?;
    let pid_file = run.join(format!("{name}.pid"));
    fs::write(pid_file, format!("{}\n{program_path}\n", process.pid()))?;
    process.await_ready(address, path).await?;
    say(&format!(
        "{name} is ready ({:.1} s)",
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The pid of a process we started and that still runs. The program is compared, because a pid left over from
/// before a reboot may belong to a stranger by now.
fn pid_of(name: &str) -> Option<u32> {
    let file = fs::read_to_string(folder().join("run").join(format!("{name}.pid"))).ok()?;
    let (pid, program) = file.split_once('\n')?;
    let pid = pid.parse().ok()?;
    let arguments = match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => line,
        Err(_) => {
            let pid = format!("{pid}");
            let mut ps = std::process::Command::new("ps");
            ps.args(["-o", "args=", "-p", &pid]).output().ok()?.stdout
        }
    };
    String::from_utf8_lossy(&arguments)
        .starts_with(program.trim())
        .then_some(pid)
}

/// SIGTERM to all, some time to drain, then SIGKILL.
fn stop_processes() -> anyhow::Result<()> {
    for pid in NAMES.into_iter().filter_map(pid_of) {
        send_signal(pid, "TERM");
    }
    for name in NAMES {
        let asked = Instant::now();
        while let Some(pid) = pid_of(name) {
            if asked.elapsed() > PATIENCE {
                say(&format!("{name} did not stop within {PATIENCE:?}; killed"));
                send_signal(pid, "KILL");
            }
            ensure!(
                asked.elapsed() < 2 * PATIENCE,
                "{name} (pid {pid}) cannot be killed"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = fs::remove_file(folder().join("run").join(format!("{name}.pid")));
    }
    Ok(())
}

// ---- secrets ----

/// The demo's secrets, made up once per checkout. Some are only known to the database as hashes or sealed
/// under the key, so the file must live as long as the data does.
#[derive(Clone, Debug)]
pub struct Secrets {
    pub sealing_key: String,
    pub dataset_id: String,
    pub access_token: String,
    pub secret_key: String,
    pub publishable_key: String,
}

impl Secrets {
    fn load() -> anyhow::Result<Self> {
        let path = folder().join("env");
        if !path.exists() {
            fs::create_dir_all(folder())?;
            write_privately(&path, &Secrets::new_file())?;
        }
        let text = fs::read_to_string(&path)?;
        let value = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.map(str::to_owned)
                .with_context(|| format!("{} has no {name}", path.display()))
        };
        Ok(Secrets {
            sealing_key: value("SEALING_KEY")?,
            dataset_id: value("DATASET_ID")?,
            access_token: value("ACCESS_TOKEN")?,
            secret_key: value("SECRET_KEY")?,
            publishable_key: value("PUBLISHABLE_KEY")?,
        })
    }

    fn new_file() -> String {
        let mut chance = rand::rng();
        let mut hex = || format!("{:032x}{:016x}", chance.random::<u128>(), chance.random::<u64>());
        let (access_token, secret, publishable) = (hex(), hex(), hex());
        // 43 characters of base64 are 258 bits; the last one must end with the two that 32 bytes do not fill.
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let sealing: String = (0..42)
            .map(|_| char::from(alphabet[chance.random_range(0..64)]))
            .collect();
        let last = char::from(alphabet[4 * chance.random_range(0..16)]);
        // Random digits: two checkouts that share a database must not share a dataset.
        let dataset = chance.random_range(100_000_000_000_000_u64..200_000_000_000_000);
        format!(
            "# Made by `make demo` for this checkout; nothing here opens anything outside of it.\n\
             SEALING_KEY={sealing}{last}=\nDATASET_ID={dataset}\nACCESS_TOKEN=EAA{access_token}\n\
             SECRET_KEY=sk_{secret}\nPUBLISHABLE_KEY=pk_{publishable}\n"
        )
    }

    fn seed(&self) -> Seed<'_> {
        Seed {
            dataset_id: &self.dataset_id,
            access_token: &self.access_token,
            secret_key: &self.secret_key,
            publishable_key: &self.publishable_key,
        }
    }

    pub fn keys(&self) -> Keys {
        Keys {
            publishable: self.publishable_key.clone(),
            secret: self.secret_key.clone(),
        }
    }
}

// ---- what is left of a run ----

impl Running {
    pub fn store(&self) -> anyhow::Result<Store> {
        books::store(&self.database_url, &self.secrets.sealing_key)
    }

    /// The account, whether it adds up, and where to look next.
    pub fn report(&self, account: &Account, money: &Money, campaigns: &str) -> String {
        // A database of one's own may have a password that should not be left on the screen.
        let psql = match variable("DATABASE_URL") {
            Some(_) => "$DATABASE_URL",
            None => &self.database_url,
        };
        let mut text = format!("\nWhat became of the events\n{}\n", account.to_text());
        judge(
            &mut text,
            &account.problems(),
            "Every accepted event reached Meta, each of them once.",
        );
        write!(
            text,
            "\nWhat became of the money (invented; order numbers begin with demo-)\n{}\n",
            money.to_text()
        )
        .expect("writing to memory cannot fail");
        judge(
            &mut text,
            &money.problems(),
            "Every payment is in the books, each of them once.",
        );
        write!(
            text,
            "\nWhat the ads of the last thirty days brought, by linear credit\n{campaigns}"
        )
        .expect("writing to memory cannot fail");
        text.push_str("\nLook further\n");
        let by_hand = landing::by_hand(self.gateway, self.landing, &self.secrets.publishable_key);
        let mut lines = vec![
            (
                "landing page".to_owned(),
                format!("http://{} (fill in its form; or by hand:)", self.landing),
            ),
            (String::new(), by_hand),
            (
                "a page of yours".to_owned(),
                "(from http://127.0.0.1:8000 or http://localhost:8000, with this tag:)".to_owned(),
            ),
            (
                String::new(),
                landing::tag(self.gateway, &self.secrets.publishable_key),
            ),
            (
                "what reached \"Meta\"".to_owned(),
                format!("http://{} (a page)", self.sandbox),
            ),
        ];
        for (name, address) in self.health {
            let health = format!("http://{address}/readyz, http://{address}/metrics");
            lines.push((name.replace('_', "-"), health));
        }
        let account = folder().join("account.json").display().to_string();
        lines.push(("account as JSON".to_owned(), account));
        lines.push(("database".to_owned(), format!("psql \"{psql}\"")));
        lines.extend(books::QUERIES_TO_LOOK.map(|query| (String::new(), query.to_owned())));
        for (what, at) in lines {
            writeln!(text, "  {what:<22}{at}").expect("writing to memory cannot fail");
        }
        text.push_str(
            "\nEverything keeps running. Logs: .local/demo/run/*.log, keys: .local/demo/env. `make down` stops it.\n",
        );
        text
    }

    /// Writes the account as JSON, with what a program needs to go on from here.
    pub fn write(&self, account: &Account, money: &Money) -> anyhow::Result<()> {
        let mut json = account.to_json();
        json["money"] = money.to_json();
        let mut urls = json!({
            "sandbox": format!("http://{}", self.sandbox),
            "mercado_pago": format!("http://{}", self.mercado_pago),
            "google_ads": format!("http://{}", self.google_ads),
            "gateway": format!("http://{}", self.gateway),
            "landing": format!("http://{}", self.landing),
            "conversions": format!("http://{}/api/meta/conversions", self.gateway),
        });
        for (name, address) in self.health {
            urls[format!("{name}_health")] = json!(format!("http://{address}/readyz"));
            urls[format!("{name}_metrics")] = json!(format!("http://{address}/metrics"));
        }
        json["urls"] = urls;
        json["demo_key"] = json!(self.secrets.publishable_key);
        json["demo_secret_key"] = json!(self.secrets.secret_key);
        json["dataset_id"] = json!(self.secrets.dataset_id);
        write_privately(&folder().join("account.json"), &format!("{json:#}\n"))
    }
}

/// The verdict on an account.
fn judge(text: &mut String, problems: &[String], well: &str) {
    text.push_str(match problems.is_empty() {
        true => well,
        false => "This is not as it has to be:",
    });
    text.push('\n');
    for problem in problems {
        text.push_str(&format!("  - {problem}\n"));
    }
}

/// Writes a file that only its owner may read, and of which nobody ever sees half.
fn write_privately(path: &Path, text: &str) -> anyhow::Result<()> {
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let write = || {
        // A leftover of a process that had this id would keep its own mode.
        let _ = fs::remove_file(&new);
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("{} could not be written", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_for_its_owner_alone_and_replaces_what_was_there() {
        let folder = std::env::temp_dir().join(format!("rastro-demo-{:016x}", rand::random::<u64>()));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("account.json");
        fs::write(&path, "old, and for all to read").unwrap();
        write_privately(&path, "new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            1,
            "a file was left behind"
        );
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn new_secrets_have_the_shapes_that_the_services_demand() {
        let file = Secrets::new_file();
        let value = |name: &str| {
            let line = file
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap().to_owned()
        };
        let store = books::store("postgres://localhost/none", &value("SEALING_KEY"));
        assert!(store.is_ok(), "{file}");
        assert!(
            value("DATASET_ID")
                .parse::<rastro_core::dataset::DatasetId>()
                .is_ok()
        );
        assert!(value("SECRET_KEY").starts_with("sk_") && value("PUBLISHABLE_KEY").len() > 40);
        assert_ne!(file, Secrets::new_file());
    }
}
