//! What all identifiers of text share: trimming, lower case, one Unicode form, and the same text without
//! accents. All on the stack; only text beyond Latin-1 (which has all letters of Portuguese and Spanish)
//! costs an allocation, for its lower case, and the look-ups of Unicode's composition.

use std::borrow::Cow;
use std::iter;

use arrayvec::{ArrayString, ArrayVec};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::DroppedValue;

/// The longest normalised identifier, in bytes. The longest e-mail address has 254 (RFC 5321, 4.5.3.1.3).
pub(super) const LONGEST: usize = 256;
/// How many forms of one value are sent at most.
pub(super) const MOST_FORMS: usize = 4;

/// A normalised identifier, ready to be hashed.
pub(super) type Text = ArrayString<LONGEST>;

/// The distinct forms in which one value may stand in Meta's data, best first. There is always one.
///
/// They stand one behind the other, as only what is written of a [`Text`] is then copied.
#[derive(Debug)]
pub(super) struct Forms {
    written: ArrayString<{ MOST_FORMS * LONGEST }>,
    ends: ArrayVec<usize, MOST_FORMS>,
}

impl Forms {
    pub(super) fn of(best: &Text) -> Self {
        let mut forms = Self {
            written: ArrayString::new(),
            ends: ArrayVec::new(),
        };
        forms.also(best);
        forms
    }

    /// Adds another form, unless it is there already.
    pub(super) fn also(&mut self, form: &Text) {
        if self.iter().all(|present| present != form.as_str()) {
            self.written.push_str(form);
            self.ends.push(self.written.len());
        }
    }

    pub(super) fn best(&self) -> &str {
        &self.written[..self.ends[0]]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = iter::once(&0).chain(&self.ends);
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.written[*start..*end])
    }
}

/// Without what cannot be seen around it: white space, and all that [`is_invisible`] names.
pub(super) fn trim(raw: &str) -> &str {
    raw.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// Whether the character shows nothing and says nothing of a name: marks of direction and of order of bytes,
/// joiners, soft hyphens, selectors of a glyph's variant, control characters. Autofill and chats put them
/// into names; blanks are not among them.
pub(crate) fn is_invisible(c: char) -> bool {
    match c {
        c if c.is_ascii() => c.is_ascii_control() && !c.is_ascii_whitespace(),
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' => true,
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => true,
        c => {
            matches!(
                c.general_category(),
                GeneralCategory::Format | GeneralCategory::Control | GeneralCategory::PrivateUse
            ) && !c.is_whitespace()
        }
    }
}

/// The text without what cannot be seen in it.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if text.contains(is_invisible) {
        Cow::Owned(text.replace(is_invisible, ""))
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether the character is a picture and no letter: emoji, their skin tones, arrows, hearts, currency. What
/// ASCII has of them counts as punctuation.
pub(super) fn is_symbol(c: char) -> bool {
    !c.is_ascii()
        && matches!(
            c.general_category(),
            GeneralCategory::OtherSymbol
                | GeneralCategory::ModifierSymbol
                | GeneralCategory::MathSymbol
                | GeneralCategory::CurrencySymbol
                | GeneralCategory::EnclosingMark
        )
}

/// A number without the decimals that a spreadsheet puts behind a whole one: `5511912345678.0`.
pub(super) fn without_decimals(trimmed: &str) -> &str {
    let whole = trimmed.rsplit_once(['.', ',']).filter(|(digits, decimals)| {
        matches!(*decimals, "0" | "00")
            && !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    whole.map_or(trimmed, |(digits, _)| digits)
}

/// A short text of our own, such as a code.
pub(super) fn of(code: &str) -> Text {
    Text::from(code).expect("our own codes are shorter than any limit")
}

/// In lower case and in Unicode's compatible, composed form (NFKC), so that `É` and `E` + U+0301 are the same
/// letter, and so are `𝓐`, `Ａ` and `A`.
pub(super) fn lower(raw: &str) -> Result<Text, DroppedValue> {
    let mut text = Text::new();
    if raw.is_ascii() {
        text.try_push_str(raw).map_err(|_| DroppedValue::TooLong)?;
        text.make_ascii_lowercase();
    } else if raw.len() > LONGEST {
        return Err(DroppedValue::TooLong);
    } else if raw.chars().all(is_latin_1) {
        // All composed already, each with a lower case as long as itself.
        for c in raw.chars() {
            text.push(match c {
                'À'..='Ö' | 'Ø'..='Þ' => char::from(c as u8 + 0x20),
                other => other.to_ascii_lowercase(),
            });
        }
    } else {
        // The whole string at once: a Greek sigma is written differently at the end of a word.
        for c in raw.nfkc().collect::<String>().to_lowercase().nfkc() {
            text.try_push(c).map_err(|_| DroppedValue::TooLong)?;
        }
    }
    Ok(text)
}

/// The characters that `dropped` does not name.
pub(super) fn without(text: &Text, dropped: impl Fn(char) -> bool) -> Text {
    let mut kept = Text::new();
    for run in text.split(dropped) {
        kept.push_str(run);
    }
    kept
}

fn is_latin_1(c: char) -> bool {
    c <= '\u{ff}'
}

/// The same lower-case text in `a-z` and ASCII, if it is Latin: `são` is `sao`. `None` for other scripts,
/// whose marks are not ornaments, and for a text of nothing but accents.
pub(super) fn without_accents(text: &str) -> Option<Text> {
    if text.is_ascii() {
        return Text::from(text).ok().filter(|text| !text.is_empty());
    }
    if text.chars().all(is_latin_1) {
        return plain(text.chars());
    }
    plain(text.nfd().filter(|c| !is_combining_mark(*c)))
}

/// The letters of `a-z` for those that are decomposed, have no decomposition, or are of Latin-1.
fn plain(latin: impl Iterator<Item = char>) -> Option<Text> {
    let mut plain = Text::new();
    for c in latin {
        let letters = match c {
            c if c.is_ascii() => {
                plain.try_push(c).ok()?;
                continue;
            }
            'à'..='å' => "a",
            'ç' => "c",
            'è'..='ë' => "e",
            'ì'..='ï' => "i",
            'ñ' => "n",
            'ò'..='ö' => "o",
            'ù'..='ü' => "u",
            'ý' | 'ÿ' => "y",
            'ß' => "ss",
            'æ' => "ae",
            'œ' => "oe",
            'ø' => "o",
            'đ' | 'ð' => "d",
            'þ' => "th",
            'ł' => "l",
            'ı' => "i",
            'ħ' => "h",
            'ŧ' => "t",
            'ŋ' => "n",
            _ => return None,
        };
        plain.try_push_str(letters).ok()?;
    }
    (!plain.is_empty()).then_some(plain)
}

/// Whether there is anything in it that a name or a code could consist of.
pub(super) fn has_content(text: &Text) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// The digit in ASCII, from whatever script that is used for phone numbers and dates: `٣` is `3`.
pub(super) fn digit(c: char) -> Option<char> {
    /// The zeros of Unicode's decimal digits, each followed by its nine others; up to full-width forms.
    const ZEROS: [char; 21] = [
        '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}', '\u{be6}',
        '\u{c66}', '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}', '\u{1040}', '\u{17e0}',
        '\u{1810}', '\u{a9d0}', '\u{ff10}',
    ];
    if c.is_ascii() {
        return c.is_ascii_digit().then_some(c);
    }
    let zero = ZEROS.iter().rfind(|zero| **zero <= c)?;
    char::from_digit(u32::from(c) - u32::from(*zero), 10)
}

/// The hyphen of any keyboard and word processor.
pub(super) fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(raw: &str) -> Option<String> {
        without_accents(&lower(raw).unwrap()).map(|text| text.to_string())
    }

    #[test]
    fn latin_letters_lose_their_accents_and_other_scripts_have_no_plain_form() {
        for (raw, expected) in [
            ("São João", "sao joao"),
            ("Łódź", "lodz"),
            ("Straße", "strasse"),
            ("Ærøskøbing", "aeroskobing"),
            ("Œuvre", "oeuvre"),
            ("Đorđe", "dorde"),
            ("Þórður", "thordur"),
            ("İstanbul, Diyarbakır", "istanbul, diyarbakir"),
            ("Ħamrun", "hamrun"),
            ("Ŧŋ", "tn"),
        ] {
            assert_eq!(plain(raw).as_deref(), Some(expected), "{raw}");
        }
        for raw in ["정", "李明", "Мария", "Ελένη", "हिन्दी", "O’Connor", "\u{301}"]
        {
            assert_eq!(plain(raw), None, "{raw}");
        }
    }

    #[test]
    fn a_letter_that_becomes_two_may_not_push_a_text_over_the_limit() {
        let text = lower(&"ß".repeat(LONGEST / 2)).unwrap();
        assert_eq!(without_accents(&text).map(|plain| plain.len()), Some(LONGEST));
        let text = lower(&"\u{fb2c}".repeat(LONGEST / 3)); // one letter that NFC writes as three, six bytes
        assert_eq!(text, Err(DroppedValue::TooLong));
    }

    #[test]
    fn lower_case_is_that_of_the_whole_word() {
        assert_eq!(lower("ΓΙΩΡΓΟΣ").unwrap().as_str(), "γιωργος");
        assert_eq!(lower("JOSE\u{301}").unwrap().as_str(), "jos\u{e9}");
    }

    #[test]
    fn digits_of_every_script_are_digits_and_nothing_else_is() {
        for (c, expected) in [
            ('0', '0'),
            ('9', '9'),
            ('٣', '3'),
            ('۹', '9'),
            ('५', '5'),
            ('２', '2'),
            ('๐', '0'),
        ] {
            assert_eq!(digit(c), Some(expected), "{c}");
        }
        for c in ['a', '/', ':', 'é', '²', '½', '٪', '一', '：'] {
            assert_eq!(digit(c), None, "{c}");
        }
    }

    #[test]
    fn invisible_characters_around_a_value_are_trimmed_like_blanks() {
        assert_eq!(trim("\u{feff}\u{a0} ana \u{200b}\t\r\n"), "ana");
        assert_eq!(trim("\u{202a}\0 ana \u{2069}\u{fe0f}"), "ana");
    }

    #[test]
    fn what_cannot_be_seen_is_taken_away_and_letters_and_blanks_are_not() {
        for (text, expected) in [
            ("\u{200f}Ana", "Ana"),
            ("\u{2068}da Conceição\u{2069}", "da Conceição"),
            ("São\u{ad}Paulo", "SãoPaulo"),
            ("A\u{200d}n\u{180e}a\u{e0041}", "Ana"),
            ("tab\tline\nblank \u{a0}", "tab\tline\nblank \u{a0}"),
            ("हिन्दी e\u{301} 李明", "हिन्दी e\u{301} 李明"),
        ] {
            assert_eq!(visible(text), expected, "{text:?}");
        }
    }

    #[test]
    fn fancy_letters_are_the_letters_that_they_stand_for() {
        for (raw, expected) in [
            ("𝓢𝓸𝓾𝔃𝓪", "souza"),
            ("ＡＮＡ", "ana"),
            ("Ⓐⓝⓐ", "ana"),
            ("𝐉𝐨𝐚̃𝐨", "joão"),
            ("ﬁlipa", "filipa"),
            ("ﾔﾏﾀﾞ", "ヤマダ"),
        ] {
            assert_eq!(lower(raw).unwrap().as_str(), expected, "{raw}");
        }
    }
}
