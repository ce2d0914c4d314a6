//! What personal data looks like under any name: e-mail addresses; CPF and CNPJ, whose check digits must be
//! right; and telephone numbers.

/// Which digits count that stand without separators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digits {
    /// None: of the ids with eleven digits one in a hundred has the check digits of a CPF.
    Written,
    Any,
}

/// Whether an e-mail address, or a document or a telephone number written as such, stands anywhere in the
/// text.
pub(crate) fn holds_personal_data(text: &str) -> bool {
    holds_email(text) || is_number_of_a_person(text, Digits::Written)
}

/// Whether an e-mail address stands anywhere in the text, its `@` perhaps percent-encoded once or twice.
pub(super) fn holds_email(text: &str) -> bool {
    let bytes = text.as_bytes();
    // Few texts have either, and without stopping at the first the compiler can look at sixteen bytes at a
    // time.
    let may_hold_sign = bytes
        .iter()
        .fold(false, |found, byte| found | matches!(byte, b'@' | b'%'));
    may_hold_sign
        && bytes.iter().enumerate().any(|(index, byte)| {
            let sign = match byte {
                b'@' => 1,
                b'%' if bytes[index..].starts_with(b"%40") => 3,
                b'%' if bytes[index..].starts_with(b"%2540") => 5,
                _ => return false,
            };
            let has_local = index
                .checked_sub(1)
                .is_some_and(|before| is_local_end(bytes[before]));
            has_local && starts_with_domain(&bytes[index + sign..])
        })
}

fn is_local_end(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || matches!(byte, b'_' | b'-' | b'+' | b'.')
}

/// At least two labels, the second of at least two letters: `example.com`, but not the version in
/// `react@18.2` and not the scale in `logo@2x.png`.
fn starts_with_domain(bytes: &[u8]) -> bool {
    let is_label_byte = |byte: &&u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || **byte == b'-';
    let first = bytes.iter().take_while(is_label_byte).count();
    let is_scale = matches!(&bytes[..first], [b'0'..=b'9', b'x']);
    first > 0
        && !is_scale
        && bytes.get(first) == Some(&b'.')
        && bytes[first + 1..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count()
            >= 2
}

/// Whether a CPF, a CNPJ or a telephone number stands anywhere in the text.
pub(super) fn is_number_of_a_person(text: &str, digits: Digits) -> bool {
    /// A telephone number with its area code, the shortest of them.
    const LEAST_DIGITS: usize = 10;
    /// `+55 (11) 9 1234 5678`: as many parts as one number is written in.
    const MOST_PARTS: usize = 5;
    if text.bytes().filter(u8::is_ascii_digit).count() < LEAST_DIGITS {
        return false;
    }
    let ends_part =
        |c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '=' | '<' | '>' | '"' | '\'' | '|');
    let parts: Vec<&str> = text
        .split(ends_part)
        .map(|part| part.trim_end_matches('.'))
        .collect();
    (0..parts.len()).any(|start| {
        let mut written = String::new();
        parts[start..].iter().take(MOST_PARTS).any(|part| {
            if !written.is_empty() {
                written.push(' ');
            }
            written.push_str(part);
            is_document(&written, digits) || is_phone(&written, digits)
        })
    })
}

/// The groups of digits in a number that consists of digits and the given separators only.
fn groups<'t>(written: &'t str, separators: &[char]) -> Option<Vec<&'t str>> {
    let is_part = |c: char| c.is_ascii_digit() || separators.contains(&c);
    written.chars().all(is_part).then(|| {
        written
            .split(|c: char| !c.is_ascii_digit())
            .filter(|group| !group.is_empty())
            .collect()
    })
}

fn is_document(written: &str, digits: Digits) -> bool {
    let Some(groups) = groups(written, &['.', '-', '/', ' ']) else {
        return false;
    };
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let is_written = match &lengths[..] {
        [11] | [14] => digits == Digits::Any,
        [3, 3, 3, 2] | [9, 2] | [2, 3, 3, 4, 2] | [8, 4, 2] => true,
        _ => false,
    };
    is_written && has_check_digits(&groups.concat())
}

/// The last two digits of a CPF (eleven) and of a CNPJ (fourteen) are sums over the others, modulo 11.
fn has_check_digits(number: &str) -> bool {
    let digits: Vec<u32> = number.bytes().map(|byte| u32::from(byte - b'0')).collect();
    let longest_weight = if digits.len() == 11 { 11 } else { 9 };
    let is_check = |index: usize| {
        let weights = (2..=longest_weight).cycle();
        let sum: u32 = digits[..index]
            .iter()
            .rev()
            .zip(weights)
            .map(|(digit, weight)| digit * weight)
            .sum();
        let rest = sum % 11;
        digits[index] == if rest < 2 { 0 } else { 11 - rest }
    };
    let is_dummy = digits.iter().all(|digit| *digit == digits[0]); // 111.111.111-11 is nobody's
    !is_dummy && is_check(digits.len() - 2) && is_check(digits.len() - 1)
}

/// A number with its country, behind a `+`, or one of Brazil with its area code.
fn is_phone(written: &str, plain: Digits) -> bool {
    let Some(groups) = groups(
        written,
        &[' ', '(', ')', '-', '.', '+', '\u{2010}', '\u{2011}', '\u{2013}'],
    ) else {
        return false;
    };
    let digits = groups.concat();
    if written.trim_start_matches('(').starts_with('+') {
        return (10..=15).contains(&digits.len());
    }
    let has_country = matches!(digits.len(), 12 | 13) && digits.starts_with("55");
    let national = if has_country { &digits[2..] } else { &digits };
    let national = if national.len() > 10 {
        national.strip_prefix('0').unwrap_or(national)
    } else {
        national
    };
    let is_mobile = national.len() == 11 && national.as_bytes()[2] == b'9';
    let is_landline = national.len() == 10 && matches!(national.as_bytes()[2], b'2'..=b'5');
    if !(is_mobile || is_landline) || !is_area_code(&national[..2]) {
        return false;
    }
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    match &lengths[..] {
        // Ten digits are a time in seconds.
        [_] => plain == Digits::Any && (is_mobile || has_country),
        [.., 4 | 5, 4] | [.., 8 | 9] => {
            // Ten digits with hyphens alone are an order's number as often: 12-2026-0031.
            let is_written = written.contains('-') && (has_country || written.contains(' '));
            is_mobile && written.contains([' ', '-']) || written.contains('(') || is_written
        }
        _ => false,
    }
}

/// The area codes that Brazil has given out (ANATEL).
fn is_area_code(code: &str) -> bool {
    let code = code.as_bytes();
    match code[0] {
        b'1' | b'4' | b'6' | b'8' | b'9' => (b'1'..=b'9').contains(&code[1]),
        b'2' => b"12478".contains(&code[1]),
        b'3' => b"1234578".contains(&code[1]),
        b'5' => b"1345".contains(&code[1]),
        b'7' => b"134579".contains(&code[1]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_address_is_found_anywhere_in_a_text() {
        for text in [
            "ana@example.com",
            "Ana <ana.souza+x@uol.com.br>",
            "josé@café.com.br",
            "x=ana%40example.com",
            "u=https%3A%2F%2Fx.br%3Fe%3Dana%2540example.com",
            "@ @@ a@b.co",
        ] {
            assert!(holds_email(text), "{text}");
        }
        for text in [
            "",
            "@",
            "ana@",
            "@loja.com.br",
            "ana@example",
            "ana@.com",
            "react@18.2.0",
            "logo@2x.png",
            "a @b.co",
            "https://www.google.com.br/maps/@-23.55,-46.63,15z",
            "100%40",
            "%",
            "%4",
        ] {
            assert!(!holds_email(text), "{text}");
        }
    }

    #[test]
    fn hyphens_alone_do_not_make_a_landline() {
        for text in [
            "(11) 3456-7890",
            "(11)34567890",
            "11 3456-7890",
            "55-11-3456-7890",
            "11-98765-4321",
        ] {
            assert!(is_phone(text, Digits::Any), "{text}");
        }
        for text in ["12-2026-0031", "11-2025-1234", "45-2026-00012", "11 3456 7890"] {
            assert!(!is_phone(text, Digits::Any), "{text}");
        }
    }

    #[test]
    fn check_digits_tell_a_document_from_a_number() {
        // The examples that descriptions of the Receita Federal's rule work through.
        for number in ["12345678909", "11144477735", "52998224725", "11222333000181"] {
            assert!(has_check_digits(number), "{number}");
        }
        for number in [
            "12345678900",
            "11144477734",
            "00000000000",
            "99999999999",
            "11222333000180",
        ] {
            assert!(!has_check_digits(number), "{number}");
        }
    }
}
