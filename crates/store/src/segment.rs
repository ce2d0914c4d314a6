//! What a row of `event_segments` says of its events: the heads, for PostgreSQL and people to look into, and the body.
//!
//! The body is the finished events, a line each, as one Zstandard frame. Events that arrive together are alike, so together
//! they take a third of their room, and every byte saved is saved in the write-ahead log, in the table and on the way to
//! PostgreSQL and back.

use serde::{Deserialize, Serializer};
use uuid::Uuid;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

use crate::error::StoreError;
use crate::events::NewEvent;

/// How many events a segment may have. Their numbers are handed out in steps of as many.
pub(crate) const SEGMENT_LINES: usize = 1_000;
/// The fastest level that codes hexadecimal digits, of which an event mostly consists, as the four bits that they are.
const LEVEL: i32 = 1;
/// The most that a body can hold: a thousand of the longest events. More is not one of ours.
const LONGEST: usize = 128 << 20;
/// How every Zstandard frame begins (RFC 8878, 3.1.1). JSON does not.
const FRAME: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What is needed of an event beside its payload. Stored as a JSON array in this order.
#[derive(Debug, Deserialize, PartialEq)]
pub(crate) struct Head {
    /// In seconds since 1970.
    pub(crate) send_by: i64,
    pub(crate) request_id: Uuid,
    pub(crate) traceparent: Option<String>,
    pub(crate) name: String,
    pub(crate) id: String,
}

/// The heads of these events.
pub(crate) fn write_heads(events: &[&NewEvent]) -> Result<String, StoreError> {
    let heads = events.iter().map(|event| {
        (
            event.send_by,
            event.request_id,
            &event.traceparent,
            &event.name,
            &event.id,
        )
    });
    let mut json = Vec::with_capacity(events.len() * 128);
    serde_json::Serializer::new(&mut json)
        .collect_seq(heads)
        .map_err(|_| INVALID_HEADS)?;
    String::from_utf8(json).map_err(|_| INVALID_HEADS)
}

/// The heads of a segment, by line. A line that never was an event has none.
pub(crate) fn read_heads(json: &str) -> Result<Vec<Option<Head>>, StoreError> {
    serde_json::from_str(json).map_err(|_| INVALID_HEADS)
}

/// Makes bodies. It keeps the compressor's tables from one to the next.
pub(crate) struct BodyWriter {
    compressor: Compressor<'static>,
    lines: Vec<u8>,
}

impl BodyWriter {
    pub(crate) fn new() -> Result<Self, StoreError> {
        Ok(BodyWriter {
            compressor: Compressor::new(LEVEL).map_err(|_| INVALID)?,
            lines: Vec::new(),
        })
    }

    /// The body of these events. Each is JSON as the gateway writes it, which has no line breaks.
    pub(crate) fn write<'e>(
        &mut self,
        payloads: impl Iterator<Item = &'e str>,
    ) -> Result<Vec<u8>, StoreError> {
        /// What is kept between two bodies. A body of very long events is rare.
        const KEPT: usize = 4 << 20;
        self.lines.clear();
        for payload in payloads {
            debug_assert!(!payload.contains('\n'), "an event is one line");
            self.lines.extend_from_slice(payload.as_bytes());
            self.lines.push(b'\n');
        }
        let body = self.compressor.compress(&self.lines).map_err(|_| INVALID);
        self.lines.shrink_to(KEPT);
        body
    }
}

/// The text of a body, whose lines are the payloads.
pub(crate) fn read_body(body: Vec<u8>) -> Result<String, StoreError> {
    if !body.starts_with(&FRAME) {
        // From before bodies were compressed.
        return String::from_utf8(body).map_err(|_| INVALID);
    }
    let length = match get_frame_content_size(&body) {
        Ok(Some(length)) => usize::try_from(length).map_err(|_| INVALID)?,
        _ => return Err(INVALID),
    };
    if length > LONGEST {
        return Err(INVALID);
    }
    let text = Decompressor::new().and_then(|mut decompressor| decompressor.decompress(&body, length));
    String::from_utf8(text.map_err(|_| INVALID)?).map_err(|_| INVALID)
}

const INVALID: StoreError = StoreError::Invalid {
    what: "body of a segment",
};

const INVALID_HEADS: StoreError = StoreError::Invalid {
    what: "head of an event",
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rastro_core::dedup::EventKey;

    use super::*;

    proptest! {
        #[test]
        fn a_body_is_read_as_it_was_written(events in prop::collection::vec("[^\n]{0,200}", 1..50)) {
            let mut writer = BodyWriter::new().unwrap();
            for _ in 0..2 {
                let events: Vec<&str> = events.iter().map(String::as_str).collect();
                let text = read_body(writer.write(events.iter().copied()).unwrap()).unwrap();
                prop_assert_eq!(text.strip_suffix('\n').unwrap().split('\n').collect::<Vec<_>>(), events);
            }
        }

        #[test]
        fn bytes_that_are_no_body_are_an_error_and_nothing_worse(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_body(bytes.clone());
            let _ = read_body([&FRAME[..], &bytes].concat());
        }
    }

    #[test]
    fn heads_are_read_as_they_were_written() {
        let event = NewEvent {
            key: EventKey(Uuid::nil()),
            dataset_id: 1.try_into().unwrap(),
            name: "Compra \"Única\"".into(),
            id: "\\ 1".into(),
            send_by: 1_795_000_000,
            dedup_window_seconds: 0,
            test_event_code: String::new(),
            payload: "{}".into(),
            request_id: Uuid::max(),
            traceparent: None,
        };
        let traced = NewEvent {
            traceparent: Some("00-trace".into()),
            ..event.clone()
        };
        let heads = write_heads(&[&event, &traced]).unwrap();
        let head = |event: &NewEvent| Head {
            send_by: event.send_by,
            request_id: event.request_id,
            traceparent: event.traceparent.clone(),
            name: event.name.clone(),
            id: event.id.clone(),
        };
        assert_eq!(
            read_heads(&heads).unwrap(),
            [Some(head(&event)), Some(head(&traced))]
        );
        assert_eq!(read_heads("[null]").unwrap(), [None]);
        assert!(read_heads("[[1]]").is_err());
    }

    #[test]
    fn a_body_from_before_bodies_were_compressed_is_its_own_text() {
        let text = "\n{\"event_id\":\"lead-1\"}\n\n{\"event_id\":\"lead-4\"}";
        assert_eq!(read_body(text.into()).unwrap(), text);
    }

    #[test]
    fn a_body_that_claims_to_be_enormous_is_refused_before_any_memory_is_taken() {
        // A frame header (RFC 8878, 3.1.1.1) with a content size of eight bytes: 2^63 - 1.
        let mut body = FRAME.to_vec();
        body.extend([0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
        assert!(read_body(body).is_err());
    }
}
