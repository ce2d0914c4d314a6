//! What becomes of an input: changes to its text, and to its values where it is JSON.

use proptest::prelude::Rng;
use proptest::test_runner::TestRng;
use serde_json::{Map, Number, Value};

/// What breaks parsers, whatever they read.
const NASTY: [&str; 26] = [
    "",
    " ",
    "\0",
    "\u{7f}",
    "\u{feff}",
    "\u{202e}",
    "ã",
    "💥",
    "\\ud83d",
    "\\u0000",
    "\"",
    "\\",
    "null",
    "NaN",
    "-0",
    "1e400",
    "-1",
    "9223372036854775807",
    "9223372036854775808",
    "0.1",
    "undefined",
    "{{x}}",
    "%00",
    "%",
    "&",
    "=",
];
/// How deep values are put into one another, at most at once.
const DEEP: usize = 130;

/// Makes new inputs of known ones.
pub struct Mutator {
    words: Vec<String>,
    /// Each value that stands anywhere in the seeds.
    values: Vec<Value>,
}

impl Mutator {
    /// `words`: what the parser looks for.
    pub fn new(seeds: &[&[u8]], words: &[&str]) -> Self {
        let mut values = vec![
            Value::Null,
            Value::Bool(true),
            Value::from(0),
            Value::from(-1),
            Value::from(i64::MAX),
            Value::from(u64::MAX),
            Value::from(1.5),
            Value::Array(Vec::new()),
            Value::Object(Map::new()),
        ];
        for seed in seeds {
            if let Ok(value) = serde_json::from_slice(seed) {
                collect(&value, &mut values);
            }
        }
        values.extend(words.iter().map(|word| Value::from(*word)));
        values.extend(NASTY.map(Value::from));
        Mutator {
            words: words.iter().copied().chain(NASTY).map(str::to_owned).collect(),
            values,
        }
    }

    /// One of the corpus, changed in one to four places.
    pub fn mutated(&mut self, corpus: &[Vec<u8>], random: &mut TestRng) -> Vec<u8> {
        let mut input = pick(corpus, random).cloned().unwrap_or_default();
        for _ in 0..=below(random, 4) {
            let json = (below(random, 3) > 0).then(|| serde_json::from_slice::<Value>(&input).ok());
            match json.flatten() {
                Some(mut value) => {
                    let other = pick(corpus, random).and_then(|other| serde_json::from_slice(other).ok());
                    self.change(&mut value, other, random);
                    input = value.to_string().into_bytes();
                }
                None => self.change_text(&mut input, corpus, random),
            }
        }
        input
    }

    /// Changes one value somewhere inside.
    fn change(&self, value: &mut Value, other: Option<Value>, random: &mut TestRng) {
        let mut count = 0;
        visit(value, &mut |_| count += 1);
        let chosen = below(random, count);
        let mut at = 0;
        let mut change = Some(|place: &mut Value| self.change_one(place, other, random));
        visit(value, &mut |place| {
            if at == chosen
                && let Some(change) = change.take()
            {
                change(place);
            }
            at += 1;
        });
    }

    fn change_one(&self, place: &mut Value, other: Option<Value>, random: &mut TestRng) {
        match (below(random, 8), &mut *place) {
            (0 | 1, Value::Object(fields)) => {
                let name = pick(&self.words, random).cloned().unwrap_or_default();
                fields.insert(name, self.value(random));
            }
            (2, Value::Object(fields)) => {
                let name = fields.keys().nth(below(random, fields.len().max(1))).cloned();
                name.and_then(|name| fields.remove(&name));
            }
            (3, Value::Object(fields)) => {
                let name = fields.keys().nth(below(random, fields.len().max(1))).cloned();
                let other = pick(&self.words, random).cloned().unwrap_or_default();
                if let Some(value) = name.and_then(|name| fields.remove(&name)) {
                    fields.insert(other, value);
                }
            }
            (0 | 1, Value::Array(items)) => items.push(self.value(random)),
            (2, Value::Array(items)) => items.truncate(below(random, items.len() + 1)),
            (3, Value::Array(items)) if !items.is_empty() && items.len() < 2_000 => {
                let item = items[below(random, items.len())].clone();
                items.extend(std::iter::repeat_n(item, 1 + below(random, 40)));
            }
            (0..=3, Value::String(text)) => {
                let mut bytes = std::mem::take(text).into_bytes();
                self.change_text(&mut bytes, &[], random);
                *text = String::from_utf8_lossy(&bytes).into_owned();
            }
            (0..=3, Value::Number(number)) => {
                let near = number.as_i64().unwrap_or_default();
                let by = [-1, 1, -60, 86_400, -700_000][below(random, 5)];
                *number = Number::from(near.wrapping_add(by));
            }
            (4, _) => *place = Value::Array(vec![place.take()]),
            (5, _) => {
                for _ in 0..below(random, DEEP) {
                    *place = Value::Array(vec![place.take()]);
                }
            }
            (6, _) => *place = other.unwrap_or_default(),
            _ => *place = self.value(random),
        }
    }

    fn value(&self, random: &mut TestRng) -> Value {
        pick(&self.values, random).cloned().unwrap_or_default()
    }

    fn change_text(&self, input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut TestRng) {
        let (from, to) = (below(random, input.len() + 1), below(random, input.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        match below(random, 7) {
            0 if from < input.len() => input[from] ^= 1 << below(random, 8),
            1 => drop(input.drain(from..to.min(from + 16))),
            2 => {
                let again = input[from..to.min(from + 64)].repeat(1 + below(random, 8));
                input.splice(to..to, again);
            }
            3 if from < input.len() => input[from] = u8::try_from(below(random, 256)).unwrap_or_default(),
            4 => {
                // The rest of another.
                let other = pick(corpus, random).cloned().unwrap_or_default();
                input.truncate(from);
                input.extend_from_slice(&other[below(random, other.len() + 1)..]);
            }
            _ => {
                let word = pick(&self.words, random).cloned().unwrap_or_default();
                let end = if below(random, 2) == 0 { from } else { to };
                input.splice(from..end, word.into_bytes());
            }
        }
    }
}

fn collect(value: &Value, into: &mut Vec<Value>) {
    into.push(value.clone());
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, into)),
        _ => {}
    }
}

fn visit(value: &mut Value, look: &mut impl FnMut(&mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, look)),
        Value::Object(fields) => fields.values_mut().for_each(|field| visit(field, look)),
        _ => {}
    }
    look(value);
}

fn below(random: &mut TestRng, end: usize) -> usize {
    let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
    usize::try_from(random.next_u64() % end).unwrap_or_default()
}

fn pick<'c, T>(of: &'c [T], random: &mut TestRng) -> Option<&'c T> {
    of.get(below(random, of.len()))
}
