//! Como é calculado: each number's definition, from one list that the pages' notes shorten.

use maud::html;

use crate::dashboard::layout::{self, Page, Tone};
use crate::dashboard::reply::{Failed, Reply};
use crate::dashboard::request::Cx;

/// Title and definition in both languages, and the SQL to see the same; empty: there is none.
pub const METHODS: [(&str, &str, &str, &str, &str); 12] = [
    (
        "O rastro de hoje",
        "The trail of today",
        "Uma fotografia única do banco: recebidos desde a meia-noite local = duplicados + prontos + a caminho + nova tentativa + parados + retidos + entregues. Entregues são contados, não o resto da conta.",
        "One snapshot of the database: received since local midnight = duplicates + ready + on the way + to be tried again + stopped + withheld + delivered. Delivered are counted, not what is left of the sum.",
        "SELECT * FROM bi.queue_now;",
    ),
    (
        "Eventos por dia",
        "Events by day",
        "Aceitos pelo dia do recebimento, na zona do painel; duplicados barrados em cima, listrados. Hoje e horas ainda abertas mudam.",
        "Accepted by the day of receipt, in the dashboard's zone; duplicates kept back on top, striped. Today and hours still open move.",
        "SELECT day, outcome, sum(events) FROM bi.events_by_day WHERE day > current_date - 30 GROUP BY 1, 2 ORDER BY 1;",
    ),
    (
        "Chegam à Meta",
        "Reach Meta",
        "Aceitos nos últimos 7 dias, sem a última hora, menos os parados e os que esperam há mais de uma hora; dividido pelos aceitos. Com menos de 1.000, em números. Arredondado para baixo.",
        "Accepted in the last 7 days, without the last hour, minus those stopped and those that wait for over an hour; divided by accepted. Below 1,000, as numbers. Rounded down.",
        "SELECT sum(accepted - dead - late) AS arrived, sum(accepted) AS accepted FROM bi.reaching_meta;",
    ),
    (
        "Tentativas: sucesso e erro",
        "Attempts: success and error",
        "Cada requisição à Meta conta uma vez por evento que levou. Um erro não é um evento perdido: a tentativa é refeita.",
        "Each request to Meta counts once for every event it carried. An error is no lost event: the attempt is made again.",
        "SELECT * FROM bi.errors_by_type WHERE day >= current_date - 7;",
    ),
    (
        "Resposta da Meta",
        "Meta's response",
        "Do primeiro byte enviado ao último da resposta. Requisições sem resposta contam como mais lentas que todas. P95 precisa de 20 requisições. Percentis são interpolados dentro da faixa; 1 s e 2 s são limites de faixa, por isso exatos.",
        "From the first byte sent to the last of the answer. Unanswered requests count as slower than all. P95 needs 20 requests. Percentiles are interpolated inside their bucket; 1 s and 2 s are limits of buckets, hence exact.",
        "SELECT * FROM bi.latency_by_day ORDER BY day DESC LIMIT 30;",
    ),
    (
        "Duplicados",
        "Duplicates",
        "Eventos com a mesma chave (conjunto, nome, event_id) de um já aceito, divididos por tudo que foi recebido. Respondidos com 409, nunca enviados. Sem porcentagem abaixo de 50.",
        "Events with the key (dataset, name, event_id) of one already accepted, divided by all that was received. Answered with 409, never sent. No share below 50.",
        "SELECT * FROM bi.duplication_by_day ORDER BY day DESC LIMIT 30;",
    ),
    (
        "Eventos parados",
        "Stopped events",
        "O que não é mais tentado sozinho: recusado pela Meta, sem mais tentativas, ou velho demais. O dinheiro é a soma do valor das compras, por moeda, nunca somado entre moedas. O prazo é o menor dos que ainda podem chegar.",
        "What is no longer tried by itself: refused by Meta, attempts used up, or too old. The money is the sum of the purchases' values, by currency, never added across currencies. The deadline is the earliest of those that can still arrive.",
        "SELECT * FROM bi.dead_letters;",
    ),
    (
        "Nota EMQ",
        "EMQ score",
        "A nota é da Meta (0 a 10, das últimas 48 h), lida uma vez por dia. A estimativa é nossa, das chaves que os eventos levam. Sem nota não é zero. Com mais de 36 h, cinza e com data.",
        "The score is Meta's (0 to 10, of the last 48 h), read once a day. The estimate is ours, from the keys that events carry. No score is not zero. Older than 36 h, grey and dated.",
        "SELECT * FROM bi.emq_by_day ORDER BY day DESC;",
    ),
    (
        "Receita",
        "Revenue",
        "O que compradores pagaram, como o Mercado Pago confirma, menos o devolvido; no dia do pedido, na zona do conjunto. Cada pedido é creditado aos anúncios que o comprador tocou, pelo modelo escolhido na página. Retorno: receita líquida ÷ gasto do período. Os últimos cinco dias ainda sobem.",
        "What buyers paid, as Mercado Pago confirms it, less what was given back; on the day of the order, in the dataset's zone. Each order is credited to the ads that its buyer touched, by the model chosen on the page. Return: net revenue ÷ spend of the period. The last five days still rise.",
        "SELECT * FROM bi.roas_by_channel_day WHERE model = 'linear' AND day > current_date - 30 ORDER BY day, channel;",
    ),
    (
        "Custo por cliente",
        "Cost per customer",
        "Gasto ÷ (leads × taxa de compra). Leads e compras vêm do que foi recebido em 30 dias; o gasto, de quem olha. Para empatar: gasto ÷ (leads × compra média).",
        "Spend ÷ (leads × rate of purchase). Leads and orders come from what was received in 30 days; the spend from whoever looks. To break even: spend ÷ (leads × average order).",
        "",
    ),
    (
        "E com outro número?",
        "And with another number?",
        "A regra refeita sobre as contagens de 30 dias, por hora cheia e por conjunto. Horas com pouco movimento não contam.",
        "The rule run again over the counts of 30 days, by whole hours and dataset. Hours with little in them do not count.",
        "SELECT * FROM bi.events_by_hour WHERE hour > now() - interval '30 days';",
    ),
    (
        "Comparações e arredondamento",
        "Comparisons and rounding",
        "Hoje até agora contra a média do mesmo dia da semana até a mesma hora, das últimas quatro semanas; abaixo de 100 eventos não se compara. Porcentagens são arredondadas para baixo: nunca 100 % quando um falhou. Eventos de teste contam nos totais.",
        "Today until now against the mean of the same weekday until the same hour, of the last four weeks; below 100 events nothing is compared. Shares are rounded down: never 100% when one failed. Test events count in totals.",
        "",
    ),
];

/// The entry that leads to a page with definitions of its own.
const REVENUE: &str = "Revenue";

pub fn show(cx: &Cx<'_>) -> Result<Reply, Failed> {
    let lang = cx.lang();
    let more = html! {
        (lang.t("Um nome, uma definição, em todas as páginas, nas mensagens e nas visões SQL (esquema ", "One name, one definition, on all pages, in messages and in the SQL views (schema "))
        code { "bi" } ")."
    };
    let body = html! {
        (layout::verdict(Tone::Neutral, &html! { (Page::Method.title(lang)) }, &more, &html! {}))
        section.card aria-label=(lang.t("Definições", "Definitions")) { dl.method {
            @for (pt, en, what_pt, what_en, sql) in METHODS {
                dt { (lang.t(pt, en)) }
                dd {
                    (lang.t(what_pt, what_en))
                    @if en == REVENUE {
                        " " a href=(cx.frame.link(Page::Revenue.path(), "")) {
                            (lang.t("Cada número tem a sua definição na página.", "Each number has its definition on its page."))
                        }
                    }
                    @if !sql.is_empty() { pre { code { (sql) } } }
                }
            }
        } }
    };
    Reply::page(Page::Method.title(lang), body)
}
