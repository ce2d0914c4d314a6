use chrono::TimeDelta;
use rastro_core::alert::Amount;

use super::*;

fn now() -> DateTime<Utc> {
    "2026-11-28T15:00:00Z".parse().unwrap()
}

fn full(number: i64) -> Facts {
    Facts {
        dataset_name: Some("Loja Aurora".into()),
        percent: Some(7.5),
        count: Some(number),
        total: Some(200),
        window_seconds: Some(300),
        seconds: Some(720),
        deadline: Some(now() + TimeDelta::hours(54)),
        money: vec![Amount {
            currency: "BRL".into(),
            amount: "2310.00".into(),
        }],
        code: Some(190),
        subcode: None,
        reason: Some("refused".into()),
        p95_ms: Some(2_400),
        order: Some("forced_open".into()),
        note: Some("manutenção".into()),
        event_name: Some("Purchase".into()),
        expected: Some(12.0),
        key: Some("phone".into()),
        day: Some("2026-11-27".parse().unwrap()),
        name: Some("v24.0".into()),
        error: Some("timeout".into()),
        score: Some(5.4),
    }
}

#[test]
fn every_rule_has_a_sentence_in_both_languages_with_nothing_left_out() {
    for &rule in Rule::ALL {
        for language in [Language::Portuguese, Language::English] {
            for number in [0, 1, 2] {
                for facts in [full(number), Facts::default()] {
                    let sentence = headline(rule, &facts, now(), language);
                    assert!(!sentence.contains(['{', '}', '\n']), "{sentence}");
                    assert!(sentence.len() > 20, "{rule:?}: {sentence}");
                }
            }
            let (title, advice) = (title(rule, language), advice(rule).in_language(language));
            assert!(
                !title.is_empty() && advice.len() > 30 && advice.len() < 240,
                "{rule:?}"
            );
        }
        assert_ne!(
            headline(rule, &full(2), now(), Language::Portuguese),
            headline(rule, &full(2), now(), Language::English),
            "{rule:?}"
        );
    }
}

#[test]
fn a_match_key_is_called_as_people_call_it() {
    let sentence = |language| headline(Rule::EmqDrop, &full(2), now(), language);
    assert!(sentence(Language::Portuguese).contains("Falta telefone em"));
    assert!(sentence(Language::English).contains("phone is missing in"));
}

#[test]
fn every_rule_has_its_heading_in_the_runbook() {
    let runbook = include_str!("../../../../../proto-docs/runbook.md");
    for &rule in Rule::ALL {
        let heading = format!("\n### {}\n", rule.anchor());
        assert_eq!(runbook.matches(&heading).count(), 1, "{heading}");
    }
}

#[test]
fn sentences_are_those_of_the_specification() {
    let plain =
        |rule, number, language| headline(rule, &full(number), now(), language).replace('\u{a0}', " ");
    use Language::{English, Portuguese};
    assert_eq!(
        plain(Rule::ErrorRate, 15, Portuguese),
        "Loja Aurora: 7,5 % dos envios à Meta falham (15 de 200 em 5 min). Nada se perdeu."
    );
    assert_eq!(
        plain(Rule::ErrorRate, 15, English),
        "Loja Aurora: 7.5% of sends to Meta fail (15 of 200 in 5 min). Nothing is lost."
    );
    // A purchase is a she, a lead is a he, and what has no name in Portuguese keeps its own.
    for (event, said) in [
        ("Purchase", "nenhuma compra"),
        ("Lead", "nenhum lead"),
        ("PageView", "nenhuma visita"),
        ("HighValueLead", "nenhum HighValueLead"),
    ] {
        let facts = Facts {
            event_name: Some(event.into()),
            ..full(1)
        };
        let sentence = headline(Rule::Silence, &facts, now(), Portuguese).replace('\u{a0}', " ");
        let expected = format!("Loja Aurora: {said} há 12 min; o normal seriam 12. O site ainda envia?");
        assert_eq!(sentence, expected);
    }
    assert_eq!(
        plain(Rule::RetryOverdue, 1, Portuguese),
        "Novas tentativas atrasadas em 12 min. O retry-worker roda?"
    );
    assert_eq!(
        plain(Rule::EmqUnreadable, 1, Portuguese),
        "Loja Aurora: o token só envia, não lê a nota."
    );
    assert_eq!(title(Rule::CheckFailing, Portuguese), "Verificação com falha");
    assert_eq!(
        plain(Rule::BreakerErrors, 9_214, Portuguese),
        "Meta fora do ar para Loja Aurora. 9.214 eventos esperam; prazo do primeiro: 2 d 6 h."
    );
    assert_eq!(
        plain(Rule::BreakerErrors, 1, English),
        "Meta API down for Loja Aurora. 1 event waits; first deadline 2 d 6 h."
    );
    assert_eq!(
        plain(Rule::DeadLetters, 14, Portuguese),
        "Loja Aurora: 14 eventos pararam (R$ 2.310): a Meta os recusou, código 190. O primeiro vence em 2 d 6 h."
    );
    assert_eq!(
        plain(Rule::DeadLetters, 1, Portuguese),
        "Loja Aurora: 1 evento parou (R$ 2.310): a Meta o recusou, código 190. O primeiro vence em 2 d 6 h."
    );
}

#[test]
fn an_account_that_is_over_says_so_and_no_number_below_nothing() {
    let sentence = |missing, language| {
        let facts = Facts {
            count: Some(missing),
            day: Some("2026-11-27".parse().unwrap()),
            ..Facts::default()
        };
        headline(Rule::Conservation, &facts, now(), language)
    };
    use Language::{English, Portuguese};
    assert_eq!(
        sentence(-3, Portuguese),
        "A conta de 27/11/2026 não fecha: sobram 3. Isto é um defeito; avise-nos."
    );
    assert_eq!(
        sentence(3, Portuguese),
        "A conta de 27/11/2026 não fecha: faltam 3. Isto é um defeito; avise-nos."
    );
    assert!(sentence(-3, English).contains("is over by 3."));
    assert!(sentence(3, English).contains("is short of 3."));
}

#[test]
fn silence_of_everything_names_no_dataset() {
    let facts = Facts {
        seconds: Some(300),
        expected: Some(15.0),
        ..Facts::default()
    };
    assert_eq!(
        headline(Rule::Silence, &facts, now(), Language::Portuguese).replace('\u{a0}', " "),
        "Nada chega de nenhum conjunto há 5 min; o normal seriam 15 eventos. O gateway responde?"
    );
}

#[test]
fn what_was_lost_and_the_worst_value_are_said_of_rules_that_have_them() {
    use Language::{English, Portuguese};
    let lost =
        |count| stopped(Rule::BreakerErrors, count, Portuguese).map(|text| text.replace('\u{a0}', " "));
    assert_eq!(lost(0).as_deref(), Some("Enquanto durou, nenhum evento parou."));
    assert_eq!(lost(1).as_deref(), Some("Enquanto durou, 1 evento parou."));
    assert_eq!(
        lost(1_200).as_deref(),
        Some("Enquanto durou, 1.200 eventos pararam.")
    );
    assert_eq!(stopped(Rule::EmqDrop, 3, English), None);
    assert_eq!(
        worst(Rule::ErrorRate, 38.25, Portuguese).as_deref(),
        Some("38\u{a0}%")
    );
    assert_eq!(
        worst(Rule::DeadLetters, 1_400.0, English).as_deref(),
        Some("1,400")
    );
    assert_eq!(worst(Rule::QueueAge, 900.0, English), None);
}
