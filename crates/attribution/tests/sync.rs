//! Custom conversions and audiences, brought to what is declared, at a sandbox that refuses what Meta
//! refuses.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::time::Duration;

use attribution::config::Config;
use attribution::sync::{Action, Kind, Orders, Report, Sync};
use rastro_sandbox::{AdAccess, MarketingFault, Sandbox, SandboxConfig};
use serde_json::{Value, json};

const ACCOUNT: &str = "42";
const PIXEL: &str = "123456789012345";
const TOKEN: &str = "EAAads";
const NOTHING_MORE: Orders = Orders {
    replace: false,
    delete: false,
};

/// What the documented defaults declare: three conversions, their audiences, and lookalikes of those.
const DECLARED: usize = 9;

struct AdManager {
    sandbox: Sandbox,
    sync: Sync,
}

impl AdManager {
    async fn new() -> Self {
        let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
        let account = rastro_sandbox::AdAccount {
            access_token: TOKEN.to_owned(),
            currency: "BRL".to_owned(),
            time_zone: "America/Sao_Paulo".to_owned(),
            rows: Vec::new(),
        };
        sandbox.marketing().put_account(ACCOUNT, account);
        sandbox.marketing().grant(ACCOUNT, AdAccess::to(PIXEL));
        for audience in ["High Value Lead", "Scheduled Appointment", "Completed Purchase"] {
            let seed = format!("{audience}, 180 days");
            sandbox.marketing().put_people(&seed, 1_000);
        }
        let sync = configured(&sandbox.url());
        AdManager { sandbox, sync }
    }

    async fn plan(&self) -> Report {
        self.sync.plan(NOTHING_MORE).await.unwrap()
    }

    async fn apply(&self) -> Report {
        self.sync.apply(NOTHING_MORE).await.unwrap()
    }

    /// All objects at Meta, by name.
    fn there(&self) -> Vec<Value> {
        self.sandbox.marketing().objects(ACCOUNT)
    }

    fn named(&self, name: &str) -> Value {
        let mut all = self.there().into_iter().filter(|object| object["name"] == name);
        let object = all.next().unwrap_or_else(|| panic!("{name}"));
        assert_eq!(all.next(), None, "{name} is there once");
        object
    }

    fn tamper(&self, name: &str, field: &str, value: Value) {
        let id = self.named(name)["id"].as_str().unwrap().to_owned();
        assert!(self.sandbox.marketing().tamper(&id, field, value));
    }

    fn fail_next(&self, http_status: u16, code: i32, subcode: Option<i32>, wait: Option<&str>) {
        let headers = wait.map(|seconds| ("retry-after".to_owned(), seconds.to_owned()));
        self.sandbox.marketing().fail_next(MarketingFault {
            http_status,
            code,
            subcode,
            headers: headers.into_iter().collect(),
        });
    }
}

fn configured(url: &str) -> Sync {
    let variables = [
        ("RASTRO__GRAPH_API__URL", url),
        ("RASTRO__SYNC__ACCOUNT_ID", ACCOUNT),
        ("RASTRO__SYNC__DATASET_ID", PIXEL),
        ("RASTRO__SYNC__ACCESS_TOKEN", TOKEN),
        ("RASTRO__SYNC__DOMAIN", "clinica.com.br"),
        ("RASTRO__SYNC__POLL_MILLISECONDS", "1"),
    ];
    let config: Config = rastro_boot::testing::config(&variables).unwrap();
    config.sync.reader(&config.graph_api).unwrap().unwrap()
}

fn count(report: &Report, is: impl Fn(&Action) -> bool) -> usize {
    report.items.iter().filter(|(item, _)| is(&item.action)).count()
}

fn creates(report: &Report) -> usize {
    count(report, |action| *action == Action::Create)
}

#[tokio::test]
async fn a_plan_changes_nothing_applying_makes_what_it_says_and_then_there_is_nothing_to_do() {
    let ads = AdManager::new().await;
    let plan = ads.plan().await;
    assert_eq!((creates(&plan), plan.items.len()), (DECLARED, DECLARED));
    assert!(
        plan.to_string()
            .contains("9 to do; nothing was changed: --apply does it"),
        "{plan}"
    );
    assert_eq!(ads.there(), Vec::<Value>::new());

    let done = ads.apply().await;
    assert_eq!(done.unsettled(), 0, "{done}");
    assert!(done.to_string().ends_with("9 of 9 done"), "{done}");
    let lead = ads.named("High Value Lead");
    // As the reference prints the rule.
    assert_eq!(
        lead["rule"],
        r#"{"and":[{"event":{"eq":"Lead"}},{"value":{"gt":"500"}},{"or":[{"URL":{"i_contains":"clinica.com.br"}}]}]}"#
    );
    assert_eq!(
        (&lead["custom_event_type"], &lead["event_source_id"]),
        (&json!("LEAD"), &json!(PIXEL))
    );
    let seed = ads.named("Completed Purchase, 180 days");
    assert_eq!(seed["retention_days"], 180);
    let spec = &ads.named("Like Completed Purchase, BR 1%")["lookalike_spec"];
    assert_eq!((&spec["ratio"], &spec["country"]), (&json!(0.01), &json!("BR")));
    assert_eq!(spec["origin"][0]["id"], seed["id"]);

    let before = ads.there();
    let second = ads.plan().await;
    assert!(second.is_empty(), "{second}");
    assert!(second.to_string().contains("has never fired"), "{second}");
    let again = ads.apply().await;
    assert!(again.is_empty() && again.unsettled() == 0, "{again}");
    assert_eq!(ads.there(), before);
    assert!(!again.to_string().contains(TOKEN));
}

#[tokio::test]
async fn what_can_be_changed_is_changed_back_and_what_cannot_stays_until_it_is_ordered() {
    let ads = AdManager::new().await;
    ads.apply().await;
    // Somebody in Ads Manager: another name, a shorter retention, another rule, another country.
    let id = ads.named("Completed Purchase")["id"].clone();
    ads.tamper("Completed Purchase", "name", json!("Vendas"));
    ads.tamper("Scheduled Appointment, 180 days", "retention_days", json!(30));
    let rule = r#"{"and":[{"event":{"eq":"Lead"}},{"or":[{"URL":{"i_contains":"clinica.com.br"}}]}]}"#;
    ads.tamper("High Value Lead", "rule", json!(rule));
    let spec = json!({ "ratio": 0.05, "country": "PT", "origin": ads.named("Like Completed Purchase, BR 1%")["lookalike_spec"]["origin"] });
    ads.tamper("Like Completed Purchase, BR 1%", "lookalike_spec", spec);

    let plan = ads.plan().await;
    let words = plan.to_string();
    assert_eq!(
        count(&plan, |action| matches!(action, Action::Change { .. })),
        2,
        "{words}"
    );
    assert_eq!(
        count(&plan, |action| matches!(action, Action::Differs { .. })),
        2,
        "{words}"
    );
    for part in [
        "name: is Vendas, declared Completed Purchase",
        "30 days",
        "country: is PT, declared BR",
        "ratio: is 0.05, declared 0.01",
        "Meta does not let that be changed",
        "--replace",
    ] {
        assert!(words.contains(part), "{part} in {words}");
    }
    let done = ads.apply().await;
    assert_eq!(done.unsettled(), 2, "{done}");
    assert_eq!(ads.named("Completed Purchase")["id"], id);
    assert_eq!(
        ads.named("Scheduled Appointment, 180 days")["retention_days"],
        180
    );
    assert_eq!(
        ads.named("High Value Lead")["rule"],
        rule,
        "nothing that cannot be changed was touched"
    );
    assert_eq!(ads.there().len(), DECLARED);

    let replace = Orders {
        replace: true,
        ..NOTHING_MORE
    };
    let old = ads.named("High Value Lead")["id"].as_str().unwrap().to_owned();
    let done = ads.sync.apply(replace).await.unwrap();
    assert_eq!(done.unsettled(), 0, "{done}");
    assert_eq!(ads.there().len(), DECLARED + 2);
    assert!(
        ads.named("High Value Lead")["rule"]
            .as_str()
            .unwrap()
            .contains("500")
    );
    assert_eq!(
        ads.named(&format!("High Value Lead (replaced, {old})"))["rule"],
        rule
    );
    assert!(ads.plan().await.is_empty());
}

#[tokio::test]
async fn nothing_is_deleted_without_an_order_and_never_what_is_not_ours() {
    let ads = AdManager::new().await;
    ads.apply().await;
    ads.tamper(
        "Completed Purchase, 180 days",
        "description",
        json!("made by hand"),
    );
    let mut fewer = ads.sync.clone();
    fewer
        .declared
        .retain(|declared| declared.kind() == Kind::Conversion);
    let plan = fewer.plan(NOTHING_MORE).await.unwrap();
    assert_eq!(
        count(&plan, |action| matches!(action, Action::Undeclared { .. })),
        5,
        "{plan}"
    );
    assert_eq!(fewer.apply(NOTHING_MORE).await.unwrap().unsettled(), 0);
    assert_eq!(ads.there().len(), DECLARED);
    let delete = Orders {
        delete: true,
        ..NOTHING_MORE
    };
    let done = fewer.apply(delete).await.unwrap();
    assert_eq!(done.unsettled(), 0, "{done}");
    let left: Vec<Value> = ads
        .there()
        .into_iter()
        .map(|object| object["name"].clone())
        .collect();
    assert_eq!(
        left,
        [
            "High Value Lead",
            "Scheduled Appointment",
            "Completed Purchase",
            "Completed Purchase, 180 days"
        ]
    );
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_one() {
    let ads = AdManager::new().await;
    ads.sandbox.marketing().lose_next_answer();
    let done = ads.apply().await;
    assert_eq!(done.unsettled(), 0, "{done}");
    assert_eq!(ads.there().len(), DECLARED);
    assert!(ads.plan().await.is_empty());

    // And when the process dies before it looks: the next run finds what the last one made.
    let ads = AdManager::new().await;
    ads.sandbox.marketing().lose_next_answer();
    let made = json!({ "name": "High Value Lead", "description": "Rastro: High Value Lead", "event_source_id": PIXEL,
        "custom_event_type": "LEAD",
        "rule": r#"{"and":[{"event":{"eq":"Lead"}},{"value":{"gt":"500"}},{"or":[{"URL":{"i_contains":"clinica.com.br"}}]}]}"# });
    let lost = reqwest::Client::new()
        .post(format!(
            "{}/v24.0/act_{ACCOUNT}/customconversions",
            ads.sandbox.url()
        ))
        .bearer_auth(TOKEN)
        .json(&made)
        .send()
        .await
        .unwrap();
    assert_eq!(lost.status(), 500);
    assert_eq!(creates(&ads.plan().await), DECLARED - 1);
    ads.apply().await;
    assert_eq!(ads.there().len(), DECLARED);
    ads.named("High Value Lead");
}

#[tokio::test]
async fn a_throttle_is_waited_for_and_an_outage_asked_again() {
    let ads = AdManager::new().await;
    ads.fail_next(400, 80_004, Some(2_446_079), Some("1"));
    ads.fail_next(503, 2, None, None);
    let done = tokio::time::timeout(Duration::from_secs(60), ads.apply())
        .await
        .unwrap();
    assert_eq!(done.unsettled(), 0, "{done}");
    assert_eq!(ads.there().len(), DECLARED);
}

#[tokio::test]
async fn a_refusal_says_what_to_do_and_stops_nothing_else() {
    let ads = AdManager::new().await;
    // Too few people for one lookalike, and somebody's conversion of the same rule under another name.
    ads.sandbox
        .marketing()
        .put_people("Completed Purchase, 180 days", 99);
    let theirs = json!({ "name": "Agendou", "event_source_id": PIXEL, "custom_event_type": "SCHEDULE",
        "rule": r#"{"and":[{"event":{"eq":"Schedule"}},{"or":[{"URL":{"i_contains":"clinica.com.br"}}]}]}"# });
    let made = reqwest::Client::new()
        .post(format!(
            "{}/v24.0/act_{ACCOUNT}/customconversions",
            ads.sandbox.url()
        ))
        .bearer_auth(TOKEN)
        .json(&theirs)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 200);
    let done = ads.apply().await;
    let words = done.to_string();
    assert_eq!(done.unsettled(), 2, "{words}");
    assert!(
        words.contains("100 people or more") && words.contains("this very rule"),
        "{words}"
    );
    assert!(words.ends_with("7 of 9 done"), "{words}");
    assert_eq!(ads.there().len(), DECLARED - 2 + 1);
    // The seed has filled, and the other one is renamed as it was advised.
    ads.sandbox
        .marketing()
        .put_people("Completed Purchase, 180 days", 100);
    ads.tamper("Agendou", "name", json!("Scheduled Appointment"));
    assert_eq!(ads.apply().await.unsettled(), 0);
    assert!(ads.plan().await.is_empty());
    assert_eq!(
        ads.named("Scheduled Appointment")["description"],
        "Rastro: Scheduled Appointment"
    );
    assert_eq!(ads.there().len(), DECLARED);
}

#[tokio::test]
async fn who_may_not_manage_the_account_is_told_so_and_nothing_is_made() {
    let ads = AdManager::new().await;
    let access = AdAccess::to(PIXEL);
    for (access, word) in [
        (
            AdAccess {
                manages: false,
                ..access.clone()
            },
            "ads_management",
        ),
        (
            AdAccess {
                most_conversions: 0,
                most_audiences: 0,
                ..access.clone()
            },
            "the most custom conversions",
        ),
        (
            AdAccess {
                pixels: Vec::new(),
                ..access.clone()
            },
            "may not use the pixel",
        ),
    ] {
        ads.sandbox.marketing().grant(ACCOUNT, access);
        let done = ads.apply().await;
        assert!(done.to_string().contains(word), "{word} in {done}");
        assert_eq!(done.unsettled(), DECLARED, "{done}");
        assert_eq!(ads.there(), Vec::<Value>::new());
    }
    ads.sandbox.marketing().grant(
        ACCOUNT,
        AdAccess {
            terms_accepted: false,
            ..access
        },
    );
    let done = ads.apply().await;
    assert!(done.to_string().contains("terms of Custom Audiences"), "{done}");
    assert_eq!(ads.there().len(), 3, "the conversions need no terms");

    let other = Sync {
        access_token: "EAAwrong".to_owned().into(),
        ..ads.sync.clone()
    };
    let error = other.plan(NOTHING_MORE).await.unwrap_err().to_string();
    assert!(
        error.contains("does not accept sync.access_token") && !error.contains("EAAwrong"),
        "{error}"
    );
}

#[tokio::test]
async fn two_that_could_be_meant_are_left_to_a_person() {
    let ads = AdManager::new().await;
    ads.apply().await;
    ads.tamper(
        "Scheduled Appointment",
        "description",
        json!("Rastro: High Value Lead"),
    );
    let done = ads.apply().await;
    assert!(
        done.to_string().contains("could be meant: rename all but one"),
        "{done}"
    );
    // And what is then missing is refused by Meta, as its rule is there.
    assert_eq!(ads.there().len(), DECLARED);
}

/// Meta's own SDK does something in the account; what it sees there afterwards.
async fn official_sdk(ads: &AdManager, what: &'static str) -> Vec<Value> {
    #[expect(
        clippy::disallowed_methods,
        reason = "`make test` says here which interpreter has the SDK"
    )]
    let python = std::env::var("RASTRO_TEST_PYTHON")
        .expect("RASTRO_TEST_PYTHON must name a Python that has facebook-business: run through `make test`");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ads_manager.py");
    let mut command = std::process::Command::new(python);
    command
        .args(["-I", script, &ads.sandbox.url(), ACCOUNT, TOKEN, PIXEL, what])
        .env("no_proxy", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn metas_own_sdk_finds_what_is_declared_and_what_it_changes_is_seen() {
    let ads = AdManager::new().await;
    // Somebody made one of that name before: its rule cannot be changed, so it stays, and it is said.
    assert_eq!(official_sdk(&ads, "make").await.len(), 1);
    let plan = ads.plan().await;
    let differs = |action: &Action| matches!(action, Action::Differs { .. });
    assert_eq!(
        (count(&plan, differs), creates(&plan)),
        (1, DECLARED - 1),
        "{plan}"
    );
    let (before, replace) = (ads.sandbox.marketing().tokens_in_urls(), true);
    assert!(before > 0);
    let done = ads
        .sync
        .apply(Orders {
            replace,
            ..NOTHING_MORE
        })
        .await
        .unwrap();
    assert_eq!(done.unsettled(), 0, "{done}");
    // What we send has the token in a header.
    assert_eq!(ads.sandbox.marketing().tokens_in_urls(), before);

    let seen = official_sdk(&ads, "look").await;
    assert_eq!(
        seen.len(),
        DECLARED + 1,
        "and the one that was put aside: {seen:#?}"
    );
    let named = |name: &str| seen.iter().find(|found| found["name"] == name).unwrap();
    let (lead, audience) = (named("High Value Lead"), named("High Value Lead, 180 days"));
    // As the reference prints the rule.
    assert_eq!(
        lead["rule"],
        r#"{"and":[{"event":{"eq":"Lead"}},{"value":{"gt":"500"}},{"or":[{"URL":{"i_contains":"clinica.com.br"}}]}]}"#
    );
    assert_eq!(
        (&lead["custom_event_type"], &lead["pixel"]["id"]),
        (&json!("LEAD"), &json!(PIXEL))
    );
    assert_eq!(
        (&audience["subtype"], &audience["retention_days"]),
        (&json!("WEBSITE"), &json!(180))
    );
    let like = &named("Like Completed Purchase, BR 1%")["lookalike_spec"];
    assert_eq!((&like["country"], &like["ratio"]), (&json!("BR"), &json!(0.01)));
    assert_eq!(
        like["origin"][0]["id"],
        named("Completed Purchase, 180 days")["id"]
    );

    official_sdk(&ads, "meddle").await;
    let plan = ads.plan().await;
    let changes = |action: &Action| matches!(action, Action::Change { .. });
    let strangers: Vec<_> = plan
        .items
        .iter()
        .filter(|(item, _)| matches!(item.action, Action::Undeclared { .. }))
        .map(|(item, _)| item.name.as_str())
        .collect();
    assert_eq!((count(&plan, changes), creates(&plan)), (1, 1), "{plan}");
    assert!(strangers.contains(&"Agendou, 30 dias"), "{plan}");
}

#[test]
fn what_is_declared_must_make_sense() {
    let base = [
        ("RASTRO__SYNC__ACCOUNT_ID", ACCOUNT),
        ("RASTRO__SYNC__DATASET_ID", PIXEL),
        ("RASTRO__SYNC__ACCESS_TOKEN", TOKEN),
        ("RASTRO__SYNC__DOMAIN", "clinica.com.br"),
    ];
    for (name, value, word) in [
        ("RASTRO__SYNC__DOMAIN", "", "sync.domain"),
        ("RASTRO__SYNC__DOMAIN", "https://clinica.com.br/", "sync.domain"),
        ("RASTRO__SYNC__ACCESS_TOKEN", "", "sync.access_token"),
        ("RASTRO__SYNC__ACCOUNT_ID", "act_x", "sync.account_id"),
        ("RASTRO__SYNC__DATASET_ID", "x", "sync.dataset_id"),
    ] {
        let others = base.into_iter().filter(|(other, _)| *other != name);
        let variables: Vec<_> = others.chain([(name, value)]).collect();
        let error = rastro_boot::testing::config::<Config>(&variables).unwrap_err();
        assert!(format!("{error:#}").contains(word), "{error:#}");
    }
}
