//! Custom conversions and audiences: what Meta takes, and what it refuses, by code. Rules and codes are those
//! of its documentation and of public reports, not of any client here.

use rastro_sandbox::{AdAccess, AdAccount, Sandbox, SandboxConfig};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::support::client;

const PIXEL: &str = "111";

struct Ads {
    sandbox: Sandbox,
    client: Client,
}

impl Ads {
    async fn new() -> Self {
        let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
        for (id, token) in [("42", "T"), ("43", "U")] {
            let account = AdAccount {
                access_token: token.to_owned(),
                ..AdAccount::default()
            };
            sandbox.marketing().put_account(id, account);
            sandbox.marketing().grant(id, AdAccess::to(PIXEL));
        }
        Ads {
            sandbox,
            client: client(),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self
            .client
            .request(method, format!("{}/v24.0/{path}", self.sandbox.url()))
            .bearer_auth("T");
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask(Method::POST, path, Some(body.clone())).await
    }

    /// The id of what is made.
    async fn make(&self, edge: &str, body: &Value) -> String {
        let (status, answer) = self.post(&format!("act_42/{edge}"), body).await;
        assert_eq!(status, 200, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Code and subcode of a refusal.
    async fn refusal(&self, path: &str, body: &Value) -> (i64, Option<i64>) {
        let (status, answer) = self.post(path, body).await;
        assert_eq!(status, 400, "{body} gave {answer}");
        code(&answer)
    }
}

fn code(answer: &Value) -> (i64, Option<i64>) {
    let error = &answer["error"];
    (error["code"].as_i64().unwrap(), error["error_subcode"].as_i64())
}

fn conversion() -> Value {
    json!({ "name": "Lead A", "event_source_id": PIXEL, "custom_event_type": "LEAD",
        "rule": r#"{"and":[{"event":{"eq":"Lead"}},{"or":[{"URL":{"i_contains":"example.com"}}]}]}"# })
}

/// Meta's own example of a website audience.
fn audience_rule(event: &str, seconds: i64) -> String {
    json!({ "inclusions": { "operator": "or", "rules": [{ "event_sources": [{ "id": PIXEL, "type": "pixel" }],
        "retention_seconds": seconds,
        "filter": { "operator": "and", "filters": [{ "field": "event", "operator": "eq", "value": event }] } }] } })
    .to_string()
}

fn audience() -> Value {
    json!({ "name": "Buyers", "rule": audience_rule("Purchase", 2_592_000), "retention_days": 30, "prefill": true })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

#[tokio::test]
async fn a_conversion_is_made_as_documented_and_refused_as_reported() {
    let ads = Ads::new().await;
    let edge = "act_42/customconversions";
    let rule = |rule: &str| with(with(conversion(), "name", json!("B")), "rule", json!(rule));
    for (body, expected) in [
        // The event alone: "a conversion rule is required".
        (rule(r#"{"event":{"eq":"Lead"}}"#), (100, Some(1_760_020))),
        (
            rule(r#"{"and":[{"event":{"eq":"Lead"}},{"value":{"gt":"500"}}]}"#),
            (100, Some(1_760_020)),
        ),
        (with(conversion(), "rule", Value::Null), (100, Some(1_760_020))),
        (rule("event=Lead"), (100, None)),
        (rule(r#"{"URL":{"like":"x"}}"#), (100, None)),
        (rule(r#"{"URL":{"gt":500}}"#), (100, None)),
        (rule(r#"{"and":[]}"#), (100, None)),
        (
            with(conversion(), "rule", json!({ "URL": { "eq": "x" } })),
            (100, Some(1_760_020)),
        ),
        (
            with(conversion(), "custom_event_type", json!("Lead")),
            (100, None),
        ),
        (with(conversion(), "event_source_id", json!("222")), (100, None)),
        (with(conversion(), "name", json!("")), (100, None)),
        (with(conversion(), "is_archived", json!(true)), (100, None)),
    ] {
        assert_eq!(ads.refusal(edge, &body).await, expected, "{body}");
    }
    let (status, made) = ads.post(edge, &conversion()).await;
    assert_eq!(
        (status, &made["is_custom_event_type_predicted"]),
        (200, &json!("0"))
    );
    let id = made["id"].as_str().unwrap();
    // The same rule under another name, written in another way.
    let spaced = r#"{ "and": [ {"event":{"eq":"Lead"}}, {"or":[{"URL":{"i_contains":"example.com"}}]} ] }"#;
    assert_eq!(ads.refusal(edge, &rule(spaced)).await, (100, Some(1_760_002)));
    for fixed in ["rule", "custom_event_type", "event_source_id", "is_archived"] {
        assert_eq!(
            ads.refusal(id, &json!({ fixed: "x" })).await,
            (100, None),
            "{fixed}"
        );
    }
    assert_eq!(ads.post(id, &json!({ "name": "Renamed" })).await.0, 200);
    assert_eq!(ads.ask(Method::DELETE, id, None).await.0, 400);
    let (_, page) = ads
        .ask(
            Method::GET,
            &format!("{edge}?fields=id,name,pixel,first_fired_time,is_archived"),
            None,
        )
        .await;
    let expected = json!([{ "id": id, "name": "Renamed", "pixel": { "id": PIXEL }, "is_archived": false }]);
    assert_eq!(page["data"], expected);
    assert!(page["paging"]["next"].is_null());
    let (status, _) = ads
        .ask(Method::GET, &format!("{edge}?fields=id,token"), None)
        .await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn an_audience_keeps_its_filters_and_a_lookalike_its_seed() {
    let ads = Ads::new().await;
    let edge = "act_42/customaudiences";
    for body in [
        with(audience(), "retention_days", json!(181)),
        with(audience(), "retention_days", json!(0)),
        with(audience(), "retention_days", Value::Null),
        with(audience(), "rule", json!(audience_rule("Purchase", 31 * 86_400))),
        with(audience(), "rule", json!(audience_rule("Purchase", 0))),
        with(
            audience(),
            "rule",
            json!(r#"{"and":[{"event":{"eq":"Purchase"}}]}"#),
        ),
        with(
            audience(),
            "rule",
            json!(audience_rule("Purchase", 86_400).replace("\"eq\"", "\"gt\"")),
        ),
        with(
            audience(),
            "rule",
            json!(audience_rule("Purchase", 86_400).replace(PIXEL, "222")),
        ),
        with(audience(), "customer_file_source", json!("USER_PROVIDED_ONLY")),
    ] {
        assert_eq!(ads.refusal(edge, &body).await, (100, None), "{body}");
    }
    let seed = ads.make("customaudiences", &audience()).await;
    let other = json!({ "rule": audience_rule("Lead", 2_592_000) });
    assert_eq!(
        ads.refusal(&seed, &other).await,
        (100, None),
        "a filter cannot be changed"
    );
    let longer = json!({ "rule": audience_rule("Purchase", 60 * 86_400), "retention_days": 60 });
    assert_eq!(ads.post(&seed, &longer).await.0, 200, "how long people stay can");

    let lookalike = |spec: &str| json!({ "name": format!("like {spec}"), "subtype": "LOOKALIKE", "origin_audience_id": seed, "lookalike_spec": spec });
    let one = lookalike(r#"{"ratio":0.01,"country":"BR"}"#);
    ads.sandbox.marketing().put_people("Buyers", 99);
    assert_eq!(
        ads.refusal(edge, &one).await,
        (100, None),
        "a seed has 100 people"
    );
    ads.sandbox.marketing().put_people("Buyers", 100);
    for spec in [
        r#"{"ratio":0.005,"country":"BR"}"#,
        r#"{"ratio":0.21,"country":"BR"}"#,
        r#"{"ratio":0.05,"starting_ratio":0.05,"country":"BR"}"#,
        r#"{"ratio":0.05,"type":"reach","country":"BR"}"#,
        r#"{"country":"BR"}"#,
        r#"{"ratio":0.05}"#,
        r#"{"ratio":0.05,"country":"Brasil"}"#,
    ] {
        assert_eq!(ads.refusal(edge, &lookalike(spec)).await, (100, None), "{spec}");
    }
    let id = ads.make("customaudiences", &one).await;
    // "You've already created a lookalike audience with the same source, country and size."
    let again = with(one.clone(), "name", json!("another name"));
    assert_eq!(ads.refusal(edge, &again).await, (2_654, None));
    assert_eq!(
        ads.refusal(&id, &json!({ "lookalike_spec": "{}" })).await,
        (100, None)
    );
    let of_lookalike = with(
        lookalike(r#"{"ratio":0.02,"country":"BR"}"#),
        "origin_audience_id",
        json!(id),
    );
    assert_eq!(ads.refusal(edge, &of_lookalike).await, (100, None));
    assert_eq!(ads.ask(Method::DELETE, &id, None).await.0, 200);
    assert_eq!(ads.ask(Method::DELETE, &id, None).await.0, 400);
}

#[tokio::test]
async fn limits_permissions_and_terms_are_metas_and_listings_come_in_pages() {
    let ads = Ads::new().await;
    for number in 0..45 {
        ads.make(
            "customaudiences",
            &with(audience(), "name", json!(format!("a{number}"))),
        )
        .await;
    }
    let (mut seen, mut after) = (0, "0".to_owned());
    loop {
        let path = format!("act_42/customaudiences?fields=name&limit=20&after={after}");
        let (_, page) = ads.ask(Method::GET, &path, None).await;
        seen += page["data"].as_array().unwrap().len();
        after = page["paging"]["cursors"]["after"].as_str().unwrap().to_owned();
        if page["paging"]["next"].is_null() {
            break;
        }
    }
    assert_eq!(seen, 45);
    let of_others = "act_43/customaudiences";
    assert_eq!(
        ads.refusal(of_others, &audience()).await.0,
        200,
        "of another account"
    );

    let access = AdAccess::to(PIXEL);
    let few = AdAccess {
        most_audiences: 45,
        ..access.clone()
    };
    ads.sandbox.marketing().grant("42", few);
    assert_eq!(
        ads.refusal("act_42/customaudiences", &audience()).await,
        (100, None)
    );
    ads.sandbox.marketing().grant(
        "42",
        AdAccess {
            terms_accepted: false,
            ..access.clone()
        },
    );
    assert_eq!(
        ads.refusal("act_42/customaudiences", &audience()).await,
        (200, Some(1_870_090))
    );
    ads.sandbox.marketing().grant(
        "42",
        AdAccess {
            manages: false,
            ..access
        },
    );
    assert_eq!(
        ads.refusal("act_42/customconversions", &conversion()).await,
        (200, None)
    );
    let (status, _) = ads.ask(Method::GET, "act_42/customaudiences", None).await;
    assert_eq!(status, 200, "it still reads");
}

#[tokio::test]
async fn only_versions_that_meta_still_serves_are_answered() {
    let ads = Ads::new().await;
    for (version, is_served) in [
        ("v23.0", false),
        ("v24.0", true),
        ("v26.0", true),
        ("v27.0", false),
    ] {
        for path in ["act_42", "act_42/customaudiences"] {
            let url = format!("{}/{version}/{path}", ads.sandbox.url());
            let answer = ads.client.get(url).bearer_auth("T").send().await.unwrap();
            let status = answer.status().as_u16();
            let answer: Value = answer.json().await.unwrap();
            match is_served {
                true => assert_eq!(status, 200, "{version} {path}: {answer}"),
                false => assert_eq!((status, code(&answer)), (400, (2635, None)), "{version} {path}"),
            }
        }
    }
}
