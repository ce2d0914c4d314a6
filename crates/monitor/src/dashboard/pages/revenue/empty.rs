//! Before there is revenue: what to set up, and nothing that is guessed.

use maud::{Markup, html};

use crate::dashboard::layout::{self, Tone};
use crate::dashboard::reply::Failed;
use crate::dashboard::request::Cx;

pub(super) async fn render(cx: &Cx<'_>) -> Result<Markup, Failed> {
    let (frame, lang) = (&cx.frame, cx.lang());
    let since = frame.now - chrono::TimeDelta::days(30);
    let known = cx.app.store.calculator(frame.dataset, since).await?;
    let answer = lang.t(
        "Ainda não dá para dizer o que cada real trouxe",
        "What each real brought cannot be said yet",
    );
    let more = html! {
        (lang.t("Faltam os gastos com anúncios e os pagamentos conferidos no Mercado Pago. Até lá, nada aqui é adivinhado.",
            "Ad spend and payments verified at Mercado Pago are missing. Until then nothing is guessed here."))
    };
    Ok(html! {
        (layout::verdict(Tone::Neutral, &html! { (answer) }, &more, &html! {}))
        div.grid {
            (layout::card("c7", "steps", lang.t("O que falta", "What is missing"), "", &html! {
                ol.steps {
                    li.done[known.leads > 0] {
                        h3 { (lang.t("Leads", "Leads")) }
                        p { @if known.leads > 0 { (lang.plural(known.leads, ("lead", "lead"), ("leads", "leads"))) " " (lang.t("em 30 dias.", "in 30 days.")) }
                            @else { (lang.t("Nenhum em 30 dias. ", "None within 30 days. ")) code { "POST /api/leads/capture" } } }
                    }
                    li.done[known.orders > 0] {
                        h3 { (lang.t("Compras aprovadas", "Approved orders")) }
                        p { @if known.orders > 0 { (lang.plural(known.orders, ("pedido", "order"), ("pedidos", "orders"))) " " (lang.t("em 30 dias.", "in 30 days.")) }
                            @else { (lang.t("Nenhuma em 30 dias. ", "None within 30 days. ")) code { "POST /api/purchases/record" } } }
                    }
                    li {
                        h3 { (lang.t("Pagamentos do Mercado Pago", "Payments of Mercado Pago")) }
                        p { (lang.t("Configure a conta, e o serviço attribution lê cada pagamento e confere os livros.",
                            "Configure the account, and the attribution service reads each payment and compares the books."))
                            pre { code { "attribution account && attribution books" } } }
                    }
                    li {
                        h3 { (lang.t("Gastos com anúncios", "Ad spend")) }
                        p { (lang.t("Da Meta e do Google eles vêm sozinhos; de outros, de um arquivo.",
                            "Meta's and Google's come by themselves; others' from a file."))
                            pre { code { "attribution spend gastos.csv --dataset 123 --dry-run" } } }
                    }
                }
            }))
            (layout::card("c5", "will", lang.t("O que vai aparecer aqui", "What will be here"), "", &html! {
                ul.chips {
                    @for (pt, en) in [
                        ("do lead à receita", "from lead to revenue"), ("retorno por canal", "return by channel"),
                        ("custo por cliente e campanha", "cost per customer and campaign"), ("em quantos meses se paga", "payback in months"),
                        ("cohorts por mês", "cohorts by month"), ("previsão do mês", "forecast of the month"),
                        ("os livros, abertos", "the books in the open"),
                    ] { li { (lang.t(pt, en)) } }
                }
                p.note { (lang.t("Enquanto isso, a calculadora da visão geral faz a conta com os seus números.",
                    "Meanwhile the calculator on the overview does the sum with your numbers.")) }
                p { a.btn href=(format!("{}#calc", frame.link("/", ""))) { (lang.t("Abrir a calculadora", "Open the calculator")) } }
            }))
        }
    })
}
