//! Who an event is about.

use rastro_core::match_keys::MatchKey;
use serde_json::{Value, json};

use super::*;

/// A lead by e-mail, which needs nothing but a person.
fn about(user_data: Value) -> Value {
    json!({
        "event_name": "Lead", "event_time": NOW, "event_id": "1", "action_source": "email", "user_data": user_data,
    })
}

fn beside_an_email(name: &str, value: Value) -> Value {
    changed(
        about(json!({"em": "ana@example.com"})),
        &format!("/user_data/{name}"),
        value,
    )
}

const TOO_LITTLE: &str = "holds too little to find a person by: send an e-mail, a phone, a name, fbp, fbc, an external_id or the visitor's address";

/// Each hashed key with a value and `printf <normalised> | sha256sum`, from Meta's documents and SDKs.
const HASHED: [(&str, &str, &str); 18] = [
    (
        "em",
        " John_Smith@gmail.com ",
        "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
    ),
    (
        "ph",
        "+55 (11) 91234-5678",
        "eeff2a7b3fdffa242c44700da8293d40c64a070956a3cdac36a4553dd4786704",
    ),
    (
        "fn",
        "Mary",
        "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec",
    ),
    (
        "ln",
        "OCONNOR",
        "7a0fbfdf40cbeb97429bdb88f512cecd27f0d44b7e57986ab578423bb61936ac",
    ),
    (
        "ge",
        "F",
        "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111",
    ),
    (
        "db",
        "19970216",
        "01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c",
    ),
    (
        "ct",
        "Belo Horizonte",
        "2964ae2dcba7011705a1cd01bf94b063d1cf5c3ff06eb26a850c4d08b1aebc4f",
    ),
    (
        "st",
        "CA",
        "6959097001d10501ac7d54c0bdb8db61420f658f2922cc26e46d536119a31126",
    ),
    (
        "zp",
        "94035",
        "1794327a4d443904421f5ca1f3d72d0a62ba2f0770d80755ec2220fc0efb052e",
    ),
    (
        "country",
        "Brasil",
        "885036a0da3dff3c3e05bc79bf49382b12bc5098514ed57ce0875aba1aa2c40d",
    ),
    (
        "external_id",
        "12345",
        "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5",
    ),
    (
        "f5first",
        "George",
        "d6e075ad15048c12f2974d121a25c3d9fc5898072c7a4236fe5245d342a41c7d",
    ),
    (
        "f5last",
        "Washington",
        "9d2d55c43c373dd682cd3825b74f8de58c3ca0ba011471230d7a5eff939bd544",
    ),
    (
        "fi",
        "ABC",
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    ),
    (
        "dobd",
        "1",
        "938db8c9f82c8cb58d3f3ef4fd250036a48d26a712753d2fde5abd03a85cabf4",
    ),
    (
        "dobm",
        "9",
        "3514acf61732f662da19625f7fe781c3e483f2dce8506012f3bb393f5003e105",
    ),
    (
        "doby",
        "2000",
        "81a83544cf93c245178cbc1620030f1123f435af867c79d87135983c52ab39d9",
    ),
    (
        "app_user_id",
        "12345",
        "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5",
    ),
];

/// The first hash of a key, which may be sent alone or in a list of forms.
fn first(value: &Value) -> &str {
    value.get(0).unwrap_or(value).as_str().unwrap()
}

#[test]
fn every_hashed_key_is_sent_as_its_hash_and_a_hash_as_it_is() {
    assert_eq!(
        HASHED.map(|(name, ..)| name),
        MatchKey::ALL.map(MatchKey::wire_name)
    );
    for (name, value, hash) in HASHED {
        for value in [value, hash, &hash.to_uppercase()] {
            // The fbp, because not every key is enough to find a person by.
            let user_data = json!({"fbp": "fb.1.1596403881668.1116446470", name: value});
            assert_eq!(
                first(&sent(&about(user_data))["user_data"][name]),
                hash,
                "{name} {value}"
            );
        }
        let marked = format!("{hash}.AQQAAQMC");
        let user_data = json!({"fbp": "fb.1.1596403881668.1116446470", name: [marked]});
        assert_eq!(
            first(&sent(&about(user_data))["user_data"][name]),
            marked,
            "{name}"
        );
    }
}

#[test]
fn a_hashed_key_takes_strings_integers_lists_and_nothing_else() {
    for (name, ..) in HASHED {
        let many = matches!(
            name,
            "em" | "ph" | "fn" | "ln" | "ge" | "db" | "ct" | "st" | "zp" | "country" | "external_id"
        );
        for (value, kind) in [
            (json!(true), "a boolean"),
            (json!(1.5), "a number"),
            (json!(-1), "a number"),
            (json!({}), "an object"),
        ] {
            let name = if name == "em" { "ph" } else { name };
            let detail = format!("was left out: it must be a string or a list of strings, not {kind}");
            assert_warned(
                &beside_an_email(name, value.clone()),
                &[(&format!("/user_data/{name}"), &detail)],
            );
            assert_warned(
                &beside_an_email(name, json!([value])),
                &[(&format!("/user_data/{name}/0"), &detail)],
            );
        }
        let most = if many { 20 } else { 1 };
        let too_many = json!(vec![Value::Null; most + 1]);
        let detail = format!("was sent with its first {most} of {} values", most + 1);
        assert_warned(
            &about(json!({"fbp": "fb.1.1596403881668.1", name: too_many})),
            &[(&format!("/user_data/{name}"), &detail)],
        );
        let long = json!("a".repeat(2_001));
        assert_warned(
            &about(json!({"fbp": "fb.1.1596403881668.1", name: long})),
            &[(
                &format!("/user_data/{name}"),
                "was left out: it is longer than 2,000 bytes",
            )],
        );
        for nothing in [Value::Null, json!(""), json!([]), json!([null]), json!([""])] {
            let sent = assert_warned(&about(json!({"fbp": "fb.1.1596403881668.1", name: nothing})), &[]);
            assert_eq!(
                sent["user_data"],
                json!({"fbp": "fb.1.1596403881668.1"}),
                "{name}"
            );
        }
    }
}

#[test]
fn a_value_that_cannot_be_an_identifier_is_left_out_with_a_warning_and_the_rest_is_sent() {
    const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    for (name, value, pointer, detail) in [
        (
            "ph",
            json!("12345"),
            "/user_data/ph",
            "was left out: it does not have the 7 to 15 digits of a phone number",
        ),
        (
            "ge",
            json!("other"),
            "/user_data/ge",
            "was left out: it names neither of the genders Meta knows",
        ),
        (
            "db",
            json!(["02-16-97"]),
            "/user_data/db/0",
            "was left out: it is not a date of birth with a four-digit year",
        ),
        (
            "country",
            json!("Nowhere"),
            "/user_data/country",
            "was left out: it is not the name or the code of a country",
        ),
        ("zp", json!(NOTHING), "/user_data/zp", "was left out: it is empty"),
        (
            "external_id",
            json!(["undefined"]),
            "/user_data/external_id/0",
            "was left out: it is a placeholder that nobody filled in",
        ),
        (
            "fbp",
            json!("garbage"),
            "/user_data/fbp",
            "was left out: it is not of the form fb.<index>.<milliseconds>.<id>",
        ),
        (
            "fbc",
            json!("IwAR0abc"),
            "/user_data/fbc",
            "was left out: it is not of the form fb.<index>.<milliseconds>.<id>",
        ),
        (
            "client_ip_address",
            json!("unknown"),
            "/user_data/client_ip_address",
            "was left out: it is not a public IPv4 or IPv6 address",
        ),
        (
            "anon_id",
            json!("ana@example.com"),
            "/user_data/anon_id",
            "was left out: it holds personal data, and would be sent as it is",
        ),
        (
            "madid",
            json!("ana@example.com"),
            "/user_data/madid",
            "was left out: it holds personal data, and would be sent as it is",
        ),
    ] {
        let sent = assert_warned(&beside_an_email(name, value), &[(pointer, detail)]);
        assert_eq!(sent["user_data"], json!({"em": ANA}), "{name}");
    }
    let mixed = about(json!({"em": ["not-an-email", null, "ana@example.com"]}));
    let sent = assert_warned(
        &mixed,
        &[("/user_data/em/0", "was left out: it is not an e-mail address")],
    );
    assert_eq!(sent["user_data"], json!({"em": ANA}));
}

#[test]
fn an_md5_hash_is_passed_on_with_a_warning() {
    let md5 = "5d41402abc4b2a76b9719d911017c592";
    let warning = "is an MD5 hash: it was passed on, but Meta finds people by SHA-256";
    let sent = assert_warned(
        &about(json!({"em": md5.to_uppercase()})),
        &[("/user_data/em", warning)],
    );
    assert_eq!(sent["user_data"], json!({"em": md5}));
    // In an id of the business's own it is a UUID without hyphens: printf 5d41402abc4b2a76b9719d911017c592 |
    // sha256sum
    let sent = assert_warned(&about(json!({"external_id": md5})), &[]);
    assert_eq!(
        sent["user_data"],
        json!({"external_id": "4914e23374bb211e3dca0df7636fefffc7fedd94f1340ae81c7d6c07b7113e9b"})
    );
}

#[test]
fn plain_identifiers_are_checked_and_sent_as_they_came() {
    let ids = [
        "subscription_id",
        "anon_id",
        "page_id",
        "page_scoped_user_id",
        "ctwa_clid",
        "ig_account_id",
        "ig_sid",
        "whatsapp_business_account_id",
        "partner_id",
        "partner_name",
        "lead_id",
        "fb_login_id",
        "madid",
        "client_user_agent",
    ];
    for name in ids {
        let pointer = format!("/user_data/{name}");
        for (value, kind) in [
            (json!(false), "a boolean"),
            (json!(1.5), "a number"),
            (json!({}), "an object"),
            (json!(["a", "b"]), "a list"),
        ] {
            assert_warned(
                &beside_an_email(name, value),
                &[(
                    &pointer,
                    &format!("was left out: it must be a string, not {kind}"),
                )],
            );
        }
        let too_long = if name == "client_user_agent" {
            "was cut to 2,000 bytes"
        } else {
            "was left out: it is longer than 2,000 bytes"
        };
        assert_warned(
            &beside_an_email(name, json!("1".repeat(2_001))),
            &[(&pointer, too_long)],
        );
        for word in ["undefined", "null", "{{id}}", "[object Object]"] {
            assert_warned(
                &beside_an_email(name, json!(word)),
                &[(
                    &pointer,
                    "was left out: it is a placeholder that nobody filled in",
                )],
            );
        }
        for nothing in [Value::Null, json!(""), json!(" "), json!([]), json!([null])] {
            assert_eq!(
                sent(&beside_an_email(name, nothing))["user_data"],
                json!({"em": ANA}),
                "{name}"
            );
        }
        assert_eq!(
            sent(&beside_an_email(name, json!(["123"])))["user_data"][name],
            "123"
        );
    }
    // Sixteen digits and more are exact as an integer and as text, and not as a float.
    for id in ["lead_id", "fb_login_id"] {
        assert_eq!(
            sent(&beside_an_email(id, json!(9_007_199_254_740_993_u64)))["user_data"][id].to_string(),
            "9007199254740993"
        );
        assert_warned(
            &beside_an_email(id, json!("12a")),
            &[(
                &format!("/user_data/{id}"),
                "was left out: it must be a whole number",
            )],
        );
    }
    let madid = sent(&beside_an_email(
        "madid",
        json!("38400000-8CF0-11BD-B23E-10B96E40000D"),
    ));
    assert_eq!(
        madid["user_data"]["madid"],
        "38400000-8cf0-11bd-b23e-10b96e40000d"
    );
}

#[test]
fn an_address_is_sent_if_it_is_one_of_the_internets() {
    for (address, sent_as) in [
        ("203.0.113.9", Some("203.0.113.9")),
        (" 203.0.113.9 ", Some("203.0.113.9")),
        ("203.0.113.9.AQQAAQMC", Some("203.0.113.9.AQQAAQMC")),
        ("2001:db8::1", Some("2001:db8::1")),
        ("2001:db8::1.AQQCAQIB", Some("2001:db8::1.AQQCAQIB")),
        ("::ffff:203.0.113.9", Some("203.0.113.9")),
        ("203.0.113.9.5", None),
        ("203.0.113.9.garbage-garbage", None),
        ("10.0.0.1", None),
        ("10.0.0.1.AQQAAQMC", None),
        ("172.16.0.1", None),
        ("172.32.0.1", Some("172.32.0.1")),
        ("192.168.1.1", None),
        ("127.0.0.1", None),
        ("169.254.1.1", None),
        ("100.64.0.1", None),
        ("100.127.255.255", None),
        ("100.128.0.1", Some("100.128.0.1")),
        ("0.0.0.0", None),
        ("0.1.2.3", None),
        ("224.0.0.1", None),
        ("240.0.0.1", None),
        ("255.255.255.255", None),
        ("::1", None),
        ("::", None),
        ("fe80::1", None),
        ("fd00::1", None),
        ("ff02::1", None),
        ("::ffff:10.0.0.1", None),
        ("203.0.113.9:8080", Some("203.0.113.9")),
        ("[2001:db8::1]:443", Some("2001:db8::1")),
        ("203.0.113.9, 10.0.0.1", Some("203.0.113.9")),
        ("10.0.0.1,203.0.113.9", Some("203.0.113.9")),
        ("unknown; 203.0.113.9", Some("203.0.113.9")),
        ("10.0.0.1, 192.168.0.1", None),
        ("x", None),
    ] {
        let (json, warnings) = read(
            &beside_an_email("client_ip_address", json!(address)).to_string(),
            &intake(),
        )
        .unwrap();
        let sent: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            sent["user_data"]["client_ip_address"].as_str(),
            sent_as,
            "{address}"
        );
        assert_eq!(warnings.len(), usize::from(sent_as.is_none()), "{address}");
    }
}

#[test]
fn an_unknown_identifier_is_refused_because_it_would_leave_unhashed() {
    for name in ["email", "phone", "EM", "first_name", "cpf", "f5", ""] {
        assert_refused(
            &beside_an_email(name, json!("x")),
            &[(
                &format!("/user_data/{name}"),
                "is not a customer information parameter of the Conversions API",
            )],
        );
    }
}

/// Rule 2804050: nothing, or a subset of one of four sets, is too little.
#[test]
fn what_is_too_little_to_find_a_person_by_is_refused_and_anything_more_is_not() {
    const SETS: [&[&str]; 4] = [
        &["ct", "country", "st", "zp", "ge", "client_user_agent"],
        &["db", "client_user_agent"],
        &["fn", "ge"],
        &["ln", "ge"],
    ];
    let value = |name: &str| match HASHED.iter().find(|(known, ..)| *known == name) {
        Some((_, value, _)) => json!(value),
        None => json!("Mozilla/5.0"),
    };
    let of = |names: &[&str]| {
        about(
            names
                .iter()
                .map(|name| ((*name).to_owned(), value(name)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        )
    };
    let names = [
        "ct",
        "country",
        "st",
        "zp",
        "ge",
        "client_user_agent",
        "db",
        "fn",
        "ln",
    ];
    for bits in 0_u32..1 << names.len() {
        let present: Vec<&str> = (0..names.len())
            .filter(|bit| bits >> bit & 1 == 1)
            .map(|bit| names[bit])
            .collect();
        let is_too_little = SETS
            .iter()
            .any(|set| present.iter().all(|name| set.contains(name)));
        if is_too_little {
            assert_refused(&of(&present), &[("/user_data", TOO_LITTLE)]);
        } else {
            sent(&of(&present));
        }
    }
    for enough in [
        json!({"em": "ana@example.com"}),
        json!({"ph": "+5511912345678"}),
        json!({"external_id": 7}),
        json!({"fbp": "fb.1.1596403881668.1116446470"}),
        json!({"fbc": "fb.1.1554763741205.AbCd"}),
        json!({"client_ip_address": "203.0.113.9"}),
        json!({"lead_id": 1}),
        json!({"fn": "Mary", "ln": "Jane"}),
    ] {
        sent(&about(enough));
    }
}

#[test]
fn where_too_little_remains_the_errors_say_what_was_left_out() {
    let event = about(json!({"em": "not-an-email", "ge": "f"}));
    assert_refused(
        &event,
        &[
            ("/user_data", TOO_LITTLE),
            ("/user_data/em", "was left out: it is not an e-mail address"),
        ],
    );
    // Other warnings are not errors, and stay out of them.
    let unrelated = changed(
        changed(event, "/custom_data", json!({"value": 1})),
        "/user_data",
        json!({}),
    );
    assert_refused(&unrelated, &[("/user_data", TOO_LITTLE)]);
}

#[test]
fn the_persons_own_country_decides_how_phone_and_state_are_read() {
    for (country, phone) in [("BR", HASHED[1].2), ("Brasil", HASHED[1].2)] {
        let sent = sent(&about(json!({"ph": "(11) 91234-5678", "country": [country]})));
        assert_eq!(sent["user_data"]["ph"], phone);
    }
}

#[test]
fn no_identifier_is_printed_for_debugging() {
    let text = about(json!({"em": "ana@example.com", "client_ip_address": "203.0.113.9", "lead_id": 77, "fbp": "fb.1.1596403881668.42"})).to_string();
    let intake = intake();
    let (event, _) = Event::read(Json::parse(text.as_bytes()).unwrap(), &intake).unwrap();
    assert_eq!(
        format!("{:?}", event.user_data),
        r#"{"em", "client_ip_address", "fbp", "lead_id"}"#
    );
    let visitor = Visitor {
        user_agent: Some("Mozilla"),
        ..Visitor::default()
    };
    assert_eq!(format!("{visitor:?}"), "Visitor([redacted])");
}
