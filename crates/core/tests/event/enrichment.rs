//! What the request, the page's address and the owner's settings add to an event.

use std::net::IpAddr;

use rastro_core::dataset::Currency;
use rastro_core::match_keys::CountryCode;
use serde_json::{Value, json};

use super::*;

const FBP: &str = "fb.1.1596403881668.1116446470";
const OLD_CLICK: &str = "fb.1.1600000000000.Old";

fn visitor() -> Visitor<'static> {
    Visitor {
        ip: Some("203.0.113.9".parse().unwrap()),
        user_agent: Some("Mozilla/5.0 (Linux; Android 14)"),
        fbp: Some(FBP),
        fbc: Some(OLD_CLICK),
        is_browser: false,
    }
}

fn by(visitor: Visitor<'static>) -> Intake<'static> {
    Intake { visitor, ..intake() }
}

/// A page view of a visitor of whom the event says nothing.
fn page_view() -> Value {
    changed(
        lead_with("/user_data", json!({})),
        "/event_name",
        json!("PageView"),
    )
}

#[test]
fn what_the_request_tells_is_added_where_the_event_does_not_say() {
    assert_eq!(
        sent_under(&page_view(), &by(visitor()))["user_data"],
        json!({
            "client_ip_address": "203.0.113.9", "client_user_agent": "Mozilla/5.0 (Linux; Android 14)",
            "fbc": OLD_CLICK, "fbp": FBP,
        })
    );
    let own = json!({
        "client_ip_address": "2001:db8::1", "client_user_agent": "Own", "fbc": "fb.1.1554763741205.Own", "fbp": "fb.2.1554763741205.7",
    });
    let full = changed(page_view(), "/user_data", own.clone());
    let full = changed(full, "/event_source_url", json!("https://x.br/?fbclid=New"));
    assert_eq!(sent_under(&full, &by(visitor()))["user_data"], own);
}

#[test]
fn what_the_event_says_wrongly_is_replaced_by_what_the_request_tells() {
    let wrong = changed(
        page_view(),
        "/user_data",
        json!({"client_ip_address": "10.0.0.1", "fbp": "x", "fbc": "y"}),
    );
    let sent = sent_under(&wrong, &by(visitor()));
    assert_eq!(sent["user_data"]["client_ip_address"], "203.0.113.9");
    assert_eq!(
        (&sent["user_data"]["fbp"], &sent["user_data"]["fbc"]),
        (&json!(FBP), &json!(OLD_CLICK))
    );
}

#[test]
fn a_private_address_an_empty_user_agent_and_a_broken_cookie_are_never_added() {
    for ip in [
        "10.0.0.1",
        "127.0.0.1",
        "192.168.0.9",
        "100.64.0.1",
        "::1",
        "fd00::1",
        "::ffff:10.0.0.1",
    ] {
        let ip: Option<IpAddr> = Some(ip.parse().unwrap());
        let sent = sent_under(&page_view(), &by(Visitor { ip, ..visitor() }));
        assert_eq!(sent["user_data"].get("client_ip_address"), None, "{ip:?}");
    }
    let mapped = Visitor {
        ip: Some("::ffff:203.0.113.9".parse().unwrap()),
        ..visitor()
    };
    assert_eq!(
        sent_under(&page_view(), &by(mapped))["user_data"]["client_ip_address"],
        "203.0.113.9"
    );

    let long: &'static str = "x".repeat(2_001).leak();
    let sent = sent_under(
        &page_view(),
        &by(Visitor {
            user_agent: Some(long),
            ..visitor()
        }),
    );
    assert_eq!(sent["user_data"]["client_user_agent"], long[..2_000]);
    for user_agent in [None, Some(""), Some(" "), Some("undefined")] {
        let errors = read(
            &page_view().to_string(),
            &by(Visitor {
                user_agent,
                ..visitor()
            }),
        )
        .unwrap_err();
        assert_eq!(
            pairs(&errors),
            [("/user_data/client_user_agent", "is required for website events")]
        );
    }
    let broken = Visitor {
        fbp: Some("garbage"),
        fbc: Some("fb.1.16x.Old"),
        ..visitor()
    };
    let sent = sent_under(&page_view(), &by(broken));
    assert_eq!(
        (sent["user_data"].get("fbp"), sent["user_data"].get("fbc")),
        (None, None)
    );
}

#[test]
fn a_chat_gets_nothing_of_the_request() {
    let chat = json!({
        "event_name": "Purchase", "event_time": NOW, "event_id": "1", "action_source": "business_messaging",
        "messaging_channel": "whatsapp", "user_data": {"page_id": "1", "ctwa_clid": "c"},
        "custom_data": {"value": 1, "currency": "BRL"},
    });
    assert_eq!(sent_under(&chat, &by(visitor()))["user_data"], chat["user_data"]);
}

#[test]
fn a_click_in_the_pages_address_becomes_an_fbc_with_the_time_of_the_event() {
    let clicked = (NOW - 60) * 1_000;
    let no_cookie = Visitor {
        fbc: None,
        ..visitor()
    };
    for (source, referrer, cookie, fbc) in [
        (
            "https://x.br/?fbclid=AbC_d-1&a=b#c",
            None,
            None,
            Some(format!("fb.1.{clicked}.AbC_d-1")),
        ),
        (
            "https://x.br/?fbclid=AbC.AQICAQMC",
            None,
            None,
            Some(format!("fb.1.{clicked}.AbC")),
        ),
        (
            "https://x.br/",
            Some("https://x.br/a?fbclid=FromRef&x=1"),
            None,
            Some(format!("fb.1.{clicked}.FromRef")),
        ),
        (
            "https://x.br/?fbclid=a",
            Some("https://x.br/?fbclid=b"),
            None,
            Some(format!("fb.1.{clicked}.a")),
        ),
        (
            "https://x.br/?fbclid=Old",
            None,
            Some(OLD_CLICK),
            Some(OLD_CLICK.to_owned()),
        ),
        (
            "https://x.br/?fbclid=New",
            None,
            Some(OLD_CLICK),
            Some(format!("fb.1.{clicked}.New")),
        ),
        (
            "https://x.br/?fbclid=New",
            None,
            Some("fb.1.1600000000000.Old.BA"),
            Some(format!("fb.1.{clicked}.New")),
        ),
        (
            "https://x.br/",
            Some("https://x.br/?fbclid=Older"),
            Some(OLD_CLICK),
            Some(OLD_CLICK.to_owned()),
        ),
        (
            "https://x.br/?fbclid=not%20one",
            None,
            Some(OLD_CLICK),
            Some(OLD_CLICK.to_owned()),
        ),
        ("https://x.br/?fbclid=not%20one", None, None, None),
        ("https://x.br/?fbclid=", None, None, None),
    ] {
        let event = changed(
            lead_with("/event_source_url", json!(source)),
            "/referrer_url",
            referrer.map(|url| json!(url)),
        );
        let sent = sent_under(
            &event,
            &by(Visitor {
                fbc: cookie,
                ..no_cookie
            }),
        );
        assert_eq!(
            sent["user_data"]["fbc"].as_str(),
            fbc.as_deref(),
            "{source} {referrer:?} {cookie:?}"
        );
    }
    // An event ahead of our clock happened now, and so did its click; milliseconds are known of "now" only.
    let now = changed(
        lead_with("/event_source_url", json!("https://x.br/?fbclid=a")),
        "/event_time",
        json!(NOW + 30),
    );
    assert_eq!(sent(&now)["user_data"]["fbc"], format!("fb.1.{NOW}000.a"));
}

#[test]
fn country_and_currency_are_assumed_only_where_the_owner_configured_them_and_the_event_says_nothing() {
    let defaults = DatasetDefaults {
        country: CountryCode::parse("br"),
        currency: Currency::parse("BRL"),
    };
    let configured = Intake { defaults, ..intake() };
    let event = changed(
        lead_with("/custom_data", json!({"value": 10})),
        "/user_data/ph",
        json!("(11) 91234-5678"),
    );

    let plain = sent(&event);
    assert_eq!(
        (
            plain["user_data"].get("country"),
            plain["custom_data"].get("currency")
        ),
        (None, None)
    );

    let assumed = sent_under(&event, &configured);
    // printf br | sha256sum; printf 5511912345678 | sha256sum
    assert_eq!(
        assumed["user_data"]["country"],
        "885036a0da3dff3c3e05bc79bf49382b12bc5098514ed57ce0875aba1aa2c40d"
    );
    assert_eq!(
        assumed["user_data"]["ph"],
        "eeff2a7b3fdffa242c44700da8293d40c64a070956a3cdac36a4553dd4786704"
    );
    assert_eq!(assumed["custom_data"], json!({"value": 10, "currency": "BRL"}));

    let own = changed(
        changed(event, "/user_data/country", json!("US")),
        "/custom_data/currency",
        json!("USD"),
    );
    let own = sent_under(&own, &configured);
    // printf us | sha256sum
    assert_eq!(
        own["user_data"]["country"],
        "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"
    );
    assert_eq!(own["custom_data"]["currency"], "USD");

    // Without a value there is nothing to have a currency, and a country alone finds nobody.
    assert_eq!(
        sent_under(&lead_with("/custom_data", json!({"status": "a"})), &configured)["custom_data"],
        json!({"status": "a"})
    );
    let nobody = lead_with("/user_data", json!({"client_user_agent": "x"}));
    assert_eq!(
        read(&nobody.to_string(), &configured).unwrap_err()[0].pointer,
        "/user_data"
    );
    assert_eq!(
        sent_under(&purchase_with("/custom_data/currency", None), &configured)["custom_data"]["currency"],
        "BRL"
    );
}

#[test]
fn an_event_without_an_id_gets_one_from_its_bytes_and_the_browsers_cookie() {
    let text = r#"{"event_name":"Lead","event_time":1700000030,"action_source":"website","event_source_url":"https://x.br/","user_data":{"em":"ana@example.com"}}"#;
    let id = |text: &str, intake: &Intake<'_>| {
        let (json, _) = read(text, intake).unwrap();
        serde_json::from_str::<Value>(&json).unwrap()["event_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = id(text, &by(visitor()));
    // printf '%s\n%s' '<the text above>' fb.1.1596403881668.1116446470 | sha256sum | cut -c1-32; then the
    // text alone
    assert_eq!(first, "auto-8f1c85b17bc47306ce1217819d5cc6af");
    let server = Visitor {
        user_agent: Some("x"),
        ..Visitor::default()
    };
    assert_eq!(
        read(text, &by(Visitor::default())).unwrap_err()[0].pointer,
        "/user_data/client_user_agent"
    );
    assert_ne!(id(text, &by(server)), first);
    // By the same browser, wherever it is, an hour later (the event is ahead of the first clock and behind
    // the second), under other settings.
    let defaults = DatasetDefaults {
        country: CountryCode::parse("br"),
        currency: None,
    };
    let other = Visitor {
        ip: None,
        user_agent: Some("x"),
        fbp: visitor().fbp,
        fbc: None,
        is_browser: false,
    };
    let later = Intake {
        now_ms: (NOW + 3_600) * 1_000,
        current_year: 2024,
        defaults,
        visitor: other,
        ..Intake::default()
    };
    assert_eq!(id(text, &later), first);
    assert_eq!(
        id(
            &text.replace("1700000030", "1700000031").replace('{', "{ "),
            &later
        )
        .len(),
        first.len()
    );
    assert_ne!(id(&text.replace("ana@", "bia@"), &later), first);
    assert_ne!(id(&text.replace("1700000030", "1700000031"), &later), first);
    assert_eq!(
        id(&text.replace(",\"event_time", " ,\n \"event_time"), &later),
        first
    );
    let null = text.replace(r#"{"event_name""#, r#"{"event_id":null,"event_name""#);
    assert!(id(&null, &later).starts_with("auto-"));
}

#[test]
fn personal_data_in_a_pages_address_is_taken_out_with_a_warning() {
    let warning = "was sent without the personal data in it, which belongs in user_data";
    for field in ["event_source_url", "referrer_url"] {
        let event = lead_with(
            &format!("/{field}"),
            json!("https://x.br/ok?email=ana%40example.com&fbclid=AbC&step=1"),
        );
        let sent = assert_warned(&event, &[(&format!("/{field}"), warning)]);
        assert_eq!(sent[field], "https://x.br/ok?email=&fbclid=AbC&step=1");
        assert_eq!(
            sent["user_data"]["fbc"],
            format!("fb.1.{}.AbC", (NOW - 60) * 1_000)
        );
    }
    let app = lead_with("/referrer_url", json!("android-app://com.google.android.gm/"));
    assert_eq!(
        assert_warned(&app, &[])["referrer_url"],
        "android-app://com.google.android.gm/"
    );
}
