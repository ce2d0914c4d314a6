//! What fields of personal data are called, in English and Portuguese, in any order of words and in the
//! plural: `customer_phone`, `telefones_do_cliente`, `nomeCliente`, `emailcliente`.
//!
//! A name is taken apart into words. Some words name personal data wherever they stand (`cpf`, `email`),
//! unless another says that the field is about something else (`email_template`). Others do so only beside a
//! person (`nome_cliente`, but not `nome_produto`).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What a word of a field's name says of what the field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// Personal data by itself.
    Data,
    /// Personal data where it stands alone or beside a person or a number: `tel`, `fone`.
    ShortForm,
    /// Someone's only beside a person: a name, an address, a document.
    Name,
    Address,
    Document,
    /// Somebody.
    Person,
    /// Which of somebody's names: `first`, `primeiro`.
    Which,
    Number,
    Card,
    Id,
    Tax,
    Device,
    /// Says nothing: `de`, `of`.
    Link,
    /// Says that the field is about something else.
    Other,
}

/// Which kinds of words a name has: a bit for each.
#[derive(Clone, Copy, Default)]
struct Words(u16);

impl Words {
    fn insert(&mut self, word: Word) {
        self.0 |= 1 << word as u16;
    }

    fn contains(self, word: Word) -> bool {
        self.0 & 1 << word as u16 != 0
    }
}

/// The words, in lower case, without accents and in the singular.
#[rustfmt::skip]
const WORDS: [(Word, &str); 14] = [
    (Word::Data, "email mail correo phone telephone telefone telefono celular whatsapp cpf cnpj rg cnh dni \
        ssn passport passaporte surname sobrenome apellido birth birthday nascimento nasc \
        aniversario dob password senha cvv iban"),
    (Word::ShortForm, "tel cel fone mobile movel movil wpp zap"),
    (Word::Name, "name nome nombre nm"),
    (Word::Address, "address endereco direccion logradouro street rua cep zip zipcode postcode"),
    (Word::Document, "doc document documento identity identidade"),
    (Word::Person, "customer client cliente buyer comprador compradora user usuario usuaria lead person \
        pessoa patient paciente student aluno aluna contact contato mother mae father pai parent \
        holder titular owner responsavel billing shipping delivery entrega cobranca recipient \
        destinatario destinataria guest hospede passenger passageiro passageira member membro \
        subscriber assinante payer pagador pagadora consumer consumidor consumidora visitor \
        visitante candidate candidato candidata donor doador doadora employee funcionario \
        funcionaria"),
    (Word::Which, "first last full middle given family maiden legal primeiro ultimo completo completa \
        segundo social primary principal home work personal pessoal residencial comercial"),
    (Word::Number, "number numero num nr"),
    (Word::Card, "card cartao"),
    (Word::Id, "id"),
    (Word::Tax, "tax fiscal"),
    (Word::Device, "ip mac"),
    (Word::Link, "de do da dos das of the e and"),
    (Word::Other, "opt in out optin optout consent consentimento aceita aceite accept accepted marketing \
        newsletter list lista status type tipo model modelo brand marca plan plano color cor \
        case capa cover accessory acessorio campaign campanha template layout provider provedor \
        domain dominio verified verificado valid valido enabled sent enviado opened aberto \
        clicked count total quantity quantidade category categoria source origem channel canal \
        group grupo button botao click clique form formulario field campo step etapa length \
        version versao operator operadora carrier os discount desconto gift presente party festa \
        kit bluetooth ouvido produto product has is"),
];

/// The words that name numbers of another kind: ids, amounts, times. Digits in such a field are its own.
#[rustfmt::skip]
static OF_NUMBERS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    "id order pedido sku gtin ean upc isbn mpn barcode code codigo cod item version timestamp time ts \
        date data hora created updated hash key chave token ref reference referencia protocol protocolo \
        nsu txid transaction transacao invoice nota nfe price preco value valor amount total revenue ltv \
        quantity product produto variant utm gclid fbclid wbraid gbraid msclkid ttclid click campaign \
        campanha ad adset session sessao page ga"
        .split_ascii_whitespace()
        .collect()
});

/// A longer name is looked at up to here, in bytes: names come from strangers.
const LONGEST: usize = 128;
/// How many words of a name are looked at.
const MOST_WORDS: usize = 12;

/// Names that nearly every event has: they are taken apart once.
const OFTEN: &str = "value currency content_name content_ids content_type content_category contents num_items order_id \
    status id quantity item_price title utm_source utm_medium utm_campaign utm_content utm_term utm_id fbclid gclid";

/// What is known of a field by its name.
#[derive(Clone, Copy)]
pub(super) struct FieldName {
    words: Words,
    has_unknown: bool,
    /// Whether the field holds an id, an amount or a time.
    pub(super) is_of_numbers: bool,
    /// Meta's own name of a hashed key, which cannot mean anything else.
    is_key: bool,
}

impl FieldName {
    pub(super) fn of(name: &str) -> Self {
        static KNOWN: LazyLock<HashMap<&str, FieldName>> = LazyLock::new(|| {
            OFTEN
                .split_ascii_whitespace()
                .map(|name| (name, FieldName::read(name)))
                .collect()
        });
        KNOWN.get(name).copied().unwrap_or_else(|| FieldName::read(name))
    }

    fn read(name: &str) -> Self {
        let mut field = FieldName {
            words: Words::default(),
            has_unknown: false,
            is_of_numbers: false,
            is_key: ["em", "ph", "fn", "ln"]
                .iter()
                .any(|key| key.eq_ignore_ascii_case(name)),
        };
        for word in split(name).iter().take(MOST_WORDS) {
            field.is_of_numbers |= is_among(&OF_NUMBERS, word);
            if !field.add(word) {
                field.has_unknown |= word != "e"; // of "e-mail"
            }
        }
        field
    }

    /// Whether it holds personal data. Inside an object that is a person, a name and an address are theirs.
    pub(super) fn is_personal(&self, in_person: bool) -> bool {
        if self.has(Word::Other) {
            return self.is_key;
        }
        if self.is_key || self.has(Word::Data) || self.has(Word::Device) && self.has(Word::Address) {
            return true;
        }
        // All else could be about anything, if there is a word that we do not know.
        let of_person = in_person || self.has(Word::Person) || self.has(Word::Which) && self.has(Word::Name);
        !self.has_unknown
            && (self.has(Word::ShortForm)
                || of_person
                    && [Word::Name, Word::Address, Word::Document]
                        .iter()
                        .any(|word| self.has(*word))
                || self.has(Word::Card) && self.has(Word::Number)
                || self.has(Word::Tax) && self.has(Word::Id))
    }

    /// Whether an object of this name is a person: `customer`, `dados_do_cliente`.
    pub(super) fn is_a_person(&self) -> bool {
        self.has(Word::Person) && !self.has(Word::Other)
    }

    fn has(&self, word: Word) -> bool {
        self.words.contains(word)
    }

    /// Adds a word, or those that stand in it without a boundary: `emailcliente`.
    fn add(&mut self, word: &str) -> bool {
        /// Shorter words are not looked for inside others: there is an `rg` in `rgb`.
        const SHORTEST: usize = 3;
        if let Some(kind) = kind_of(word) {
            self.words.insert(kind);
            return true;
        }
        for (end, _) in word.char_indices().filter(|(end, _)| *end >= SHORTEST) {
            let (first, rest) = word.split_at(end);
            if rest.len() >= SHORTEST
                && let Some(kind) = kind_of(first).filter(|kind| *kind != Word::Other)
                && self.add(rest)
            {
                self.words.insert(kind);
                return true;
            }
        }
        false
    }
}

/// What a word is, in the singular or the plural of either language.
fn kind_of(word: &str) -> Option<Word> {
    static KINDS: LazyLock<HashMap<&str, Word>> = LazyLock::new(|| {
        let of = |(kind, words): &(Word, &'static str)| {
            let kind = *kind;
            words.split_ascii_whitespace().map(move |word| (word, kind))
        };
        WORDS.iter().flat_map(of).collect()
    });
    let of = |word: &str| KINDS.get(word).copied();
    of(word)
        .or_else(|| of(word.strip_suffix('s')?))
        .or_else(|| of(word.strip_suffix("es")?))
}

fn is_among(words: &HashSet<&str>, word: &str) -> bool {
    words.contains(word) || word.strip_suffix('s').is_some_and(|word| words.contains(word))
}

/// The words of a name in lower case and without accents: what stands between separators, digits and changes
/// of case.
fn split(name: &str) -> Vec<String> {
    let mut end = name.len().min(LONGEST);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let name = &name[..end];
    let name = if name.is_ascii() {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.nfkd().filter(|c| !is_combining_mark(*c)).collect())
    };
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before = ' ';
    let mut letters = name.chars().peekable();
    while let Some(c) = letters.next() {
        // `nomeCliente`, and `CPFCliente`, where the last capital begins a word.
        let begins = c.is_uppercase()
            && (before.is_lowercase()
                || before.is_uppercase() && letters.peek().is_some_and(|c| c.is_lowercase()));
        if (begins || !c.is_alphabetic()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphabetic() {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_personal_data_are_known_in_every_spelling_and_only_as_words() {
        for name in [
            "email",
            "E-Mail",
            "e_mail",
            "EMAIL",
            "customer_email",
            "userEmail",
            "email2",
            "em",
            "PH",
            "phone_number",
            "PhoneNumber",
            "buyer.phone",
            "telefone",
            "user[telefone]",
            "cpf",
            "CPF_",
            "nome_completo",
            "firstName",
            "dataNascimento",
            "data_de_nascimento",
            "dob",
        ] {
            assert!(FieldName::of(name).is_personal(false), "{name}");
        }
        for name in [
            "",
            "smartphone",
            "headphone",
            "email_opt_in",
            "phone_model",
            "item",
            "graph",
            "items",
            "name",
            "city",
            "country",
            "cpfl",
            "mailing",
            "_",
            "1",
            "é",
        ] {
            assert!(!FieldName::of(name).is_personal(false), "{name}");
        }
    }

    #[test]
    fn a_name_is_taken_apart_where_people_put_words_together() {
        for (name, words) in [
            ("nomeCliente", vec!["nome", "cliente"]),
            ("CPFCliente2", vec!["cpf", "cliente"]),
            ("user[telefone]", vec!["user", "telefone"]),
            ("endereço-de.cobrança", vec!["endereco", "de", "cobranca"]),
            ("", vec![]),
            ("_1_", vec![]),
        ] {
            assert_eq!(split(name), words, "{name}");
        }
        let long = "é".repeat(1_000);
        assert_eq!(split(&long), ["e".repeat(64)]);
        assert!(!FieldName::of(&long).is_personal(true));
    }
}
