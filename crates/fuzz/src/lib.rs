//! Makes wrong input of right input, and keeps what leads somewhere new: the fuzzer of our parsers, on a
//! stable toolchain.
//!
//! A property is a function that panics when it does not hold, and says what came of the input in a few
//! words: which rules refused it, which branch read it. Input with an answer that was not seen before becomes
//! a seed of its own, so that the search goes on from there, without an instrumented build. What is tried is
//! the same in each run of the tests; `make fuzz SECONDS=n` tries other input, for longer.

mod mutate;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use proptest::test_runner::{RngAlgorithm, TestRng};

pub use mutate::Mutator;

/// How many inputs a run of the tests tries: a few seconds of a debug build.
const TRIES: u32 = 4_000;
/// As many seeds are kept beside the first ones.
const MOST_SEEDS: usize = 4_000;
/// The longest input tried, in bytes.
const LONGEST: usize = 100_000;

/// Tries a property on what is made of the seeds, for as long as the environment says, and fails with the
/// input that it does not hold for.
///
/// `words`: what the parser looks for, which nothing random would ever hit.
///
/// # Panics
/// If the property does, having written the input to standard error.
pub fn fuzz(seeds: &[&[u8]], words: &[&str], property: impl Fn(&[u8]) -> String) {
    let (length, seed) = length();
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut mutator = Mutator::new(seeds, words);
    let mut seen: HashSet<String> = HashSet::new();
    let mut corpus: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    let started = Instant::now();
    let mut tried: u32 = 0;
    loop {
        let input = match corpus
            .get(tried as usize)
            .filter(|_| (tried as usize) < seeds.len())
        {
            Some(seed) => seed.clone(),
            None => mutator.mutated(&corpus, &mut random),
        };
        tried = tried.saturating_add(1);
        if input.len() <= LONGEST {
            let said = hold(&property, &input);
            if seen.insert(said) && corpus.len() < seeds.len() + MOST_SEEDS {
                corpus.push(input);
            }
        }
        let is_over = match length {
            Length::Tries(most) => tried >= most.max(seeds.len() as u32),
            Length::Seconds(most) => started.elapsed() >= most,
        };
        if is_over {
            break;
        }
    }
    // A parser that says the same of everything is not tried at all.
    assert!(seen.len() > 1, "all of {tried} inputs came to the same: {seen:?}");
}

/// The property's answer; what it fails for is told.
fn hold(property: &impl Fn(&[u8]) -> String, input: &[u8]) -> String {
    catch_unwind(AssertUnwindSafe(|| property(input))).unwrap_or_else(|panic| {
        let mut escaped = String::new();
        for byte in input {
            let _ = write!(escaped, "{}", std::ascii::escape_default(*byte));
        }
        #[expect(
            clippy::print_stderr,
            reason = "the input is what whoever reads the failure needs"
        )]
        {
            eprintln!("the property does not hold for b\"{escaped}\"");
        }
        resume_unwind(panic)
    })
}

#[derive(Clone, Copy)]
enum Length {
    Tries(u32),
    Seconds(Duration),
}

/// How long to try, and where chance begins: always at the same place, unless somebody asks for a long run.
#[expect(clippy::disallowed_methods, reason = "`make fuzz` says here how long")]
fn length() -> (Length, [u8; 32]) {
    let mut seed = [7; 32];
    let seconds = std::env::var("RASTRO_FUZZ_SECONDS").ok();
    let Some(seconds) = seconds.and_then(|seconds| seconds.parse().ok()) else {
        return (Length::Tries(TRIES), seed);
    };
    let asked = std::env::var("RASTRO_FUZZ_SEED").unwrap_or_default();
    for (place, byte) in seed.iter_mut().zip(asked.bytes()) {
        *place = byte;
    }
    (Length::Seconds(Duration::from_secs(seconds)), seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_that_falls_over_deep_inside_is_found() {
        // Three rules, one behind another: chance alone never gets through all of them.
        let found = catch_unwind(|| {
            fuzz(
                &[br#"{"kind":"a","value":1}"#],
                &["kind", "deep", "value"],
                |input| {
                    let Ok(json) = serde_json::from_slice::<serde_json::Value>(input) else {
                        return "no JSON".to_owned();
                    };
                    let is_deep = json["kind"] == "deep";
                    let Some(value) = json["value"].as_i64().filter(|_| is_deep) else {
                        return format!("kind {is_deep}");
                    };
                    assert!(value >= 0, "a negative value of the deep kind");
                    format!("deep {}", value > 100)
                },
            );
        });
        assert!(found.is_err());
    }

    #[test]
    fn a_parser_that_says_nothing_of_its_input_is_no_test() {
        assert!(catch_unwind(|| fuzz(&[b"a"], &[], |_| String::new())).is_err());
    }
}
