//! E-mail addresses, names and genders.

use super::DroppedValue;
use super::text::{self, Forms, Text};

/// Lower case, if it has the shape that Meta's parameter builder demands (roughly RFC 2822 with an ASCII
/// domain of at least two labels). Nothing is repaired: an address that was mended may be somebody else's.
pub(super) fn email(value: &str) -> Result<Text, DroppedValue> {
    let text = text::lower(value)?;
    let (local, domain) = text.split_once('@').ok_or(DroppedValue::NotAnEmail)?;
    let is_dot = |byte: &u8| *byte == b'.';
    let is_local = local
        .as_bytes()
        .split(is_dot)
        .all(|atom| !atom.is_empty() && atom.iter().all(is_atom_byte));
    let domain = domain.as_bytes();
    let is_domain = domain.iter().any(is_dot) && domain.split(is_dot).all(is_label);
    if is_local && is_domain {
        Ok(text)
    } else {
        Err(DroppedValue::NotAnEmail)
    }
}

fn is_atom_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_!#$%&'*+/=?^`{|}~-".contains(byte)
}

fn is_label(label: &[u8]) -> bool {
    !label.is_empty()
        && !label.starts_with(b"-")
        && !label.ends_with(b"-")
        && label
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// A first or last name: `D'Ávila` is `dávila`, as in the parameter builder, which drops blanks and
/// punctuation. The other forms are the one of Meta's Business SDKs, which only lower-case (`d'ávila`); the
/// first without accents; and the parameter builder's own where it keeps a typographic apostrophe. Emoji,
/// which chats have in names, are in none.
pub(super) fn name(value: &str) -> Result<Forms, DroppedValue> {
    let lower = without_symbols(value)?;
    let best = text::without(&lower, is_separator);
    if !text::has_content(&best) {
        return Err(DroppedValue::OnlyPunctuation);
    }
    let mut forms = Forms::of(&best);
    forms.also(&lower);
    if !best.is_ascii()
        && let Some(plain) = text::without_accents(&best)
    {
        forms.also(&plain);
    }
    if !lower.is_ascii() {
        forms.also(&text::without(&lower, |c| {
            c.is_whitespace() || c.is_ascii_punctuation()
        }));
    }
    Ok(forms)
}

/// In lower case, without symbols and the blanks that they leave.
pub(super) fn without_symbols(value: &str) -> Result<Text, DroppedValue> {
    let lower = text::lower(value)?;
    if lower.contains(text::is_symbol) {
        let mut letters = Text::new();
        for word in text::without(&lower, text::is_symbol).split_whitespace() {
            if !letters.is_empty() {
                letters.push(' ');
            }
            letters.push_str(word);
        }
        return Ok(letters);
    }
    Ok(lower)
}

/// What stands between the letters of a name and is typed in many ways: blanks, punctuation, and the
/// apostrophes and the middle dot (Catalan) that a keyboard replaces by punctuation.
pub(super) fn is_separator(c: char) -> bool {
    c.is_whitespace() || c.is_ascii_punctuation() || matches!(c, '\u{2019}' | '\u{2018}' | '\u{b7}')
}

/// The first `count` characters, for `f5first`, `f5last` and `fi`: characters, as an accent must not be cut
/// in two.
pub(super) fn beginning(value: &str, count: usize) -> Result<Text, DroppedValue> {
    let mut text = without_symbols(value)?;
    if !text::has_content(&text) {
        return Err(DroppedValue::OnlyPunctuation);
    }
    if let Some((end, _)) = text.char_indices().nth(count) {
        text.truncate(end);
    }
    Ok(text)
}

/// `m` or `f`, from the words of the parameter builder and their Portuguese and Spanish fellows.
pub(super) fn gender(value: &str) -> Result<Text, DroppedValue> {
    let lower = text::lower(value)?;
    let plain = text::without_accents(&lower).unwrap_or(lower);
    match plain.trim_end_matches('.') {
        "m" | "male" | "man" | "boy" | "gentleman" | "guy" | "sir" | "mister" | "mr" | "son" | "father"
        | "dad" | "daddy" | "papa" | "uncle" | "nephew" | "brother" | "husband" | "boyfriend" | "groom"
        | "widower" | "king" | "prince" | "duke" | "count" | "emperor" | "god" | "lord" | "lad"
        | "fellow" | "chap" | "bloke" | "dude" | "he" | "him" | "his" | "himself" => Ok(text::of("m")),
        "f" | "female" | "woman" | "girl" | "lady" | "miss" | "ms" | "mrs" | "madam" | "ma'am"
        | "daughter" | "mother" | "mom" | "mama" | "mommy" | "aunt" | "niece" | "sister" | "wife"
        | "girlfriend" | "bride" | "widow" | "queen" | "princess" | "duchess" | "countess" | "empress"
        | "goddess" | "maiden" | "lass" | "gal" | "chick" | "dame" | "belle" | "she" | "her" | "hers"
        | "herself" => Ok(text::of("f")),
        "masculino" | "masc" | "homem" | "menino" | "garoto" | "rapaz" | "moco" | "senhor" | "sr" | "ele"
        | "hombre" | "varon" | "nino" | "chico" | "senor" | "el" => Ok(text::of("m")),
        "feminino" | "femenino" | "fem" | "mulher" | "menina" | "garota" | "moca" | "senhora"
        | "senhorita" | "sra" | "srta" | "ela" | "mujer" | "nina" | "chica" | "senora" | "senorita"
        | "ella" => Ok(text::of("f")),
        _ => Err(DroppedValue::UnknownGender),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_no_mailbox_can_have_are_dropped() {
        for raw in [
            "@x.com",
            "a@",
            "a@b",
            "a@b.",
            "a@.b",
            "a@-b.com",
            "a@b-.com",
            "a..b@c.com",
            ".a@b.com",
            "a.@b.com",
            "a@b@c.com",
            "a b@c.com",
            "a@b c.com",
            "a,b@c.com",
            "<a@b.com>",
            "a@b_c.com",
            "ünï@example.com",
            "a@café.com.br",
            "a@exa\u{301}mple.com",
            "mailto:a@b.com",
        ] {
            assert_eq!(email(raw), Err(DroppedValue::NotAnEmail), "{raw}");
        }
        for raw in [
            "a@b.co",
            "o'neil+x_y@a-b.example.com",
            "1@2.3",
            "{a}|~/=?^`*%$#!&@x.y",
            "a.b.c@d.e.f",
        ] {
            assert_eq!(email(raw).unwrap().as_str(), raw);
        }
    }

    #[test]
    fn an_address_longer_than_any_mailbox_is_dropped() {
        assert_eq!(
            email(&format!("{}@example.com", "a".repeat(300))),
            Err(DroppedValue::TooLong)
        );
    }

    fn names(raw: &str) -> Vec<String> {
        name(raw).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_is_sent_in_the_forms_that_metas_libraries_give_it_and_without_accents() {
        assert_eq!(names("Ana"), ["ana"]);
        assert_eq!(names("JOÃO"), ["joão", "joao"]);
        assert_eq!(names("da Silva"), ["dasilva", "da silva"]);
        assert_eq!(
            names("de Souza e Castro"),
            ["desouzaecastro", "de souza e castro"]
        );
        assert_eq!(
            names("da Conceição"),
            ["daconceição", "da conceição", "daconceicao"]
        );
        assert_eq!(
            names("D’Ávila e Sá"),
            ["dávilaesá", "d’ávila e sá", "davilaesa", "d’ávilaesá"]
        );
        assert_eq!(names("Gal·la"), ["galla", "gal·la"]);
        assert_eq!(names("O’Connor"), ["oconnor", "o’connor"]);
        assert_eq!(names("Мария Ивановна"), ["марияивановна", "мария ивановна"]);
        assert_eq!(names("정"), ["정"]);
    }

    #[test]
    fn pictures_are_no_part_of_a_name() {
        assert_eq!(names("Ana 🌸"), ["ana"]);
        assert_eq!(names("🌸Ana👩🏽"), ["ana"]);
        assert_eq!(
            names("♥ João ♥ Souza 🇧🇷"),
            ["joãosouza", "joão souza", "joaosouza"]
        );
        assert_eq!(names("𝓢𝓸𝓾𝔃𝓪"), ["souza"]);
        assert_eq!(beginning("🌸 Ana", 1).unwrap().as_str(), "a");
    }

    #[test]
    fn a_name_without_a_letter_is_dropped() {
        for raw in ["-", "...", "’", "( )", "—", "🙂"] {
            assert_eq!(name(raw).unwrap_err(), DroppedValue::OnlyPunctuation, "{raw}");
        }
        assert_eq!(name(&"a".repeat(257)).unwrap_err(), DroppedValue::TooLong);
        assert_eq!(name(&"é".repeat(129)).unwrap_err(), DroppedValue::TooLong);
    }

    #[test]
    fn beginnings_are_counted_in_characters() {
        assert_eq!(beginning("Conceição", 5).unwrap().as_str(), "conce");
        assert_eq!(beginning("Érica", 1).unwrap().as_str(), "é");
        assert_eq!(beginning("Ana", 5).unwrap().as_str(), "ana");
    }

    #[test]
    fn genders_are_understood_in_english_portuguese_and_spanish() {
        for raw in [
            "M",
            "Masculino",
            "HOMEM",
            "menino",
            "Sr.",
            "Señor",
            "varón",
            "Mr",
            "boyfriend",
        ] {
            assert_eq!(gender(raw).unwrap().as_str(), "m", "{raw}");
        }
        for raw in [
            "F", "Feminino", "Femenino", "MULHER", "moça", "Sra.", "niña", "Mrs.", "ma'am", "herself",
        ] {
            assert_eq!(gender(raw).unwrap().as_str(), "f", "{raw}");
        }
        for raw in ["other", "outro", "x", "não informado", "h", "mf", "1", "женский"] {
            assert_eq!(gender(raw), Err(DroppedValue::UnknownGender), "{raw}");
        }
    }
}
