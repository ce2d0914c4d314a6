//! What each rule measures, on tables that look as its trouble does. The values are counted by hand.

use std::time::Duration;

use rastro_core::alert::{Measurement, Rule, Severity};

use crate::support::Scene;

const LIMIT: Duration = Duration::from_secs(5);

impl Scene {
    /// What a rule finds, with its default window and minimum.
    pub(crate) async fn finds(&self, rule: Rule) -> Vec<Measurement> {
        let thresholds = self.config.alerts.of(rule);
        let (window, minimum) = (thresholds.window_seconds, thresholds.minimum);
        self.store
            .measure(rule, window, minimum, LIMIT)
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn finds_one(&self, rule: Rule) -> Measurement {
        let [one] = self
            .finds(rule)
            .await
            .try_into()
            .unwrap_or_else(|found| panic!("{rule:?}: {found:#?}"));
        one
    }

    /// An event of this name, so many seconds ago, numbered.
    pub(crate) async fn event(&self, number: i64, name: &str, seconds_ago: i64, value: Option<&str>) {
        let value = value.map_or("NULL, NULL".to_owned(), |value| format!("{value}, 'BRL'"));
        self.execute(&format!(
            "INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by,
                action_source, value, currency, test_event_code, request_id, payload)
             SELECT 1, (t.at AT TIME ZONE 'UTC')::date, {number}, '{name}', 'e{number}', t.at, t.at, t.at + interval '7 days',
                'website', {value}, '', gen_random_uuid(), '{{}}'
             FROM (SELECT rastro_now() - interval '{seconds_ago} seconds' AS at) AS t"
        ))
        .await;
    }

    /// It waits, or is a dead letter for this reason.
    pub(crate) async fn retry(&self, number: i64, status: &str, reason: &str, send_by_hours: i64) {
        self.execute(&format!(
            "INSERT INTO meta_retry_queue (dataset_id, event_number, day, test_event_code, event_name, event_id, send_by,
                retry_count, next_retry_at, last_error, error_code, status, reason, failed_at)
             SELECT 1, event_number, day, '', event_name, event_id, rastro_now() + interval '{send_by_hours} hours', 3,
                CASE '{status}' WHEN 'waiting' THEN rastro_now() - interval '5 minutes' END, 'x',
                CASE '{status}' WHEN 'failed' THEN 100 END, '{status}', nullif('{reason}', ''), rastro_now()
             FROM events WHERE event_number = {number}"
        ))
        .await;
    }
}

#[tokio::test]
async fn every_rule_can_be_evaluated_on_an_empty_system_and_finds_nothing() {
    let scene = Scene::start().await;
    for &rule in Rule::ALL {
        if let Some(found) = scene.store.measure(rule, 300, 1, LIMIT).await.unwrap() {
            assert!(found.is_empty(), "{rule:?}: {found:?}");
        }
    }
    scene.run().await;
    assert_eq!(scene.value("SELECT count(*) FROM alerts").await, "0");
}

#[tokio::test]
async fn duplicates_are_a_share_of_what_was_received() {
    let scene = Scene::start().await;
    scene.execute(
        "INSERT INTO event_outcomes (dataset_id, day, outcome, event_name, created_at)
         SELECT 1, (rastro_now() AT TIME ZONE 'UTC')::date, 'duplicate', 'Lead', rastro_now() FROM generate_series(1, 6)",
    )
    .await;
    for number in 1..=43 {
        scene.event(number, "Lead", 60, None).await;
    }
    assert!(scene.finds(Rule::Duplicates).await.is_empty(), "49 are too few");
    scene.event(44, "Lead", 60, None).await;
    let found = scene.finds_one(Rule::Duplicates).await;
    assert_eq!(found.value, 12.0);
    assert_eq!((found.facts.count, found.facts.total), (Some(6), Some(50)));
    assert_eq!(found.facts.dataset_name.as_deref(), Some("Loja Aurora"));
}

#[tokio::test]
async fn dead_letters_are_grouped_by_cause_with_their_money_and_first_deadline() {
    let scene = Scene::start().await;
    for (number, name, value) in [
        (1, "Purchase", Some("100.50")),
        (2, "Purchase", Some("9.49")),
        (3, "Lead", None),
    ] {
        scene.event(number, name, 600, value).await;
        scene
            .retry(
                number,
                "failed",
                if number == 3 { "exhausted" } else { "refused" },
                54,
            )
            .await;
    }
    let found = scene.finds(Rule::DeadLetters).await;
    let of = |group: &str| found.iter().find(|found| found.subject.group == group).unwrap();
    let refused = of("refused/100/0");
    assert_eq!(
        (refused.value, refused.severity),
        (2.0, Severity::Critical),
        "orders"
    );
    assert_eq!(refused.facts.money[0].amount, "109.99");
    let hours = (refused.facts.deadline.unwrap() - scene.store.now().await.unwrap()).num_minutes();
    assert!((53 * 60..=54 * 60).contains(&hours), "{hours} minutes");
    let exhausted = of("exhausted/100/0");
    assert_eq!((exhausted.value, exhausted.severity), (1.0, Severity::Warning));
    assert!(exhausted.facts.money.is_empty());
}

/// They are told of for a day because they are new, and after it for as long as something can be done.
#[tokio::test]
async fn dead_letters_that_meta_would_still_take_are_open_until_somebody_sees_to_them() {
    let mut scene = Scene::start().await;
    scene.event(1, "Purchase", 600, Some("50")).await;
    scene.retry(1, "failed", "refused", 54).await;
    scene.minutes(1).await;
    assert_eq!(scene.said().len(), 1);
    scene.advance(26 * 3_600).await;
    scene.run().await;
    scene.minutes(11).await;
    let state = "SELECT state FROM alerts WHERE rule = 'dead_letters'";
    assert_eq!(scene.value(state).await, "firing");
    let is_over = |said: &String| said.starts_with("Resolvido");
    assert!(!scene.said().iter().any(is_over), "{:?}", scene.said());
    // It was sent again.
    scene.execute("DELETE FROM meta_retry_queue").await;
    scene.run().await;
    scene.minutes(11).await;
    assert_eq!(scene.value(state).await, "resolved");
    assert!(scene.said().iter().any(is_over), "{:?}", scene.said());
}

#[tokio::test]
async fn events_that_meta_will_refuse_soon_are_counted_after_five_minutes() {
    let scene = Scene::start().await;
    scene.event(1, "Purchase", 600, Some("50")).await;
    scene.event(2, "Lead", 10, None).await;
    scene.retry(1, "failed", "exhausted", 20).await;
    scene.retry(2, "waiting", "", 20).await;
    let found = scene.finds_one(Rule::Expiring).await;
    assert_eq!(
        (found.value, found.severity),
        (1.0, Severity::Warning),
        "the other came just now"
    );
    assert_eq!(found.facts.money[0].amount, "50.00");
    scene
        .execute(
            "UPDATE meta_retry_queue SET send_by = rastro_now() + interval '5 hours' WHERE event_number = 1",
        )
        .await;
    assert_eq!(scene.finds_one(Rule::Expiring).await.severity, Severity::Critical);
}

#[tokio::test]
async fn a_queue_that_does_not_move_is_noticed_and_one_behind_an_open_breaker_is_not() {
    let scene = Scene::start().await;
    scene.event(1, "Lead", 600, None).await;
    scene
        .execute(
            "INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, send_by)
             SELECT 1, '', 1, 1, day, send_by FROM events",
        )
        .await;
    let age = scene.finds_one(Rule::QueueAge).await.value;
    assert!((600.0..610.0).contains(&age), "{age}");
    scene.requests(1, "delivered", 1).await;
    assert!(scene.finds_one(Rule::QueueAge).await.value < 10.0, "it moves");
    scene.breaker(1, "open", Some("errors")).await;
    assert!(scene.finds(Rule::QueueAge).await.is_empty());
}

#[tokio::test]
async fn retries_are_late_only_where_they_may_be_made() {
    let scene = Scene::start().await;
    scene.event(1, "Lead", 600, None).await;
    scene.retry(1, "waiting", "", 100).await;
    let late = scene.finds_one(Rule::RetryOverdue).await.value;
    assert!((300.0..310.0).contains(&late), "{late}");
    scene.breaker(1, "open", Some("errors")).await;
    assert!(scene.finds(Rule::RetryOverdue).await.is_empty());
}

#[tokio::test]
async fn breakers_are_told_apart_by_their_reason() {
    let scene = Scene::start().await;
    for (id, reason) in [(2, "errors"), (3, "blocked"), (4, "refused"), (5, "throttled")] {
        scene.dataset(id, "Loja").await;
        scene.breaker(id, "half_open", Some(reason)).await;
    }
    for (rule, id) in [
        (Rule::BreakerErrors, 2),
        (Rule::BreakerBlocked, 3),
        (Rule::BreakerRefused, 4),
        (Rule::BreakerThrottled, 5),
    ] {
        let found = scene.finds_one(rule).await;
        assert_eq!(found.subject.dataset.unwrap().as_i64(), id, "{rule:?}");
    }
    scene
        .execute(
            "UPDATE circuit_breakers SET manual = 'forced_open', note = 'Ana: mudança' WHERE dataset_id = 2;
             INSERT INTO breaker_transitions (dataset_id, changed_at, generation, state, manual, note)
             VALUES (2, rastro_now() - interval '26 hours', 1, 'open', 'forced_open', ''),
                (2, rastro_now() - interval '1 hour', 1, 'open', 'forced_open', '')",
        )
        .await;
    let forced = scene.finds_one(Rule::BreakerForced).await;
    assert_eq!(forced.severity, Severity::Warning, "after a day");
    assert!((93_600.0..93_700.0).contains(&forced.value), "{}", forced.value);
    assert_eq!(forced.facts.note.as_deref(), Some("Ana: mudança"));
}

/// A hundred leads an hour for four weeks, and then none for six minutes: ten were expected.
#[tokio::test]
async fn silence_is_measured_against_the_same_hours_of_four_weeks() {
    let scene = Scene::start().await;
    scene
        .execute(
            "INSERT INTO event_counts (dataset_id, hour, event_name, outcome, events)
             SELECT 1, hour, 'Lead', 'accepted', 100 FROM generate_series(date_trunc('hour', rastro_now(), 'UTC') - interval '29 days',
                date_trunc('hour', rastro_now(), 'UTC') - interval '2 hours', interval '1 hour') AS hour",
        )
        .await;
    scene.event(1, "Lead", 360, None).await;
    let found = scene.finds(Rule::Silence).await;
    assert_eq!(found.len(), 2, "of everything and of leads: {found:#?}");
    // e^-10.
    assert!(
        (found[0].value - 0.000_045).abs() < 0.000_005,
        "{}",
        found[0].value
    );
    assert_eq!(found[0].facts.expected, Some(10.0));
    scene.event(2, "Lead", 60, None).await;
    assert!(
        scene.finds(Rule::Silence).await.is_empty(),
        "1.7 expected ones say nothing"
    );
}

impl Scene {
    /// So many leads an hour for four weeks until so many hours ago.
    async fn leads(&self, dataset: i64, an_hour: i64, until_hours_ago: i64) {
        self.execute(&format!(
            "INSERT INTO event_counts (dataset_id, hour, event_name, outcome, events)
             SELECT {dataset}, hour, 'Lead', 'accepted', {an_hour}
             FROM generate_series(date_trunc('hour', rastro_now(), 'UTC') - interval '29 days',
                date_trunc('hour', rastro_now(), 'UTC') - interval '{until_hours_ago} hours', interval '1 hour') AS hour"
        ))
        .await;
    }

    /// A lead of each dataset, so many seconds ago.
    async fn lead_of_each(&self, number: i64, datasets: &[i64], seconds_ago: i64) {
        for dataset in datasets {
            self.execute(&format!(
                "INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by,
                    action_source, test_event_code, request_id, payload)
                 SELECT {dataset}, (t.at AT TIME ZONE 'UTC')::date, {number} + {dataset}, 'Lead', 'e', t.at, t.at,
                    t.at + interval '7 days', 'website', '', gen_random_uuid(), '{{}}'
                 FROM (SELECT rastro_now() - interval '{seconds_ago} seconds' AS at) AS t"
            ))
            .await;
        }
    }
}

/// Ninety an hour each: of all three together 7.5 were expected after 100 seconds, of each alone 7 only after
/// 280.
#[tokio::test]
async fn a_gateway_that_is_away_is_one_message_and_no_dataset_is_one_by_itself() {
    let mut scene = Scene::start().await;
    scene.dataset(2, "Clínica Vale").await;
    scene.dataset(3, "Curso Norte").await;
    for dataset in 1..=3 {
        scene.leads(dataset, 90, 2).await;
    }
    scene.lead_of_each(10, &[1, 2, 3], 100).await;
    scene.run().await;
    let alerts = "SELECT string_agg(coalesce(dataset_id::text, 'all') || ' ' || state, ', ' ORDER BY dataset_id NULLS FIRST, group_key)
                  FROM alerts WHERE rule = 'silence'";
    assert_eq!(scene.value(alerts).await, "all firing");
    scene.minutes(10).await;
    assert_eq!(
        scene.value(alerts).await,
        "all firing, 1 firing, 1 firing, 2 firing, 2 firing, 3 firing, 3 firing",
        "each, of everything and of leads"
    );
    let said = scene.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("ATENÇÃO: Nada chega de nenhum conjunto há"),
        "{said:?}"
    );
    scene.lead_of_each(20, &[1, 2, 3], 1).await;
    scene.run().await;
    let said = scene.said();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[1].starts_with("Resolvido"), "{said:?}");
}

/// The last came at five to three, and the hour was counted: it is quiet since then, not since three.
#[tokio::test]
async fn an_hour_that_was_counted_makes_no_silence_shorter() {
    let scene = Scene::start().await;
    scene.leads(1, 100, 2).await;
    scene.lead_of_each(10, &[1], 300).await;
    scene
        .execute(
            "INSERT INTO event_counts (dataset_id, hour, event_name, outcome, events)
             SELECT dataset_id, date_trunc('hour', received_at, 'UTC'), event_name, 'accepted', 1 FROM events",
        )
        .await;
    let found = scene.finds(Rule::Silence).await;
    let seconds: Vec<_> = found.iter().map(|found| found.facts.seconds).collect();
    assert!(
        matches!(seconds.as_slice(), [Some(300..=310), Some(300..=310)]),
        "{seconds:?}"
    );
}

#[tokio::test]
async fn a_dataset_that_stopped_before_the_others_is_not_expected_of_all_of_them() {
    let scene = Scene::start().await;
    scene.dataset(2, "Clínica Vale").await;
    scene.dataset(3, "Curso Norte").await;
    for dataset in [1, 2] {
        scene.leads(dataset, 90, 2).await;
    }
    scene.leads(3, 9_000, 6).await;
    scene.lead_of_each(10, &[1, 2], 60).await;
    let found = scene.finds(Rule::Silence).await;
    let of: Vec<_> = found
        .iter()
        .map(|found| found.subject.dataset.map(|dataset| dataset.as_i64()))
        .collect();
    assert_eq!(of, [Some(3), Some(3)], "of everything and of leads");
}

#[tokio::test]
async fn what_meta_did_not_confirm_and_real_events_with_a_test_code_are_noticed() {
    let scene = Scene::start().await;
    scene.requests(1, "delivered", 3).await;
    scene
        .execute("UPDATE send_attempts SET events_received = 0, test_event_code = 'TEST1' WHERE event_numbers = ARRAY[2::bigint]")
        .await;
    let found = scene.finds_one(Rule::PartialAck).await;
    assert_eq!(
        (found.value, found.facts.count, found.facts.total),
        (1.0, Some(0), Some(1))
    );
    scene
        .execute(
            "UPDATE send_attempts SET test_event_code = 'TEST1' WHERE event_numbers = ARRAY[1::bigint];
             UPDATE send_attempts SET attempted_at = rastro_now() - interval '2 hours' WHERE event_numbers = ARRAY[1::bigint]",
        )
        .await;
    let code = scene.finds_one(Rule::TestCode).await;
    assert!((7_200.0..7_210.0).contains(&code.value), "{}", code.value);
}

#[tokio::test]
async fn a_score_that_fell_twice_is_noticed_with_the_key_that_is_missing() {
    let scene = Scene::start().await;
    let score = async |days_ago: i64, score: &str| {
        scene
            .execute(&format!(
                "INSERT INTO dataset_quality (dataset_id, day, event_name, score, fetched_at)
                 VALUES (1, current_date - {days_ago}, 'Purchase', {score}, rastro_now() - interval '{days_ago} days')"
            ))
            .await;
    };
    for days in 2..=8 {
        score(days, "7.5").await;
    }
    score(1, "7.4").await;
    score(0, "6.9").await;
    assert!(
        scene.finds_one(Rule::EmqDrop).await.value > 6.2,
        "once is not twice"
    );
    scene
        .execute("UPDATE dataset_quality SET score = 6.9 WHERE day = current_date - 1")
        .await;
    scene
        .execute(
            "INSERT INTO dataset_quality_keys (dataset_id, day, event_name, identifier, coverage_percent, gain_percent)
             VALUES (1, current_date, 'Purchase', 'phone', 40, 12), (1, current_date, 'Purchase', 'email', 95, 1)",
        )
        .await;
    let fell = scene.finds_one(Rule::EmqDrop).await;
    assert_eq!(
        (fell.value, fell.severity),
        (5.9, Severity::Info),
        "half a point below its median"
    );
    assert_eq!(
        (fell.facts.key.as_deref(), fell.facts.percent),
        (Some("phone"), Some(60.0))
    );
    scene
        .execute("UPDATE dataset_quality SET score = 5.5 WHERE day >= current_date - 1")
        .await;
    assert_eq!(scene.finds_one(Rule::EmqDrop).await.severity, Severity::Warning);
}

/// Row by row: delivered, ready, waiting, in flight and withheld events are somewhere; the last is not.
#[tokio::test]
async fn the_account_of_a_day_finds_an_event_that_is_nowhere() {
    let scene = Scene::start().await;
    for number in 1..=6 {
        scene.event(number, "Lead", 86_400, None).await;
    }
    scene.retry(2, "waiting", "", 10).await;
    scene
        .execute(
            "INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, send_by)
             SELECT 1, '', 1, 1, day, send_by FROM events WHERE event_number = 1;
             INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, outcome, event_count,
                event_numbers, first_number, last_number, first_day, last_day)
             SELECT 1, day, 1, 1, '', received_at, 'delivered', 2, ARRAY[3, 4], 3, 4, day, day FROM events WHERE event_number = 3;
             INSERT INTO event_outcomes (dataset_id, day, outcome, event_number, created_at)
             SELECT 1, day, 'withheld', 5, received_at FROM events WHERE event_number = 5",
        )
        .await;
    let day = scene.store.day_to_account().await.unwrap().unwrap();
    assert_eq!(scene.store.account_day(day, LIMIT).await.unwrap(), 1);
    assert!(
        scene.finds(Rule::Conservation).await.is_empty(),
        "once may be a race"
    );
    assert_eq!(scene.store.account_day(day, LIMIT).await.unwrap(), 1);
    assert_eq!(scene.finds_one(Rule::Conservation).await.value, 1.0);
    assert_eq!(
        scene.store.day_to_account().await.unwrap(),
        None,
        "twice is enough"
    );
}

/// Each looked up among all that were delivered, these took minutes, and a million a day took hours.
#[tokio::test]
async fn the_account_of_a_day_of_many_events_is_made_within_its_limit() {
    let scene = Scene::start().await;
    scene
        .execute(
            "INSERT INTO events (dataset_id, day, event_number, event_name, event_id, event_time, received_at, send_by, action_source,
                test_event_code, request_id, payload)
             SELECT 1, (t.at AT TIME ZONE 'UTC')::date, n, 'Lead', 'e' || n, t.at, t.at, t.at + interval '7 days', 'website', '',
                gen_random_uuid(), '{}'
             FROM (SELECT rastro_now() - interval '1 day' AS at) AS t CROSS JOIN generate_series(1, 80000) AS n;
             INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, outcome, event_count,
                event_numbers, first_number, last_number, first_day, last_day)
             SELECT 1, day, 1, 1, '', received_at, 'delivered', count(*), array_agg(event_number), min(event_number),
                max(event_number), day, day
             FROM events WHERE event_number <> 4000 GROUP BY event_number / 1000, day, received_at",
        )
        .await;
    let day = scene.store.day_to_account().await.unwrap().unwrap();
    let limit = Duration::from_secs(20);
    assert_eq!(scene.store.account_day(day, limit).await.unwrap(), 1);
}

/// A request of two that was refused and split says nothing about its events; the one that is refused alone
/// does.
#[tokio::test]
async fn a_request_that_was_split_is_no_failure_of_its_events() {
    let scene = Scene::start().await;
    scene.requests(1, "delivered", 18).await;
    scene
        .execute(
            "INSERT INTO send_attempts (dataset_id, day, batch_id, attempt, test_event_code, attempted_at, latency_ms, outcome,
                http_status, event_count, event_numbers, first_number, last_number, first_day, last_day)
             SELECT 1, (rastro_now() AT TIME ZONE 'UTC')::date, 1, 1, '', rastro_now(), latency, 'refused', 400, cardinality(numbers),
                numbers, numbers[1], numbers[cardinality(numbers)], current_date, current_date
             FROM (VALUES (ARRAY[100, 101]::bigint[], 2500), (ARRAY[101]::bigint[], 100)) AS v (numbers, latency)",
        )
        .await;
    let tallies = scene.store.request_tallies(&[300], LIMIT).await.unwrap();
    assert_eq!((tallies[0].attempts, tallies[0].failed), (19, 1));
    assert_eq!((tallies[0].requests, tallies[0].slow_requests), (20, 1));
}
