//! The sentences of the alerts. The first one alone says what, where and how bad; the advice says what to do.

use chrono::{DateTime, Utc};
use rastro_core::alert::{Facts, Rule, Severity};

use super::Language;
use super::figures::{count, duration, match_key, money, name, percent, score, span, until};

/// What an alert means, and what to do.
#[derive(Clone, Copy, Debug)]
pub struct Advice {
    pub pt: &'static str,
    pub en: &'static str,
}

impl Advice {
    pub fn in_language(self, language: Language) -> &'static str {
        language.pick(self.pt, self.en)
    }
}

/// How urgent it is, in capitals.
pub fn severity(severity: Severity, language: Language) -> &'static str {
    match severity {
        Severity::Critical => language.pick("CRÍTICO", "CRITICAL"),
        Severity::Warning => language.pick("ATENÇÃO", "WARNING"),
        Severity::Info => language.pick("INFORMAÇÃO", "INFO"),
    }
}

/// One of two words by number: in Portuguese zero is plural as well.
fn plural<'w>(number: i64, one: &'w str, more: &'w str) -> &'w str {
    if number == 1 { one } else { more }
}

/// `14 eventos`, `1 event`.
fn events(number: i64, language: Language) -> String {
    let word = language.pick(
        plural(number, "evento", "eventos"),
        plural(number, "event", "events"),
    );
    format!("{}\u{a0}{word}", count(number, language))
}

/// ` (R$ 2.310)`, amounts of several currencies apart; nothing where there is none.
fn in_money(facts: &Facts, language: Language) -> String {
    match facts.money.as_slice() {
        [] => String::new(),
        amounts => {
            let amounts: Vec<String> = amounts.iter().map(|amount| money(amount, language)).collect();
            format!(" ({})", amounts.join(language.pick(" e ", " and ")))
        }
    }
}

/// `nenhuma compra`: that there was none of an event, in Portuguese. Names that nobody translates stay.
fn none_of(event: Option<&str>) -> String {
    match event {
        Some("Purchase") => "nenhuma compra".to_owned(),
        Some("Lead") => "nenhum lead".to_owned(),
        Some("PageView") => "nenhuma visita".to_owned(),
        Some("CompleteRegistration") => "nenhum cadastro".to_owned(),
        Some("Schedule") => "nenhum agendamento".to_owned(),
        Some("Contact") => "nenhum contato".to_owned(),
        Some("InitiateCheckout") => "nenhum início de compra".to_owned(),
        Some(other) => format!("nenhum {}", name(other)),
        None => "nenhum evento".to_owned(),
    }
}

/// The cause of dead letters in plain words.
fn cause(facts: &Facts, language: Language) -> String {
    let code = match (facts.code, facts.subcode) {
        (Some(code), Some(subcode)) => format!(" {code}/{subcode}"),
        (Some(code), None) => format!(" {code}"),
        _ => String::new(),
    };
    let one = facts.count == Some(1);
    let (pt, en) = match (facts.reason.as_deref(), one) {
        (Some("refused"), _) => {
            let (pt, en) = match one {
                true => ("a Meta o recusou", "Meta refused it"),
                false => ("a Meta os recusou", "Meta refused them"),
            };
            return match code.as_str() {
                "" => language.pick(pt, en).to_owned(),
                code => language.pick(format!("{pt}, código{code}"), format!("{en}, code{code}")),
            };
        }
        (Some("exhausted"), _) => ("todas as tentativas falharam", "every retry failed"),
        (Some("expired"), true) => ("é velho demais para a Meta", "it is too old for Meta"),
        (Some("expired"), false) => ("são velhos demais para a Meta", "they are too old for Meta"),
        (Some("dataset_deleted"), _) => ("o conjunto foi apagado", "the dataset was deleted"),
        (_, true) => ("o conteúdo dele sumiu", "its content is gone"),
        (_, false) => ("o conteúdo deles sumiu", "their content is gone"),
    };
    language.pick(pt, en).to_owned()
}

/// The name of a rule, as a heading.
pub fn title(rule: Rule, language: Language) -> &'static str {
    let (pt, en) = match rule {
        Rule::ErrorRate => ("Taxa de erros", "Error rate"),
        Rule::Latency => ("Resposta da Meta", "Meta's response time"),
        Rule::Duplicates => ("Duplicados", "Duplicates"),
        Rule::BreakerErrors => ("Meta fora do ar", "Meta API down"),
        Rule::BreakerBlocked => ("Token recusado", "Token refused"),
        Rule::BreakerRefused => ("Eventos recusados em série", "Events refused in a row"),
        Rule::BreakerThrottled => ("Limite de chamadas", "Throttled"),
        Rule::BreakerForced => ("Ordem manual", "Manual order"),
        Rule::DeadLetters => ("Eventos parados", "Dead letters"),
        Rule::Expiring => ("Eventos a vencer", "Expiring events"),
        Rule::QueueAge => ("Fila parada", "Queue not moving"),
        Rule::RetryOverdue => ("Novas tentativas atrasadas", "Retries overdue"),
        Rule::Partitions => ("Tabelas dos próximos dias", "Tables of the days to come"),
        Rule::Silence => ("Silêncio", "Silence"),
        Rule::DeliveryBudget => ("Meta de entrega", "Delivery goal"),
        Rule::Conservation => ("Conta do dia", "Account of the day"),
        Rule::PartialAck => ("Confirmação parcial", "Partial acknowledgement"),
        Rule::EmqDrop => ("Nota EMQ", "EMQ score"),
        Rule::EmqUnreadable => ("Nota EMQ ilegível", "EMQ unreadable"),
        Rule::TestCode => ("Código de teste", "Test code"),
        Rule::ApiVersion => ("Versão da API", "API version"),
        Rule::SpendStale => ("Gasto parado", "Spend out of date"),
        Rule::Reconciliation => ("Conciliação", "Reconciliation"),
        Rule::PaymentsUnread => ("Pagamentos sem leitura", "Payments not read"),
        Rule::PaymentsOdd => ("Pagamentos a conferir", "Payments to look at"),
        Rule::RoasLow => ("ROAS baixo", "Low ROAS"),
        Rule::CacHigh => ("CAC alto", "High CAC"),
        Rule::CheckFailing => ("Verificação com falha", "Check failing"),
        Rule::CheckSilent => ("Monitor em silêncio", "Monitor silent"),
        Rule::DatabaseDown => ("Banco fora do ar", "Database down"),
    };
    language.pick(pt, en)
}

/// The sentence of an alert. `now` is for deadlines.
pub fn headline(rule: Rule, facts: &Facts, now: DateTime<Utc>, language: Language) -> String {
    let d = facts
        .dataset_name
        .as_deref()
        .filter(|name| !name.trim().is_empty())
        .map_or_else(|| language.pick("um conjunto", "a dataset").to_owned(), name);
    let n = facts.count.unwrap_or_default();
    let n_events = events(n, language);
    let n_text = count(n, language);
    let m = count(facts.total.unwrap_or_default(), language);
    let x = facts
        .percent
        .map(|share| percent(share, language))
        .unwrap_or_default();
    let w = facts.window_seconds.map(span).unwrap_or_default();
    let t = facts.seconds.map(duration).unwrap_or_default();
    let deadline = facts.deadline.map(|deadline| until(deadline, now));
    let cost = facts
        .money
        .first()
        .map(|amount| money(amount, language))
        .unwrap_or_default();
    let money = in_money(facts, language);
    let e = facts.event_name.as_deref().map(name);
    let what = facts.name.as_deref().map(name).unwrap_or_default();
    let value = facts
        .score
        .map(|value| score(value, language))
        .unwrap_or_default();
    let day = facts
        .day
        .map(|day| day.format(language.pick("%d/%m/%Y", "%Y-%m-%d")).to_string())
        .unwrap_or_default();
    let code = facts.code.map_or_else(|| "–".to_owned(), |code| code.to_string());
    let pt = language == Language::Portuguese;
    match rule {
        Rule::ErrorRate if pt => {
            format!("{d}: {x} dos envios à Meta falham ({n_text} de {m} em {w}). Nada se perdeu.")
        }
        Rule::ErrorRate => {
            format!("{d}: {x} of sends to Meta fail ({n_text} of {m} in {w}). Nothing is lost.")
        }
        Rule::Latency => {
            let p95 = facts.p95_ms.map(|ms| format!("{}\u{a0}ms", count(ms, language)));
            match (p95, pt) {
                (Some(p95), true) => format!("{d}: a Meta demora; 1 em 20 respostas passa de {p95}."),
                (Some(p95), false) => format!("{d}: Meta is slow; 1 answer in 20 takes over {p95}."),
                (None, true) => format!("{d}: a Meta demora; 1 em 20 pedidos fica sem resposta."),
                (None, false) => format!("{d}: Meta is slow; 1 request in 20 is not answered."),
            }
        }
        Rule::Duplicates if pt => {
            format!("{d}: {x} do recebido é repetido. Foi barrado, mas algo envia duas vezes.")
        }
        Rule::Duplicates => {
            format!("{d}: {x} of what arrives is a repeat. It is kept back, but something sends twice.")
        }
        Rule::BreakerErrors => {
            let waits = language.pick(plural(n, "espera", "esperam"), plural(n, "waits", "wait"));
            match (deadline, pt) {
                (Some(t), true) => {
                    format!("Meta fora do ar para {d}. {n_events} {waits}; prazo do primeiro: {t}.")
                }
                (Some(t), false) => format!("Meta API down for {d}. {n_events} {waits}; first deadline {t}."),
                (None, true) => format!("Meta fora do ar para {d}. {n_events} {waits}."),
                (None, false) => format!("Meta API down for {d}. {n_events} {waits}."),
            }
        }
        Rule::BreakerBlocked => match (deadline, pt) {
            (Some(t), true) => {
                format!(
                    "{d}: a Meta recusa o token (código {code}). Troque-o; {n_events} na fila, o primeiro vence em {t}."
                )
            }
            (Some(t), false) => {
                format!(
                    "{d}: Meta refuses the token (code {code}). Replace it; {n_events} wait, the first expires in {t}."
                )
            }
            (None, true) => {
                format!("{d}: a Meta recusa o token (código {code}). Troque-o; novos eventos esperam.")
            }
            (None, false) => {
                format!("{d}: Meta refuses the token (code {code}). Replace it; new events wait.")
            }
        },
        Rule::BreakerRefused if pt => {
            format!(
                "{d}: a Meta recusa um evento após o outro (código {code}). {n_events} na fila até alguém corrigir."
            )
        }
        Rule::BreakerRefused => {
            format!(
                "{d}: Meta refuses one event after the other (code {code}). {n_events} in the queue until somebody fixes it."
            )
        }
        Rule::BreakerThrottled if pt => format!("{d}: limite de chamadas da Meta há {t}."),
        Rule::BreakerThrottled => format!("{d}: throttled by Meta for {t}."),
        Rule::BreakerForced => {
            let note = facts
                .note
                .as_deref()
                .map(name)
                .filter(|note| !note.trim().is_empty());
            let note = note.map(|note| format!(" (“{note}”)")).unwrap_or_default();
            let stops = facts.order.as_deref() == Some("forced_open");
            let order = match (stops, pt) {
                (true, true) => "mandar parar",
                (false, true) => "mandar enviar",
                (true, false) => "stop sending",
                (false, false) => "send anyway",
            };
            language.pick(
                format!("{d}: ordem manual “{order}” há {t}{note}."),
                format!("{d}: manual order “{order}” for {t}{note}."),
            )
        }
        Rule::DeadLetters => {
            let cause = cause(facts, language);
            let first = match (deadline, pt) {
                (Some(t), true) => format!(" O primeiro vence em {t}."),
                (Some(t), false) => format!(" First deadline in {t}."),
                (None, _) => String::new(),
            };
            match pt {
                true => format!(
                    "{d}: {n_events} {}{money}: {cause}.{first}",
                    plural(n, "parou", "pararam")
                ),
                false => format!("{d}: {n_events} stopped{money}: {cause}.{first}"),
            }
        }
        Rule::Expiring => {
            let t = deadline.unwrap_or_default();
            match pt {
                true => format!(
                    "{d}: {n_events}{money} {} em até {t} e ainda não {}.",
                    plural(n, "vence", "vencem"),
                    plural(n, "chegou", "chegaram")
                ),
                false => format!(
                    "{d}: {n_events}{money} {} within {t}.",
                    plural(n, "expires", "expire")
                ),
            }
        }
        Rule::QueueAge if pt => format!("{d}: a fila não anda há {t}. O forwarder roda?"),
        Rule::QueueAge => format!("{d}: the queue has not moved for {t}. Is a forwarder running?"),
        Rule::RetryOverdue if pt => format!("Novas tentativas atrasadas em {t}. O retry-worker roda?"),
        Rule::RetryOverdue => format!("Retries are {t} late. Is a retry-worker running?"),
        Rule::Partitions if pt => format!("Faltam tabelas a partir de {day}; depois nada pode ser gravado."),
        Rule::Partitions => format!("No tables from {day} on; after that nothing can be stored."),
        Rule::Silence => {
            let none = none_of(facts.event_name.as_deref());
            let e = e.unwrap_or_else(|| "event".to_owned());
            let expected = facts
                .expected
                .map(|events| score(events, language))
                .unwrap_or_default();
            match pt {
                true => format!("{d}: {none} há {t}; o normal seriam {expected}. O site ainda envia?"),
                false => format!("{d}: no {e} for {t}; {expected} were expected. Does the site still send?"),
            }
        }
        Rule::DeliveryBudget if pt => {
            format!(
                "{d}: {n_text} de {m} eventos não chegaram em {w}; nesse ritmo a meta de 99,9\u{a0}% se perde."
            )
        }
        Rule::DeliveryBudget => {
            format!("{d}: {n_text} of {m} events did not arrive in {w}; at this pace the 99.9% goal is lost.")
        }
        Rule::Conservation if pt => {
            format!("A conta de {day} não fecha: faltam {n_text}. Isto é um defeito; avise-nos.")
        }
        Rule::Conservation => {
            format!("The account of {day} is off by {n_text}. This is a defect; please tell us.")
        }
        Rule::PartialAck if pt => format!("{d}: a Meta confirmou {n_text} de {m} eventos."),
        Rule::PartialAck => format!("{d}: Meta confirmed {n_text} of {m} events."),
        Rule::EmqDrop => {
            let e = e.unwrap_or_default();
            let missing = match (facts.key.as_deref(), facts.percent) {
                (Some(key), Some(_)) => {
                    let (portuguese, english) = match_key(key).unwrap_or((key, key));
                    language.pick(
                        format!(" Falta {} em {x}.", name(portuguese)),
                        format!(" {} is missing in {x}.", name(english)),
                    )
                }
                _ => String::new(),
            };
            language.pick(
                format!("{d}, {e}: a nota EMQ caiu para {value}.{missing}"),
                format!("{d}, {e}: EMQ fell to {value}.{missing}"),
            )
        }
        Rule::EmqUnreadable if pt => format!("{d}: o token só envia, não lê a nota."),
        Rule::EmqUnreadable => format!("{d}: the token may send but not read the score."),
        Rule::TestCode if pt => format!("{d}: código de teste ligado há {t}; estes eventos contam."),
        Rule::TestCode => format!("{d}: test code on for {t}; these events count."),
        Rule::ApiVersion => {
            let days = events_free_count(n, language);
            language.pick(
                format!("A versão {what} da API da Meta acaba em {days}."),
                format!("Graph API {what} ends in {days}."),
            )
        }
        Rule::SpendStale if pt => {
            format!("Gasto de {what} parado em {day}; CAC e ROAS não valem desde então.")
        }
        Rule::SpendStale => format!("Spend of {what} ends on {day}; CAC and ROAS are not valid since."),
        Rule::Reconciliation => match pt {
            true => format!(
                "{d}: {n_text} {} sem compra{money}.",
                plural(n, "pagamento aprovado", "pagamentos aprovados")
            ),
            false => format!(
                "{d}: {n_text} {} no purchase{money}.",
                plural(n, "approved payment has", "approved payments have")
            ),
        },
        Rule::PaymentsUnread => match (facts.error.is_some(), pt) {
            (true, true) => format!(
                "{d}: os pagamentos de {what} não são conferidos há {t}; o Mercado Pago recusa o token."
            ),
            (true, false) => format!(
                "{d}: payments of {what} have not been compared for {t}; Mercado Pago refuses the token."
            ),
            (false, true) => format!("{d}: os pagamentos de {what} não são conferidos há {t}."),
            (false, false) => format!("{d}: payments of {what} have not been compared for {t}."),
        },
        Rule::PaymentsOdd => odd_payments(facts, (&d, n, &money, &w), language),
        Rule::RoasLow if pt => {
            let unit = if matches!(what.as_str(), "" | "BRL") {
                "real"
            } else {
                &what
            };
            format!("{d}: cada {unit} em anúncios trouxe {value} de volta em 7 dias.")
        }
        Rule::RoasLow => format!("{d}: ads returned {value} times their cost in 7 days."),
        Rule::CacHigh if pt => format!("{d}: um cliente novo custou {cost} em 7 dias."),
        Rule::CacHigh => format!("{d}: a new customer cost {cost} in 7 days."),
        Rule::CheckFailing => {
            let error = facts.error.as_deref().map(name).unwrap_or_default();
            let rule = Rule::parse(&what).map_or(what.clone(), |rule| title(rule, language).to_owned());
            language.pick(
                format!("Não consigo verificar “{rule}”: {error}"),
                format!("Cannot check “{rule}”: {error}"),
            )
        }
        Rule::CheckSilent if pt => format!("O monitor não verifica nada há {t}."),
        Rule::CheckSilent => format!("The monitor has checked nothing for {t}."),
        Rule::DatabaseDown if pt => format!("O banco não responde há {t}; o gateway devolve 503."),
        Rule::DatabaseDown => format!("The database has not answered for {t}; the gateway answers 503."),
    }
}

/// `whose`, how many, ` (R$ 90)`, `24 h`.
fn odd_payments(
    facts: &Facts,
    (whose, n, money, window): (&str, i64, &str, &str),
    language: Language,
) -> String {
    let how_many = count(n, language);
    let (pt, en) = match facts.reason.as_deref() {
        Some("chargeback") => (
            format!(
                "{how_many} {}{money}; o prazo para enviar provas já corre.",
                plural(n, "chargeback", "chargebacks")
            ),
            format!(
                "{how_many} {}{money}; the time to send evidence is running.",
                plural(n, "chargeback", "chargebacks")
            ),
        ),
        Some("mediation") => (
            format!(
                "{how_many} {}{money}; responda ao comprador no Mercado Pago.",
                plural(n, "pagamento em disputa", "pagamentos em disputa")
            ),
            format!(
                "{how_many} {}{money}; answer the buyer at Mercado Pago.",
                plural(n, "payment is disputed", "payments are disputed")
            ),
        ),
        Some("paid_twice") => (
            format!(
                "{how_many} {} já pago{money}.",
                plural(n, "pagamento de um pedido", "pagamentos de um pedido")
            ),
            format!(
                "{how_many} {} paid already{money}.",
                plural(n, "payment of an order that was", "payments of orders that were")
            ),
        ),
        Some("fraud_alert") => (
            format!(
                "o Mercado Pago avisa de fraude em {how_many} {}{money}; não entregue.",
                plural(n, "pagamento", "pagamentos")
            ),
            format!(
                "Mercado Pago warns of fraud in {how_many} {}{money}; do not deliver.",
                plural(n, "payment", "payments")
            ),
        ),
        Some("missing_local") => (
            format!(
                "{how_many} {} sem notificação em {window}{money}.",
                plural(n, "pagamento chegou", "pagamentos chegaram")
            ),
            format!(
                "no webhook told of {how_many} {} in {window}{money}.",
                plural(n, "payment", "payments")
            ),
        ),
        _ => (
            format!(
                "{how_many} {} a conferir{money}.",
                plural(n, "pagamento", "pagamentos")
            ),
            format!(
                "{how_many} {} to look at{money}.",
                plural(n, "payment", "payments")
            ),
        ),
    };
    format!("{whose}: {}", language.pick(pt, en))
}

fn events_free_count(days: i64, language: Language) -> String {
    let word = language.pick(plural(days, "dia", "dias"), plural(days, "day", "days"));
    format!("{}\u{a0}{word}", count(days, language))
}

/// The first line of everything: severity and sentence.
pub fn subject_line(of: Severity, sentence: &str, language: Language) -> String {
    format!("{}: {sentence}", severity(of, language))
}

/// What to do, in two lines at most. The runbook has the rest.
pub fn advice(rule: Rule) -> Advice {
    let (pt, en) = match rule {
        Rule::ErrorRate => (
            "Veja no painel qual código a Meta devolve. Um token vencido ou um campo novo no site são as causas comuns.",
            "See on the dashboard which code Meta returns. An expired token or a new field on the site are the usual causes.",
        ),
        Rule::Latency => (
            "Nada se perde; os eventos só chegam mais tarde. Se durar, confira a rede do servidor e o status da Meta.",
            "Nothing is lost; events just arrive later. If it lasts, check the server's network and Meta's status page.",
        ),
        Rule::Duplicates => (
            "Uma tag ou integração dispara duas vezes com o mesmo event_id. Veja quais eventos se repetem.",
            "A tag or an integration fires twice with the same event_id. See which events repeat.",
        ),
        Rule::BreakerErrors => (
            "Não é preciso fazer nada: os eventos esperam e seguem sozinhos quando a Meta voltar. Confira o prazo.",
            "Nothing has to be done: events wait and go on by themselves when Meta is back. Check the deadline.",
        ),
        Rule::BreakerBlocked => (
            "Gere um token novo no Gerenciador de Eventos; troca-se com `ingest-gateway dataset token`. Os eventos seguem sozinhos.",
            "Make a new token in Events Manager and enter it by `ingest-gateway dataset token`. Events go on by themselves.",
        ),
        Rule::BreakerRefused => (
            "Veja o código em Eventos parados e corrija o que o site envia; depois mande enviar.",
            "See the code under Stopped events and fix what the site sends; then order sending.",
        ),
        Rule::BreakerThrottled => (
            "A Meta pediu para esperar; os eventos esperam. Se durar um dia, peça um limite maior à Meta.",
            "Meta said wait, and events wait. If it lasts a day, ask Meta for a higher limit.",
        ),
        Rule::BreakerForced => (
            "Alguém deu esta ordem. Se ela não vale mais, volte para Automático.",
            "Somebody gave this order. If it no longer applies, go back to Automatic.",
        ),
        Rule::DeadLetters => (
            "Abra Eventos parados: lá está a causa em palavras, se reenviar ajuda, e até quando dá.",
            "Open Stopped events: it says the cause in words, whether sending again helps, and until when.",
        ),
        Rule::Expiring => (
            "Veja por que ainda não saíram: disjuntor, fila parada ou evento parado. Depois do prazo a Meta os recusa.",
            "See why they have not left: breaker, queue or dead letter. After the deadline Meta refuses them.",
        ),
        Rule::QueueAge => (
            "Confira se o capi-forwarder roda e se alcança o banco e a Meta.",
            "Check that capi-forwarder runs and reaches the database and Meta.",
        ),
        Rule::RetryOverdue => (
            "Confira se o retry-worker roda e alcança o banco.",
            "Check that retry-worker runs and reaches the database.",
        ),
        Rule::Partitions => (
            "Confira se o retry-worker roda; ele cria as tabelas. Com urgência: sem elas nada é gravado.",
            "Check that retry-worker runs; it makes the tables. Urgent: without them nothing is stored.",
        ),
        Rule::Silence => (
            "Abra o site e faça um envio de teste. Uma tag removida e uma origem bloqueada são as causas comuns.",
            "Open the site and send a test. A removed tag and a blocked origin are the usual causes.",
        ),
        Rule::DeliveryBudget => (
            "Veja em Eventos parados o que não chega, e reenvie o que ainda pode ser entregue.",
            "See under Stopped events what does not arrive, and send again what can still be delivered.",
        ),
        Rule::Conservation => (
            "Guarde os logs deste dia e nos avise. Nenhuma ação sua corrige isto.",
            "Keep the logs of this day and tell us. Nothing you can do corrects this.",
        ),
        Rule::PartialAck => (
            "A Meta aceitou o pedido e contou menos eventos. Guarde o fbtrace_id e pergunte ao suporte da Meta.",
            "Meta accepted the request and counted fewer events. Keep the fbtrace_id and ask Meta's support.",
        ),
        Rule::EmqDrop => (
            "Envie a chave que falta em todos os eventos; a página Qualidade mostra qual traz mais.",
            "Send the missing key with every event; the Quality page shows which one brings most.",
        ),
        Rule::EmqUnreadable => (
            "Dê ao usuário do sistema acesso ao conjunto, ou gere um token com ads_read.",
            "Assign the dataset to the system user, or make a token with ads_read.",
        ),
        Rule::TestCode => (
            "Apague o código de teste em Conjuntos: eventos de teste contam como reais.",
            "Delete the test code under Datasets: test events count as real ones.",
        ),
        Rule::ApiVersion => (
            "Mude graph_api.version antes da data; depois a Meta responde com erro.",
            "Change graph_api.version before that day; after it Meta answers with an error.",
        ),
        Rule::SpendStale => (
            "Confira a importação de gastos: o acesso à conta de anúncios pode ter vencido.",
            "Check the import of spend: access to the ad account may have expired.",
        ),
        Rule::Reconciliation => (
            "Abra Receita e veja quais pagamentos não têm compra.",
            "Open Revenue and see which payments have no purchase.",
        ),
        Rule::PaymentsUnread => (
            "Token recusado: cadastre um novo com `attribution account`. Senão, veja o log do serviço attribution.",
            "Token refused: enter a new one by `attribution account`. Otherwise see the log of attribution.",
        ),
        Rule::PaymentsOdd => (
            "Abra o pagamento no Mercado Pago. Disputas e chargebacks têm prazo; depois dele perde-se o dinheiro.",
            "Open the payment at Mercado Pago. Disputes and chargebacks have a deadline; after it the money is lost.",
        ),
        Rule::RoasLow | Rule::CacHigh => (
            "Compare as campanhas em Receita; o limite é o que você escolheu.",
            "Compare the campaigns under Revenue; the limit is the one you chose.",
        ),
        Rule::CheckFailing => (
            "O estado dos alertas desta regra ficou como estava. Veja o log do monitor.",
            "The alerts of this rule keep their state. See the monitor's log.",
        ),
        Rule::CheckSilent => (
            "Confira o CronJob ou o processo `monitor check`: sem ele ninguém é avisado de nada.",
            "Check the CronJob or process `monitor check`: without it nobody is told anything.",
        ),
        Rule::DatabaseDown => (
            "Traga o banco de volta primeiro. Quem envia deve repetir: o gateway responde 503 e nada é aceito pela metade.",
            "Bring the database back first. Senders must repeat: the gateway answers 503 and accepts nothing by halves.",
        ),
    };
    Advice { pt, en }
}

#[cfg(test)]
mod tests {
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
        let runbook = include_str!("../../../../proto-docs/runbook.md");
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
}
