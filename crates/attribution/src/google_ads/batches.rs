//! A streamed answer cut into its batches: the objects of one JSON array, each as soon as it is complete.

use std::mem;

/// The longest batch. Google's are of at most 10,000 rows, some hundred bytes each.
const LONGEST_BATCH: usize = 32 * 1024 * 1024;

/// Why an answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    TooLong,
    /// Something between the batches that is no array of objects.
    NotABatch,
}

#[derive(Default)]
pub(super) struct Batches {
    batch: Vec<u8>,
    /// Open braces and brackets of the batch.
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    began: bool,
    ended: bool,
}

impl Batches {
    /// Takes the next bytes, and returns the batches that they complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Cut> {
        let mut complete = Vec::new();
        for &byte in bytes {
            if self.depth == 0 {
                self.between(byte)?;
                continue;
            }
            if self.batch.len() == LONGEST_BATCH {
                return Err(Cut::TooLong);
            }
            self.batch.push(byte);
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.in_string => self.is_escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
            if self.depth == 0 {
                complete.push(mem::take(&mut self.batch));
            }
        }
        Ok(complete)
    }

    /// Whether the array was closed: an answer that breaks off between two batches looks whole otherwise.
    pub(super) fn is_whole(&self) -> bool {
        self.ended
    }

    fn between(&mut self, byte: u8) -> Result<(), Cut> {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'[' if !self.began => self.began = true,
            b',' if self.began && !self.ended => {}
            b']' if self.began && !self.ended => self.ended = true,
            b'{' if self.began && !self.ended => {
                self.batch.push(byte);
                self.depth = 1;
            }
            _ => return Err(Cut::NotABatch),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_come_out_whole_wherever_the_bytes_are_cut() {
        let answer = "[{\"results\":[{\"name\":\"a ]}\\\" [{ \\\\\"}]}\n,\r\n{\"requestId\":\"é\",\"x\":{\"y\":[1]}}]\n";
        let expected = [
            "{\"results\":[{\"name\":\"a ]}\\\" [{ \\\\\"}]}",
            "{\"requestId\":\"é\",\"x\":{\"y\":[1]}}",
        ];
        for size in 1..=answer.len() {
            let mut batches = Batches::default();
            let mut found = Vec::new();
            for bytes in answer.as_bytes().chunks(size) {
                found.extend(batches.feed(bytes).unwrap());
            }
            let found: Vec<String> = found
                .into_iter()
                .map(|batch| String::from_utf8(batch).unwrap())
                .collect();
            assert_eq!(found, expected, "cut at every {size} bytes");
            assert!(batches.is_whole());
        }
    }

    #[test]
    fn an_answer_that_breaks_off_or_is_something_else_is_noticed() {
        let mut batches = Batches::default();
        assert_eq!(batches.feed(b"[{\"a\":1}").unwrap().len(), 1);
        assert!(!batches.is_whole());
        for other in ["<html>", "{\"a\":1}", "[1]", "[]]", "null"] {
            assert_eq!(
                Batches::default().feed(other.as_bytes()),
                Err(Cut::NotABatch),
                "{other}"
            );
        }
        let mut endless = Batches::default();
        endless.feed(b"[{").unwrap();
        let block = vec![b' '; LONGEST_BATCH];
        assert_eq!(endless.feed(&block), Err(Cut::TooLong));
    }
}
