//! The page and its file as a browser meets them.

use crate::HISTORY;
use crate::support::{OTHER, OWN, Panel};

/// Fails naming what is not there.
#[track_caller]
fn says(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "{part:?} is missing in {page}");
    }
}

#[tokio::test]
async fn the_page_says_what_was_reckoned_by_hand_in_both_languages() {
    let panel = Panel::start(HISTORY).await;
    let viewer = panel.viewer(None).await;
    // 564 / 230 = 2.452; 614 / 230 = 2.67; 230 / 13 = 17.69; 230 / 14 = 16.43; 50 / 700 = 7.1 %.
    let page = panel.page(&format!("/receita?dataset={OWN}"), &viewer).await;
    says(
        &page,
        &[
            "Cada real em anúncios trouxe R$ 2,45 de volta",
            "17/05 a 15/06",
            "os últimos 5 dias ainda sobem",
            "7 % da receita sem origem conhecida",
            "há também em USD",
            "R$ 700<",
            "R$ 614<",
            "R$ 86,00 devolvidos; taxas R$ 35,00",
            "R$ 230<",
            "2,5x",
            "2,7x",
            "R$ 17,69",
            "de todos R$ 16,43",
            "segundo a Meta",
            "2,0x",
            "ainda não",
            "mês 1",
            "poucos clientes",
            "50 %",
            "80 %",
            "105 %",
            "Julho",
            "R$ 1 mil",
            "entre R$ 850 e R$ 1,2 mil",
            "Prevendo o passado (12 testes): errou 8 % em média, e o intervalo conteve 83 %",
            "Junho: R$ 420 até ontem, mais R$ 380 previstos",
            "2 de 5",
            "R$ 240,00",
            "Velhas demais",
            "Paradas: veja Eventos parados",
            "Ainda não fecha: de hora em hora <b>R$ 50,00",
            "faltava aqui, corrigido nos livros",
            "no answer",
            "1 Pix ou boleto em aberto",
        ],
    );
    let page = panel
        .page(&format!("/receita?dataset={OWN}&lang=en"), &viewer)
        .await;
    says(
        &page,
        &[
            "Each real spent on ads brought R$2.45 back",
            "May 17 to Jun 15",
            "7% of revenue without a known origin",
            "says Meta",
            "R$17.69",
            "between R$850 and R$1.2k",
            "2 of 5",
        ],
    );
    // Days that still move are told apart: 14 June is, 2 June is not.
    says(&page, &["Sun, Jun 14 (still rises)", "\"Tue, Jun 2; "]);
}

#[tokio::test]
async fn other_peoples_names_are_text_and_nothing_is_styled_in_place() {
    let panel = Panel::start(HISTORY).await;
    let viewer = panel.viewer(None).await;
    let page = panel
        .page(
            &format!("/receita?dataset={OWN}&campanha=%22%3E%3Cscript%3E"),
            &viewer,
        )
        .await;
    assert!(!page.contains("\"><script>") && !page.contains(" style="));
    let page = panel.page(&format!("/receita?dataset={OWN}"), &viewer).await;
    says(
        &page,
        &["&lt;b&gt;Verão&lt;/b&gt; &amp; &quot;co&quot;", "Conta &lt;1&gt;"],
    );
    assert!(!page.contains("<b>Verão") && !page.contains("Conta <1>") && !page.contains(" style="));
    let answer = panel.get(&format!("/receita?dataset={OWN}"), &viewer).await;
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'self'"),
        "{policy}"
    );
}

#[tokio::test]
async fn currencies_models_channels_and_periods_are_never_mixed() {
    let panel = Panel::start(HISTORY).await;
    let viewer = panel.viewer(None).await;
    let page = async |query: &str| {
        panel
            .page(&format!("/receita?dataset={OWN}&{query}"), &viewer)
            .await
    };
    // 70 / 10 in dollars, and nothing of the reais.
    let usd = page("moeda=usd").await;
    says(
        &usd,
        &[
            "Cada US$ 1 em anúncios trouxe US$ 7,00 de volta",
            "há também em BRL",
        ],
    );
    assert!(!usd.contains("R$ 614"));
    // 500 / 100 under the first touch.
    says(
        &page("modelo=first").await,
        &["trouxe R$ 5,00 de volta", "primeiro toque"],
    );
    // 64 / 80 of Google; what is of everything says so.
    let google = page("canal=google").await;
    says(
        &google,
        &[
            "trouxe R$ 0,80 de volta",
            "do conjunto inteiro",
            "Contado no período",
        ],
    );
    // 500 / 150 of one campaign, with a way back.
    says(
        &page("canal=meta&campanha=120").await,
        &["trouxe R$ 3,33 de volta", "Só a campanha", "ver todas"],
    );
    // 16 May: 999 / 999.
    let day = page("de=2026-05-16&ate=2026-05-16").await;
    says(&day, &["trouxe R$ 1,00 de volta"]);
    assert!(!day.contains("ainda sobem"));
    says(&page("canal=tiktok").await, &["Nada neste período"]);
    // What cannot be is said, and the usual is shown.
    for (wrong, said) in [
        ("p=9", "Não há período “9”"),
        ("de=x", "Este período não vale"),
        ("de=2026-06-10&ate=2026-06-01", "Este período não vale"),
        ("modelo=x", "Não há modelo “x”"),
        ("moeda=x", "Não há nada em “X”"),
        ("canal=%00", "Não há canal nem campanha"),
    ] {
        says(&page(wrong).await, &[said, "trouxe R$ 2,45 de volta"]);
    }
    assert_eq!(panel.get("/receita?dataset=x", &viewer).await.status(), 404);
}

#[tokio::test]
async fn a_viewer_of_one_dataset_sees_and_keeps_only_that() {
    let panel = Panel::start(HISTORY).await;
    let (all, own, other) = (
        panel.viewer(None).await,
        panel.viewer(Some(OWN)).await,
        panel.viewer(Some(OTHER)).await,
    );
    // Without a choice the first one is shown, and the page says which.
    says(
        &panel.page("/receita", &all).await,
        &["<b>Loja Aurora</b>", "trouxe R$ 2,45 de volta"],
    );
    for path in ["/receita", "/receita/campanhas.csv"] {
        let (mine, theirs) = (panel.page(path, &own).await, panel.page(path, &other).await);
        assert!(mine.contains("Verão") && !mine.contains("Segredo"), "{mine}");
        assert!(
            theirs.contains("Segredo") && !theirs.contains("Verão"),
            "{theirs}"
        );
        assert_eq!(
            panel.get(&format!("{path}?dataset={OTHER}"), &own).await.status(),
            404
        );
    }
    let file = panel.get("/receita/campanhas.csv?lang=en", &own).await;
    assert_eq!(
        file.headers()["content-disposition"],
        "attachment; filename=\"campaigns-2026-05-17-2026-06-15-BRL-linear.csv\""
    );
    assert_eq!(file.headers()["content-type"], "text/csv; charset=utf-8");
    let text = file.text().await.unwrap();
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "meta,\"<b>Verão</b> & \"\"co\"\"\",120,yes,2026-05-17,2026-06-15,linear,BRL,150.00,1500,70,12,5,4.5,12,550.00,500.00,27.50,300.00,3.3333,12.50,yes",
            "google,\"'=HYPERLINK(\"\"http://x\"\")\",77,yes,2026-05-17,2026-06-15,linear,BRL,80.00,700,30,5,2,1,1,100.00,64.00,5.00,0.00,0.8000,,yes",
            "unmatched,no campaign,,no,2026-05-17,2026-06-15,linear,BRL,0.00,0,0,0,0,1,1,50.00,50.00,2.50,0.00,,,yes",
        ]
    );
}

#[tokio::test]
async fn before_there_is_revenue_the_page_says_what_to_set_up() {
    let panel = Panel::start("").await;
    let viewer = panel.viewer(None).await;
    says(
        &panel.page("/receita", &viewer).await,
        &[
            "Ainda não dá para dizer o que cada real trouxe",
            "POST /api/leads/capture",
            "attribution spend",
        ],
    );
    says(
        &panel.page("/receita?lang=en&p=zzz", &viewer).await,
        &["What each real brought cannot be said yet"],
    );
    let file = panel.page("/receita/campanhas.csv", &viewer).await;
    assert_eq!(file.lines().count(), 1, "{file}");
}

#[tokio::test]
async fn twenty_million_events_that_wait_for_meta_leave_no_gap() {
    let panel = Panel::start(HISTORY).await;
    panel
        .database
        .execute(&format!(
            "INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, send_by)
             SELECT {OWN}, '', n * 1000, n * 1000 + 999, '2026-06-15', '2026-06-22' FROM generate_series(1, 20000) AS n;
             -- One of them is the Purchase of the first payment, in a lane of its own.
             INSERT INTO send_queue (dataset_id, test_event_code, first_number, last_number, day, send_by)
             VALUES ({OWN}, 'TEST1', 1, 1, '2026-06-15', '2026-06-22');
             ANALYZE send_queue"
        ))
        .await;
    let viewer = panel.viewer(None).await;
    let page = panel.page(&format!("/receita?dataset={OWN}"), &viewer).await;
    assert!(!page.contains("não respondeu em 2 s"), "{page}");
    says(&page, &["1 de 5", "A caminho da Meta"]);
}

#[tokio::test]
async fn a_part_that_does_not_answer_leaves_a_gap_of_its_own() {
    let panel = Panel::start(HISTORY).await;
    let viewer = panel.viewer(None).await;
    panel
        .database
        .execute("ALTER TABLE reconciliation_runs RENAME TO away")
        .await;
    let page = panel.page(&format!("/receita?dataset={OWN}"), &viewer).await;
    says(
        &page,
        &["não respondeu em 2 s", "trouxe R$ 2,45 de volta", "2 de 5"],
    );
}

#[tokio::test]
async fn the_page_says_whether_markov_had_the_volume_to_learn_from() {
    let panel = Panel::start(HISTORY).await;
    let viewer = panel.viewer(None).await;
    let address = format!("/receita?dataset={OWN}&modelo=markov");
    let page = panel.page(&address, &viewer).await;
    says(
        &page,
        &["ainda não há volume para Markov (300 pedidos, 30 de cada canal)"],
    );
    assert!(!page.contains("pelo que faltaria sem ele"));

    let learnt = format!(
        "INSERT INTO attribution_state (dataset_id, removal_effects, learnt_at) VALUES ({OWN}, '{{\"meta\": 1}}', rastro_now())
         ON CONFLICT (dataset_id) DO UPDATE SET removal_effects = excluded.removal_effects"
    );
    panel.database.execute(&learnt).await;
    let page = panel.page(&address, &viewer).await;
    says(&page, &["cada canal recebe pelo que faltaria sem ele"]);
    assert!(!page.contains("ainda não há volume para Markov"));
    let page = panel.page(&format!("/receita?dataset={OWN}"), &viewer).await;
    assert!(
        !page.contains("pelo que faltaria sem ele"),
        "it is of Markov alone"
    );
}
