//! Why something failed, in words that an advertiser understands. Codes are those of Meta's Conversions API;
//! what is not known here is said by class, with Meta's own words beside it.

use rastro_store::dashboard::DeadGroup;

use crate::dashboard::layout::Tone;
use crate::dashboard::words::Lang;

/// Whether sending again helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// Something has to be put right first, or it is refused again.
    FixFirst,
    Resend,
    /// Meta may have counted it, and no longer drops a copy.
    MayCountTwice,
    /// Meta would refuse it for its age.
    TooLate,
}

impl Cure {
    pub fn words(self, lang: Lang) -> (&'static str, Tone) {
        match self {
            Cure::FixFirst => (lang.t("corrigir antes", "fix first"), Tone::Watch),
            Cure::MayCountTwice => (lang.t("pode contar duas vezes", "may count twice"), Tone::Watch),
            Cure::Resend => (lang.t("pode reenviar", "may be resent"), Tone::Good),
            Cure::TooLate => (lang.t("sem volta", "no way back"), Tone::Neutral),
        }
    }
}

/// What a code of Meta's means, in half a sentence.
pub fn of_code(lang: Lang, code: Option<i32>, subcode: Option<i32>) -> Option<&'static str> {
    let (pt, en) = match (code?, subcode) {
        (100, Some(2_804_019)) => (
            "A Meta recusou um campo dos dados da venda",
            "Meta refused a field of the sale's data",
        ),
        (100, Some(2_804_003)) => (
            "O evento chegou velho demais (mais de sete dias)",
            "The event came too late (over seven days)",
        ),
        (100, Some(2_804_004)) => (
            "A data do evento está no futuro",
            "The event's time is in the future",
        ),
        (100, Some(2_804_007)) => (
            "Moeda que a Meta não conhece",
            "A currency that Meta does not know",
        ),
        (100, Some(2_804_008 | 2_804_009)) => {
            ("Valor da venda inválido", "The value of the sale is not valid")
        }
        (100, Some(2_804_050)) => (
            "Faltam dados para achar a pessoa",
            "Too little to find the person by",
        ),
        (100, Some(33)) => (
            "O token não vê este conjunto de dados",
            "The token cannot see this dataset",
        ),
        (100, _) => (
            "A Meta recusou um campo do evento",
            "Meta refused a field of the event",
        ),
        (190, _) => (
            "Token de acesso vencido ou revogado",
            "Access token expired or revoked",
        ),
        (102, _) => ("A sessão do token terminou", "The token's session has ended"),
        (10 | 200..=299, _) => ("O token não tem permissão", "The token lacks a permission"),
        (1 | 2, _) => ("Meta indisponível", "Meta unavailable"),
        (4 | 17 | 32 | 341 | 613 | 80_000..=80_014, _) => ("Limite de chamadas da Meta", "Meta's rate limit"),
        (368, _) => (
            "A Meta bloqueou por suas políticas",
            "Meta blocked it by its policies",
        ),
        (506, _) => ("A Meta diz que é repetido", "Meta says that it is a duplicate"),
        _ => return None,
    };
    Some(lang.t(pt, en))
}

/// What an attempt came to, when it failed.
pub fn of_attempt(
    lang: Lang,
    outcome: &str,
    status: Option<i16>,
    code: Option<i32>,
    subcode: Option<i32>,
) -> String {
    if let Some(words) = of_code(lang, code, subcode) {
        return words.to_owned();
    }
    match (outcome, status) {
        ("unavailable", None) => lang.t("A Meta não respondeu", "Meta did not answer").to_owned(),
        ("unavailable", Some(_)) => lang.t("Meta indisponível", "Meta unavailable").to_owned(),
        ("throttled", _) => lang
            .t("Limite de chamadas da Meta", "Meta's rate limit")
            .to_owned(),
        ("blocked", _) => lang
            .t("A Meta recusou o acesso", "Meta refused access")
            .to_owned(),
        ("refused", _) => lang
            .t("A Meta recusou o evento", "Meta refused the event")
            .to_owned(),
        _ => super::super::words::cut(outcome, 40),
    }
}

/// The code as it is looked up in Meta's documents.
pub fn code(code: Option<i32>, subcode: Option<i32>) -> Option<String> {
    match (code, subcode) {
        (Some(code), Some(subcode)) => Some(format!("{code}/{subcode}")),
        (Some(code), None) => Some(code.to_string()),
        (None, _) => None,
    }
}

/// Why a group of dead letters stopped, what that means, and whether sending again helps.
pub fn of_group(lang: Lang, group: &DeadGroup) -> (String, String, Cure) {
    let words = of_code(lang, group.error_code, group.error_subcode);
    let (title, meaning, cure) = match group.reason.as_str() {
        "refused" => (
            words.unwrap_or(lang.t("A Meta recusou o evento", "Meta refused the event")),
            lang.t(
                "Sem corrigir a causa, o reenvio é recusado de novo.",
                "Unless the cause is put right, it is refused again.",
            ),
            Cure::FixFirst,
        ),
        "exhausted" if group.late > 0 => (
            words.unwrap_or(lang.t("A Meta não respondeu vez após vez", "Meta did not answer, time after time")),
            lang.t(
                "A Meta pode ter contado alguns destes, e só descarta a cópia por 48 h. Veja a previsão antes de reenviar.",
                "Meta may have counted some of these, and drops a copy for 48 h only. See the preview before you resend.",
            ),
            Cure::MayCountTwice,
        ),
        "exhausted" if group.unanswered > 0 => (
            words.unwrap_or(lang.t("A Meta não respondeu vez após vez", "Meta did not answer, time after time")),
            lang.t(
                "A Meta pode ter contado alguns destes. Ela descarta a cópia por 48 h: reenvie logo, com o mesmo event_id.",
                "Meta may have counted some of these. It drops a copy for 48 h: resend soon, with the same event_id.",
            ),
            Cure::Resend,
        ),
        "exhausted" => (
            words.unwrap_or(lang.t("A Meta falhou vez após vez", "Meta failed time after time")),
            lang.t(
                "Todas as tentativas acabaram. Com a Meta de volta, o reenvio chega.",
                "All attempts were used up. Once Meta is back, a resend arrives.",
            ),
            Cure::Resend,
        ),
        "expired" => (
            lang.t("Velho demais para a Meta", "Too old for Meta"),
            lang.t(
                "A Meta só aceita até sete dias depois do fato. Ficam aqui para consulta.",
                "Meta takes events up to seven days after the fact. They stay here to be looked at.",
            ),
            Cure::TooLate,
        ),
        "missing" => (
            lang.t("O conteúdo do evento não existe mais", "The event's content is gone"),
            lang.t("Foi apagado a pedido da pessoa, ou guardado por tempo demais.", "It was erased at a person's request, or kept for too long."),
            Cure::TooLate,
        ),
        "dataset_deleted" => (
            lang.t("O conjunto de dados foi apagado", "The dataset was deleted"),
            lang.t("Não há mais para onde enviar.", "There is nowhere left to send it."),
            Cure::TooLate,
        ),
        "set_aside" => (
            lang.t("Separado à mão depois de uma restauração", "Set aside by hand after a restore"),
            lang.t(
                "A Meta provavelmente já tem estes eventos. Depois de 48 h ela contaria a cópia: reenvie só o que você sabe que falta.",
                "Meta most likely has these events. After 48 h it would count a copy: resend only what you know to be missing.",
            ),
            Cure::FixFirst,
        ),
        other => (other, "", Cure::FixFirst),
    };
    let cure = if group.retryable == 0 { Cure::TooLate } else { cure };
    (super::super::words::cut(title, 90), meaning.to_owned(), cure)
}
