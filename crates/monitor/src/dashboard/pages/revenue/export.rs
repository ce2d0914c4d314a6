//! The campaigns of the page as a file that spreadsheets open: separated and written as the language's
//! spreadsheets expect.

use rastro_core::metrics::ratio;
use rastro_store::{CampaignRevenue, Store, StoreError};

use super::request::Request;
use super::terms::{Cash, campaign_name};
use super::totals::cost;
use crate::dashboard::reply::Download;
use crate::dashboard::words::Lang;

/// More campaigns than anybody has. A file that reaches it says so in its last row.
const MOST_ROWS: usize = 10_000;
/// Tells a spreadsheet that what follows is UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

pub(super) async fn file(store: &Store, lang: Lang, request: &Request) -> Result<Download, StoreError> {
    let most = i64::try_from(MOST_ROWS + 1).unwrap_or(i64::MAX);
    let rows = store
        .revenue_by_campaign(&request.filter, &request.part, most)
        .await?;
    let filter = &request.filter;
    Ok(Download {
        name: format!(
            "{}-{}-{}-{}-{}.csv",
            lang.t("campanhas", "campaigns"),
            filter.from,
            filter.until,
            filter.currency,
            filter.model.as_str()
        ),
        content_type: "text/csv; charset=utf-8",
        body: text(lang, Some(request), &rows).into_bytes(),
    })
}

/// Its heading alone.
pub(super) fn nothing(lang: Lang) -> Download {
    Download {
        name: format!("{}.csv", lang.t("campanhas", "campaigns")),
        content_type: "text/csv; charset=utf-8",
        body: text(lang, None, &[]).into_bytes(),
    }
}

fn text(lang: Lang, request: Option<&Request>, rows: &[CampaignRevenue]) -> String {
    let mut out = BYTE_ORDER_MARK.to_owned();
    let heads = [
        ("canal", "channel"),
        ("campanha", "campaign"),
        ("id_da_campanha", "campaign_id"),
        ("pago", "paid"),
        ("primeiro_dia", "first_day"),
        ("ultimo_dia", "last_day"),
        ("modelo", "model"),
        ("moeda", "currency"),
        ("gasto", "spend"),
        ("impressoes", "impressions"),
        ("cliques", "clicks"),
        ("leads", "leads"),
        ("qualificados", "qualified"),
        ("pedidos", "orders"),
        ("clientes_novos", "new_customers"),
        ("receita_bruta", "gross_revenue"),
        ("receita_liquida", "net_revenue"),
        ("taxas", "fees"),
        ("segundo_a_plataforma", "says_the_platform"),
        ("roas", "roas"),
        ("custo_por_cliente", "cost_per_customer"),
        ("ainda_muda", "provisional"),
    ];
    line(lang, &mut out, &heads.map(|(pt, en)| lang.t(pt, en).to_owned()));
    let Some(request) = request else {
        return out;
    };
    let filter = &request.filter;
    let cash = Cash {
        lang,
        currency: &filter.currency,
    };
    let yes = |is: bool| {
        if is {
            lang.t("sim", "yes")
        } else {
            lang.t("não", "no")
        }
        .to_owned()
    };
    for row in rows.iter().take(MOST_ROWS) {
        let spent = cash.of_micros(row.spend_micros);
        let decimal = |value: Option<f64>, places: usize| {
            value
                .map(|value| point(lang, format!("{value:.places$}")))
                .unwrap_or_default()
        };
        line(
            lang,
            &mut out,
            &[
                harmless(&row.channel),
                harmless(&campaign_name(lang, &row.campaign_name, &row.campaign_key, 500)),
                harmless(&row.campaign_key),
                yes(row.paid),
                filter.from.to_string(),
                filter.until.to_string(),
                filter.model.as_str().to_owned(),
                filter.currency.clone(),
                cash.plain(spent),
                row.impressions.to_string(),
                row.clicks.to_string(),
                people(lang, row.leads_millionths),
                people(lang, row.qualified_millionths),
                people(lang, row.orders_millionths),
                people(lang, row.new_customers_millionths),
                cash.plain(row.gross_minor),
                cash.plain(row.net_minor),
                cash.plain(row.fee_minor),
                cash.plain(cash.of_micros(row.claimed_micros)),
                decimal(ratio(row.net_minor, spent), 4),
                cost(cash, row.spend_micros, row.new_customers_millionths)
                    .map(|cost| cash.plain(cost))
                    .unwrap_or_default(),
                yes(filter.until >= request.moving_from()),
            ],
        );
    }
    if rows.len() > MOST_ROWS {
        let words = lang.t(
            "há mais campanhas do que cabem aqui: escolha um canal",
            "there are more campaigns than fit here: choose a channel",
        );
        line(lang, &mut out, &[words.to_owned()]);
    }
    out
}

/// Millionths, exactly, without needless zeros: `12` or `0,333333`.
fn people(lang: Lang, millionths: i64) -> String {
    let sign = if millionths < 0 { "-" } else { "" };
    let (whole, rest) = (
        millionths.unsigned_abs() / 1_000_000,
        millionths.unsigned_abs() % 1_000_000,
    );
    let text = format!("{sign}{whole}.{rest:06}");
    point(lang, text.trim_end_matches('0').trim_end_matches('.').to_owned())
}

fn point(lang: Lang, text: String) -> String {
    match lang {
        Lang::Pt => text.replace('.', ","),
        Lang::En => text,
    }
}

/// Other people's text, so that no spreadsheet takes it for a formula: those begin with one of these, also
/// behind spaces (OWASP, CSV injection). The apostrophe makes it text and is not shown.
fn harmless(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let begins = |c: char| {
        matches!(
            c,
            '=' | '+' | '-' | '@' | '|' | '%' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}'
        )
    };
    // What was a tab or a line feed at the beginning is dangerous too.
    let is_formula = clean.trim_start().starts_with(begins) || text.starts_with(char::is_control);
    match is_formula {
        true => format!("'{clean}"),
        false => clean,
    }
}

/// RFC 4180, with the separator that the language's spreadsheets expect.
fn line(lang: Lang, out: &mut String, cells: &[String]) {
    let separator = lang.t(";", ",");
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            out.push_str(separator);
        }
        match cell.contains(separator) || cell.contains(['"', '\'']) || cell.starts_with(' ') {
            true => {
                out.push('"');
                out.push_str(&cell.replace('"', "\"\""));
                out.push('"');
            }
            false => out.push_str(cell),
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::pages::revenue::request::tests::request;

    fn row(name: &str) -> CampaignRevenue {
        CampaignRevenue {
            channel: "meta".into(),
            campaign_key: "120".into(),
            campaign_name: name.into(),
            paid: true,
            spend_micros: 100_000_000,
            impressions: 9,
            clicks: 8,
            leads_millionths: 3_500_000,
            qualified_millionths: 333_333,
            orders_millionths: 2_000_000,
            new_customers_millionths: 12_000_000,
            gross_minor: 123_456,
            net_minor: -50,
            fee_minor: 499,
            claimed_micros: 7_000_000,
        }
    }

    #[test]
    fn a_file_is_written_as_the_languages_spreadsheets_expect() {
        let pt = text(Lang::Pt, Some(&request(Lang::Pt, "")), &[row("Verão; \"sol\"")]);
        let line = pt.lines().nth(1).unwrap();
        assert_eq!(
            line,
            "meta;\"Verão; \"\"sol\"\"\";120;sim;2026-10-28;2026-11-26;linear;BRL;100,00;9;8;3,5;0,333333;2;12;1234,56;-0,50;4,99;7,00;-0,0050;8,33;sim"
        );
        let en = text(Lang::En, Some(&request(Lang::En, "moeda=USD&p=7d")), &[row("a")]);
        assert_eq!(
            en.lines().nth(1).unwrap(),
            "meta,a,120,yes,2026-11-20,2026-11-26,linear,USD,100.00,9,8,3.5,0.333333,2,12,1234.56,-0.50,4.99,7.00,-0.0050,8.33,yes"
        );
        assert!(en.starts_with("\u{feff}channel,campaign,") && pt.starts_with("\u{feff}canal;campanha;"));
    }

    #[test]
    fn no_name_is_a_formula() {
        for name in [
            "=1+1",
            "+cmd|' /C calc'!A0",
            "-2",
            "@SUM(A1)",
            "\t=1",
            "  =1",
            "\r\n=HYPERLINK(1)",
            "＝1",
            "%0A",
            "|x",
        ] {
            let cell = harmless(name);
            assert!(
                cell.starts_with('\'') && !cell.contains(['\t', '\r', '\n']),
                "{cell:?}"
            );
        }
        assert_eq!(harmless("Verão = 50 % - já"), "Verão = 50 % - já");
    }

    #[test]
    fn a_file_that_does_not_hold_all_says_so() {
        let rows = vec![row("a"); MOST_ROWS + 1];
        let pt = text(Lang::Pt, Some(&request(Lang::Pt, "")), &rows);
        assert_eq!(pt.lines().count(), MOST_ROWS + 2);
        assert!(pt.lines().last().unwrap().starts_with("há mais campanhas"));
    }
}
