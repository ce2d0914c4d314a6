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
