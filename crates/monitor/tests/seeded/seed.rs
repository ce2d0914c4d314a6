//! One of everything that a page shows, of two datasets.

use rastro_service::clock::Clock;
use uuid::Uuid;

use crate::panel::{OTHER, OWN, Panel};

/// In every text of the other dataset that is no id.
pub(crate) const SECRET: &str = "segredo";

/// The rows of one dataset.
pub(crate) struct Seeded {
    pub(crate) dataset: i64,
    /// 1 is delivered, 2 and 3 are dead letters, 4 is ready.
    pub(crate) first: i64,
    pub(crate) day: String,
    /// Open.
    pub(crate) alert: i64,
    pub(crate) silence: i64,
    /// Of a secret key.
    pub(crate) key: i64,
    pub(crate) request: Uuid,
    pub(crate) trace: String,
    /// SHA-256 of an address of e-mail, as it stands in the events.
    pub(crate) hash: String,
    pub(crate) ip: &'static str,
}

impl Seeded {
    /// Every name that one of its events goes by.
    pub(crate) fn names(&self) -> [String; 5] {
        [
            format!("pedido-{}", self.first + 1),
            (self.first + 1).to_string(),
            self.request.to_string(),
            self.trace.clone(),
            format!("Ax{}fbtrace", self.first + 1),
        ]
    }
}

impl Panel {
    /// Fills both datasets; the first is [`OWN`].
    pub(crate) async fn seed(&self) -> [Seeded; 2] {
        let own = self.seed_one(OWN, 1_000, "aurora", "203.0.113.77").await;
        let other = self.seed_one(OTHER, 2_000, SECRET, "198.51.100.42").await;
        [own, other]
    }

    async fn seed_one(&self, dataset: i64, first: i64, word: &str, ip: &'static str) -> Seeded {
        // printf ana@exemplo.com.br | sha256sum, and printf bia@exemplo.com.br | sha256sum
        let hash = match dataset {
            OWN => "9908ab973926622870fbcc257bf5c75e507d89d24698137563dab84b1e2cb423",
            _ => "9beaac9b26b4b432192693ff314dfa6cc4e1eec8504d20e90e83db4cab857d80",
        };
        // The page looks a request up by the moment that its id tells.
        let now = Clock::system().now().timestamp();
        let at = uuid::Timestamp::from_unix(uuid::NoContext, u64::try_from(now - 90).unwrap(), 0);
        let request = Uuid::new_v7(at);
        let trace = format!("{first:032x}");
        let sql = include_str!("seed.sql")
            .replace(":dataset", &dataset.to_string())
            .replace(":first", &first.to_string())
            .replace(":word", word)
            .replace(":request", &request.to_string())
            .replace(":trace", &trace)
            .replace(":hash", hash)
            .replace(":ip", ip);
        self.database.execute(&sql).await;
        let number = async |sql: &str| self.database.value(sql).await.parse().unwrap();
        Seeded {
            dataset,
            first,
            day: self
                .database
                .value(&format!(
                    "SELECT day FROM events WHERE event_number = {first} + 1"
                ))
                .await,
            alert: number(&format!(
                "SELECT alert_id FROM alerts WHERE state = 'firing' AND dataset_id = {dataset}"
            ))
            .await,
            silence: number(&format!(
                "SELECT silence_id FROM alert_silences WHERE dataset_id = {dataset}"
            ))
            .await,
            key: number(&format!(
                "SELECT key_id FROM api_keys WHERE kind = 'secret' AND dataset_id = {dataset}"
            ))
            .await,
            request,
            trace,
            hash: hash.to_owned(),
            ip,
        }
    }
}
