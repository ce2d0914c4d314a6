//! What each rule is called, and what to do when it fires.

use rastro_core::alert::Rule;

use crate::words::Language;

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
            "Gere um token novo no Gerenciador de Eventos e troque-o em Conjuntos, o conjunto, Trocar o token. Os eventos seguem sozinhos.",
            "Make a new token in Events Manager and enter it under Datasets, the dataset, Replace the token. Events go on by themselves.",
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
