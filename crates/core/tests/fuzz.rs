//! Parsers of texts that strangers write: JSON, identifiers, addresses, amounts, files of spend.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use chrono::NaiveDate;
use rastro_core::click_id;
use rastro_core::dataset::Currency;
use rastro_core::json::{Json, without_half_characters};
use rastro_core::match_keys::{CountryCode, DroppedValue, HashedKeys, MatchKey, Reading};
use rastro_core::page::Page;
use rastro_core::payment::{major_units, minor_units};
use rastro_core::person::PersonKeys;
use rastro_core::spend::{self, Format};
use rastro_fuzz::fuzz;

#[test]
fn fuzzed_json_is_written_as_it_was_read_and_is_what_another_parser_reads() {
    let seeds: [&[u8]; 4] = [
        br#"{"a":[1,-2,3.5,1e300,true,null,"\u00e3\ud83d\ude00\n"],"b":{"":{}},"c":18446744073709551615}"#,
        br#"[[[[[[["deep"]]]]]]]"#,
        br#"{"a":1,"a":2}"#,
        br#""text""#,
    ];
    fuzz(
        &seeds,
        &["{", "}", "[", "]", ":", ",", "\\ud800", "1E5", "-", "."],
        |input| {
            let mended = without_half_characters(input);
            assert!(
                without_half_characters(&mended) == mended,
                "mending twice is mending once"
            );
            let Ok(read) = Json::parse(input) else {
                // It may be stricter than another parser only where that one leaves something out.
                return format!(
                    "refused, elsewhere {}",
                    serde_json::from_slice::<serde_json::Value>(input).is_ok()
                );
            };
            let written = serde_json::to_string(&read).unwrap();
            let again = Json::parse(written.as_bytes()).unwrap();
            assert_eq!(again, read);
            assert_eq!(serde_json::to_string(&again).unwrap(), written);
            // As some programs on Windows begin a text; the standard lets a parser take it or not.
            let bare = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
            let other: serde_json::Value = serde_json::from_slice(bare).unwrap();
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&written).unwrap(),
                other
            );
            read.kind().to_owned()
        },
    );
}

const KEYS: [MatchKey; 18] = [
    MatchKey::Email,
    MatchKey::Phone,
    MatchKey::FirstName,
    MatchKey::LastName,
    MatchKey::Gender,
    MatchKey::BirthDate,
    MatchKey::City,
    MatchKey::State,
    MatchKey::Zip,
    MatchKey::Country,
    MatchKey::ExternalId,
    MatchKey::FirstNameFive,
    MatchKey::LastNameFive,
    MatchKey::FirstInitial,
    MatchKey::BirthDay,
    MatchKey::BirthMonth,
    MatchKey::BirthYear,
    MatchKey::AppUserId,
];

#[test]
fn fuzzed_identifiers_are_hashed_once_and_mean_the_same_with_space_around_them() {
    let seeds: [&[u8]; 10] = [
        b"Ana.Souza@Example.com",
        b"+55 (11) 91234-5678",
        b"Jo\xc3\xa3o da Silva",
        b"1990-02-28",
        b"S\xc3\xa3o Paulo",
        b"01310-100",
        b"Brasil",
        b"8e43ca37701228e74983efdbd0cff5c16b3b1e5d4e29a7c05626d4d25a018e11",
        b"f",
        b"123.456.789-09",
    ];
    let words = [
        "@",
        "+",
        "00",
        "55",
        "011",
        "'",
        "Dr. ",
        "e\u{301}",
        "\u{130}",
        "mailto:",
        "tel:",
        "SP",
        "Calif.",
        "29/02/2000",
    ];
    fuzz(&seeds, &words, |input| {
        let text = String::from_utf8_lossy(input);
        let mut said = String::new();
        for country in [None, CountryCode::parse("br"), CountryCode::parse("us")] {
            let reading = Reading {
                country,
                current_year: 2026,
                variants: true,
            };
            for key in KEYS {
                let hashed = |text: &str| {
                    let mut keys = HashedKeys::new();
                    let added = keys.add(key, text, &reading);
                    (
                        added,
                        keys.get(key)
                            .map(|hash| hash.as_str().to_owned())
                            .collect::<Vec<_>>(),
                    )
                };
                let (added, hashes) = hashed(&text);
                said.push(if added.is_ok() { 'y' } else { 'n' });
                assert_eq!(added.is_ok(), !hashes.is_empty());
                for hash in &hashes {
                    assert!(
                        hash.len() >= 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()),
                        "{key:?} {hash}"
                    );
                    // What is hashed already is itself.
                    let (again, same) = hashed(hash);
                    // Somebody may be called Nan; as a hash that is a word for nothing.
                    let is_word_for_nothing = again == Err(DroppedValue::Empty);
                    assert!(
                        same == [hash.clone()] || is_word_for_nothing,
                        "{key:?} {hash} became {same:?}"
                    );
                }
                let around = format!(" \t{text}\n");
                assert_eq!(hashed(&around).1, hashes, "{key:?} with space around it");
            }
        }
        let cpf = PersonKeys::of_cpf(&text);
        assert!(cpf.is_none() || text.bytes().filter(u8::is_ascii_digit).count() == 11);
        said + if cpf.is_some() { "cpf" } else { "" }
    });
}

#[test]
fn fuzzed_addresses_tell_only_what_can_be_stored() {
    let seeds: [&[u8]; 4] = [
        b"https://www.Clinica.example:8443/agendar?utm_source=face%62ook&utm_campaign=a+b&fbclid=IwAR0_x-Y.AQ&gclid=Cj0#topo",
        b"http://ana:senha@[2001:db8::1]:80/?utm_source=%00%ff",
        b"fb.1.1700000000000.IwAR0.AQICAQMC",
        b"\"fb.1.1700000000000.123%2E\"",
    ];
    fuzz(
        &seeds,
        &[
            "fbclid=", "&", "?", "#", "://", "%2E", "utm_term", "fb.", ".AQ", "wbraid=",
        ],
        |input| {
            let text = String::from_utf8_lossy(input);
            let page = Page::of(&text);
            let parts = [
                &page.host,
                &page.path,
                &page.utm_source,
                &page.utm_term,
                &page.fbclid,
                &page.gclid,
                &page.wbraid,
            ];
            for part in parts.into_iter().flatten() {
                assert!(
                    !part.is_empty() && part.len() <= 500 && !part.contains(char::is_control),
                    "{part:?}"
                );
            }
            let click = click_id::fbclid(&text);
            if let Some(click) = click {
                assert!(text.contains(click));
                let fbc = click_id::fbc_from_click(click, 1_700_000_000_000);
                if click_id::is_valid(&fbc) {
                    assert_eq!(click_id::click_of(&fbc), Some(click));
                    assert_eq!(click_id::time_ms(&fbc), Some(1_700_000_000_000));
                }
            }
            let cookie = click_id::of_cookie(&text);
            if let Some(cookie) = &cookie {
                assert_eq!(
                    click_id::of_cookie(cookie).as_ref(),
                    Some(cookie),
                    "a cookie's value is itself"
                );
                assert!(click_id::time_ms(cookie).is_some());
            }
            format!(
                "{} {} {} {}",
                page.host.is_some(),
                page.utm_source.is_some(),
                click.is_some(),
                cookie.is_some()
            )
        },
    );
}

#[test]
fn fuzzed_amounts_are_cents_and_back() {
    let seeds: [&[u8]; 5] = [b"129.90", b"0.01", b"1000000", b"-1.5", b"99999999999.99"];
    fuzz(&seeds, &[".", ",", "0", "9", "1e2", "+", "-"], |input| {
        let text = String::from_utf8_lossy(input);
        let mut said = String::new();
        for currency in ["BRL", "JPY", "KWD"] {
            let currency = Currency::parse(currency).unwrap();
            let Some(minor) = minor_units(&text, currency) else {
                said.push('n');
                continue;
            };
            let written = major_units(minor, currency);
            assert_eq!(
                minor_units(&written, currency),
                Some(minor),
                "{text} is written {written}"
            );
            said += if minor < 0 { "-" } else { "+" };
        }
        said
    });
}

#[test]
fn fuzzed_files_of_spend_are_taken_whole_or_name_what_is_wrong() {
    let seeds: [&[u8]; 3] = [
        b"channel,account_id,day,campaign_id,campaign_name,cost,currency,impressions,clicks\n\
          meta,act_1,2026-11-01,120,Clareamento,129.90,BRL,1000,20\nmeta,act_1,2026-11-02,120,\"Clareamento, novo\",1.5,BRL,,\n",
        b"\xef\xbb\xbfRelat\xc3\xb3rio de campanha\n\"1 de novembro de 2026\"\nDia,Campanha,C\xc3\xb3digo da moeda,Custo,Impress\xc3\xb5es,Cliques\n\
          2026-11-01,Marca,BRL,\"1.234,56\",\"1.000\",20\nTotal: conta,,BRL,\"1.234,56\",,\n",
        b"Campaign report\nAll time\nDay,Campaign ID,Campaign,Currency code,Cost,Impr.,Clicks\n2026-11-01,7,Brand,USD,\"1,234.56\",10,1\n",
    ];
    let words = [
        "channel",
        "day",
        "campaign_id",
        "campaign_name",
        "cost",
        "currency",
        "impressions",
        "clicks",
        "\n",
        "\r\n",
        "\"",
        ",",
        ";",
        "\t",
        "Total",
        "Custo",
        "Cost",
        "31/12/2026",
        "2026-02-30",
        "1.234,56",
        "--",
        " --",
        "-1",
    ];
    fuzz(&seeds, &words, |input| {
        let mut said = String::new();
        for (format, decimal_comma, day_first) in [
            (Format::Rastro, false, false),
            (Format::Rastro, true, true),
            (Format::GoogleAds, false, false),
        ] {
            let today = NaiveDate::from_ymd_opt(2026, 11, 28).unwrap();
            let reading = spend::Reading {
                decimal_comma,
                day_first,
                account_id: "1".to_owned(),
                today,
            };
            match spend::read(input, format, &reading) {
                Ok(file) => {
                    assert!(!file.rows.is_empty());
                    for row in &file.rows {
                        assert!(
                            row.cost_micros >= 0 && row.day <= today && !row.channel.is_empty(),
                            "{row:?}"
                        );
                        assert!(
                            !row.campaign_id.is_empty() || !row.campaign_name.is_empty(),
                            "{row:?}"
                        );
                        assert!(row.clicks.is_none_or(|clicks| clicks >= 0), "{row:?}");
                        let texts = [
                            &row.channel,
                            &row.account_id,
                            &row.campaign_id,
                            &row.campaign_name,
                        ];
                        assert!(
                            texts.iter().all(|text| !text.contains(char::is_control)),
                            "{row:?}"
                        );
                    }
                    let keys: std::collections::HashSet<_> =
                        file.rows.iter().map(spend::SpendRow::key).collect();
                    assert_eq!(keys.len(), file.rows.len(), "two rows of one place");
                    said += &format!("{} rows; ", file.rows.len().min(4));
                }
                Err(errors) => {
                    assert!((1..=100).contains(&errors.len()), "{errors:?}");
                    assert!(
                        errors
                            .iter()
                            .all(|error| error.line > 0 && !error.detail.is_empty()),
                        "{errors:?}"
                    );
                    let first: String = errors[0].detail.chars().take(24).collect();
                    said += &format!("{first}; ");
                }
            }
        }
        said
    });
}
