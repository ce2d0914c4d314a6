//! Spend, payments and what ads bring back.

use super::{Said, plural};

pub(super) fn spend_stale(said: &Said<'_>) -> String {
    let (source, day) = (&said.name, &said.day);
    match said.pt {
        true => format!("Gasto de {source} parado em {day}; CAC e ROAS não valem desde então."),
        false => format!("Spend of {source} ends on {day}; CAC and ROAS are not valid since."),
    }
}

pub(super) fn reconciliation(said: &Said<'_>) -> String {
    let Said {
        dataset: d,
        n,
        count,
        money,
        ..
    } = said;
    match said.pt {
        true => format!(
            "{d}: {count} {} sem compra{money}.",
            plural(*n, "pagamento aprovado", "pagamentos aprovados")
        ),
        false => format!(
            "{d}: {count} {} no purchase{money}.",
            plural(*n, "approved payment has", "approved payments have")
        ),
    }
}

pub(super) fn payments_unread(said: &Said<'_>) -> String {
    let Said {
        dataset: d,
        name: account,
        lasted,
        ..
    } = said;
    let refused = said.facts.error.is_some();
    match said.pt {
        true => {
            let why = if refused {
                "; o Mercado Pago recusa o token"
            } else {
                ""
            };
            format!("{d}: os pagamentos de {account} não são conferidos há {lasted}{why}.")
        }
        false => {
            let why = if refused {
                "; Mercado Pago refuses the token"
            } else {
                ""
            };
            format!("{d}: payments of {account} have not been compared for {lasted}{why}.")
        }
    }
}

/// Payments that a person has to look at, of one kind.
pub(super) fn payments_odd(said: &Said<'_>) -> String {
    let Said {
        dataset: d,
        n,
        count,
        money,
        window,
        ..
    } = said;
    let (pt, en) = match said.facts.reason.as_deref() {
        Some("chargeback") => (
            format!(
                "{count} {}{money}; o prazo para enviar provas já corre.",
                plural(*n, "chargeback", "chargebacks")
            ),
            format!(
                "{count} {}{money}; the time to send evidence is running.",
                plural(*n, "chargeback", "chargebacks")
            ),
        ),
        Some("mediation") => (
            format!(
                "{count} {}{money}; responda ao comprador no Mercado Pago.",
                plural(*n, "pagamento em disputa", "pagamentos em disputa")
            ),
            format!(
                "{count} {}{money}; answer the buyer at Mercado Pago.",
                plural(*n, "payment is disputed", "payments are disputed")
            ),
        ),
        Some("paid_twice") => (
            format!(
                "{count} {} já pago{money}.",
                plural(*n, "pagamento de um pedido", "pagamentos de um pedido")
            ),
            format!(
                "{count} {} paid already{money}.",
                plural(*n, "payment of an order that was", "payments of orders that were")
            ),
        ),
        Some("fraud_alert") => (
            format!(
                "o Mercado Pago avisa de fraude em {count} {}{money}; não entregue.",
                plural(*n, "pagamento", "pagamentos")
            ),
            format!(
                "Mercado Pago warns of fraud in {count} {}{money}; do not deliver.",
                plural(*n, "payment", "payments")
            ),
        ),
        Some("missing_local") => (
            format!(
                "{count} {} sem notificação em {window}{money}.",
                plural(*n, "pagamento chegou", "pagamentos chegaram")
            ),
            format!(
                "no webhook told of {count} {} in {window}{money}.",
                plural(*n, "payment", "payments")
            ),
        ),
        _ => (
            format!(
                "{count} {} a conferir{money}.",
                plural(*n, "pagamento", "pagamentos")
            ),
            format!("{count} {} to look at{money}.", plural(*n, "payment", "payments")),
        ),
    };
    format!("{d}: {}", said.language.pick(pt, en))
}

pub(super) fn roas_low(said: &Said<'_>) -> String {
    let (d, value) = (&said.dataset, &said.value);
    if !said.pt {
        return format!("{d}: ads returned {value} times their cost in 7 days.");
    }
    let unit = match said.name.as_str() {
        "" | "BRL" => "real",
        currency => currency,
    };
    format!("{d}: cada {unit} em anúncios trouxe {value} de volta em 7 dias.")
}

pub(super) fn cac_high(said: &Said<'_>) -> String {
    let (d, cost) = (&said.dataset, &said.cost);
    match said.pt {
        true => format!("{d}: um cliente novo custou {cost} em 7 dias."),
        false => format!("{d}: a new customer cost {cost} in 7 days."),
    }
}
