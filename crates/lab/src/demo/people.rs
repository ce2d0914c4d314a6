//! The people of the demo: invented, but written the way Brazilians fill in forms.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

const PEOPLE: usize = 60;

/// Shorter values also turn up by chance in hashes, ids and ordinary words.
const SHORTEST_TELLING_VALUE: usize = 5;

const WOMEN: &str = "Ana Beatriz, Conceição, Fernanda, Gabriela, Inês, Juliana, Larissa, Letícia, Luíza, Maria \
     Eduarda, Patrícia, Rosângela, Simone, Thaís";
const MEN: &str = "André, Antônio, Caio, Cauã, Fábio, Felipe, Gonçalo, João Pedro, José, Luís Otávio, Marcelo, \
     Rodrigo, Sebastião, Vinícius";
const LAST_NAMES: &str = "Almeida, Araújo, Assunção, Brandão, Carvalho, D'Ávila, da Conceição, da Silva, das Neves, de \
     Souza, do Nascimento, dos Santos, Fagundes, Gonçalves, Guimarães, Magalhães, Meireles e Sá, \
     Nóbrega, Oliveira, Sant'Anna";
/// City, state, its code, area code (DDD) and the first five digits of a postal code (CEP) there.
const PLACES: [(&str, &str, &str, &str, &str); 14] = [
    ("São Paulo", "São Paulo", "SP", "11", "01310"),
    ("Campinas", "São Paulo", "SP", "19", "13010"),
    ("São José dos Campos", "São Paulo", "SP", "12", "12210"),
    ("Rio de Janeiro", "Rio de Janeiro", "RJ", "21", "20040"),
    ("Niterói", "Rio de Janeiro", "RJ", "21", "24020"),
    ("Belo Horizonte", "Minas Gerais", "MG", "31", "30130"),
    ("Uberlândia", "Minas Gerais", "MG", "34", "38400"),
    ("Curitiba", "Paraná", "PR", "41", "80010"),
    ("Florianópolis", "Santa Catarina", "SC", "48", "88010"),
    ("Porto Alegre", "Rio Grande do Sul", "RS", "51", "90010"),
    ("Goiânia", "Goiás", "GO", "62", "74010"),
    ("Fortaleza", "Ceará", "CE", "85", "60060"),
    ("João Pessoa", "Paraíba", "PB", "83", "58010"),
    ("Belém", "Pará", "PA", "91", "66010"),
];

/// One person, each value as this person writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    /// One number, as people write it and as Meta wants it; every one of them is sent sooner or later.
    pub phones: [String; 8],
    pub city: String,
    /// The state's name or its code.
    pub state: String,
    /// The postal code.
    pub cep: String,
    /// `dd/mm/yyyy`
    pub birth_date: String,
    pub gender: &'static str,
    pub external_id: String,
}

/// The people of a seed: always the same for the same seed.
pub fn people(seed: u64) -> Vec<Person> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..PEOPLE).map(|number| person(number, &mut rng)).collect()
}

/// Every personal value of a seed's stream, as it is sent and in lower case, where Meta wants it hashed: what
/// must be found in no table and no log.
///
/// Left out are values under five characters (`José`, `SP`), which also turn up by chance, gender and
/// country, which are ordinary words, and what Meta takes in the clear: addresses, browsers and cookies.
pub fn personal_values(seed: u64) -> BTreeSet<String> {
    let mut values = BTreeSet::new();
    for person in people(seed) {
        let own = [
            &person.first_name,
            &person.last_name,
            &person.email,
            &person.city,
            &person.state,
            &person.cep,
            &person.birth_date,
            &person.external_id,
        ];
        for value in own.into_iter().chain(&person.phones) {
            let value = value.trim();
            if value.chars().count() >= SHORTEST_TELLING_VALUE {
                values.insert(value.to_owned());
                values.insert(value.to_lowercase());
            }
        }
    }
    values
}

fn person(number: usize, rng: &mut StdRng) -> Person {
    let woman = rng.random_bool(0.5);
    let first_name = one_of_list(if woman { WOMEN } else { MEN }, rng);
    let last_name = one_of_list(LAST_NAMES, rng);
    let (city, state, state_code, ddd, cep) = one_of(&PLACES, rng);
    let gender = if woman {
        ["f", "Feminino", "feminino"]
    } else {
        ["m", "Masculino", "masculino"]
    };
    let birth_year = rng.random_range(1955..=2004);
    Person {
        first_name: cased(first_name, rng),
        last_name: cased(last_name, rng),
        email: email(first_name, last_name, number, rng),
        phones: phones(ddd, rng),
        city: cased(city, rng),
        state: one_of(&[state, state_code], rng).to_owned(),
        cep: format!("{cep}-{:03}", rng.random_range(10..990)),
        birth_date: format!(
            "{:02}/{:02}/{birth_year}",
            rng.random_range(1..=28),
            rng.random_range(1..=12)
        ),
        gender: one_of(&gender, rng),
        external_id: format!("cliente-{}", 10_000 + number * 97 + rng.random_range(0..97)),
    }
}

/// Any of them.
pub(crate) fn one_of<T: Copy>(choices: &[T], rng: &mut StdRng) -> T {
    *choices
        .choose(rng)
        .expect("there is always something to choose from")
}

/// Any of a list with commas.
fn one_of_list<'l>(list: &'l str, rng: &mut StdRng) -> &'l str {
    one_of(&list.split(", ").collect::<Vec<_>>(), rng)
}

/// As it should be written, or as a phone's keyboard leaves it.
fn cased(text: &str, rng: &mut StdRng) -> String {
    match rng.random_range(0..6) {
        0 => text.to_uppercase(),
        1 => text.to_lowercase(),
        2 => format!("{text} "),
        _ => text.to_owned(),
    }
}

fn email(first_name: &str, last_name: &str, number: usize, rng: &mut StdRng) -> String {
    // Domains that RFC 2606 keeps free: nobody reads this mail.
    let domain = one_of(&["example.com", "example.net", "example.org"], rng);
    let local = format!(
        "{}.{}{number}",
        without_accents(first_name),
        without_accents(last_name)
    );
    match rng.random_range(0..5) {
        0 => format!("{}@{}", local.to_uppercase(), domain.to_uppercase()),
        1 => format!(" {local}@{domain} "),
        _ => format!("{local}@{domain}"),
    }
}

fn without_accents(text: &str) -> String {
    text.to_lowercase()
        .chars()
        .filter_map(|letter| match letter {
            'á' | 'â' | 'ã' | 'à' => Some('a'),
            'é' | 'ê' => Some('e'),
            'í' => Some('i'),
            'ó' | 'ô' | 'õ' => Some('o'),
            'ú' => Some('u'),
            'ç' => Some('c'),
            letter => letter.is_ascii_alphanumeric().then_some(letter),
        })
        .collect()
}

/// A mobile number in the ways people write it.
fn phones(ddd: &str, rng: &mut StdRng) -> [String; 8] {
    let (front, back) = (rng.random_range(91_000..=99_899), rng.random_range(1_000..=9_999));
    [
        format!("({ddd}) {front}-{back}"),
        format!("+55 ({ddd}) {front}-{back}"),
        format!("+55{ddd}{front}{back}"),
        format!("{ddd} {front} {back}"),
        format!("0{ddd} {front}-{back}"),
        format!("{ddd}{front}{back}"),
        format!("{ddd}.{front}.{back}"),
        format!("55{ddd}{front}{back}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_people_and_another_seed_gives_others() {
        assert_eq!(people(7), people(7));
        assert_ne!(people(7), people(8));
        assert_eq!(people(7).len(), 60);
    }

    #[test]
    fn no_two_people_share_an_email_or_an_external_id() {
        let people = people(1);
        for value in [
            |person: &Person| person.email.to_lowercase(),
            |person: &Person| person.external_id.clone(),
        ] {
            assert_eq!(
                people.iter().map(value).collect::<BTreeSet<_>>().len(),
                people.len()
            );
        }
    }

    #[test]
    fn the_personal_values_name_every_telling_value_and_nothing_that_turns_up_by_chance() {
        let values = personal_values(1);
        for person in people(1) {
            for value in [
                &person.email,
                &person.cep,
                &person.birth_date,
                &person.external_id,
            ] {
                assert!(values.contains(value.trim()), "{value}");
            }
            assert!(person.phones.iter().all(|phone| values.contains(phone)));
            // What a phone becomes before it is hashed.
            assert!(
                values
                    .iter()
                    .any(|value| value.len() == 13 && value.starts_with("55"))
            );
        }
        assert!(
            values
                .iter()
                .all(|value| value.chars().count() >= 5 && value.trim() == value)
        );
    }
}
