//! What requests may occupy: one bound for all bodies being read and all events waiting to be stored, of the
//! whole process.
//!
//! A body is counted as it arrives, not as it is announced: a client that announces much and sends nothing
//! takes nothing from the others.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::Payload;
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// Clones share the bound.
#[derive(Clone)]
pub(crate) struct Memory {
    room: Arc<Semaphore>,
    /// What one request may take beside its body: with more it would be turned away however empty the gateway
    /// is.
    largest: usize,
    request_timeout: Duration,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// Others occupy it.
    Now,
    /// It is more than there is.
    Ever,
}

/// A part of the bound, given back when it is dropped.
pub(crate) type Room = OwnedSemaphorePermit;

/// A request body and the room it occupies.
#[derive(Debug)]
pub(crate) struct RequestBody {
    text: Vec<u8>,
    _room: Option<Room>,
}

impl Deref for RequestBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.text
    }
}

impl Memory {
    pub(crate) fn new(bytes: usize, largest_body: usize, request_timeout: Duration) -> Self {
        Memory {
            room: Arc::new(Semaphore::new(bytes)),
            largest: bytes - largest_body,
            request_timeout,
        }
    }

    /// Takes room beside that of a body, at once or not at all.
    pub(crate) fn take(&self, bytes: usize) -> Result<Room, NoRoom> {
        if bytes > self.largest {
            return Err(NoRoom::Ever);
        }
        let bytes = u32::try_from(bytes).map_err(|_| NoRoom::Ever)?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes);
        room.map_err(|_| NoRoom::Now)
    }

    /// A body that was read in another form.
    pub(crate) fn hold(&self, text: Vec<u8>) -> Result<RequestBody, NoRoom> {
        let room = self.take(text.len())?;
        Ok(RequestBody {
            text,
            _room: Some(room),
        })
    }

    /// Reads a body of at most so many bytes, within the limits of time and room.
    pub(crate) async fn read(
        &self,
        request: &HttpRequest,
        payload: Payload,
        most: usize,
    ) -> Result<RequestBody, Problem> {
        let too_large =
            || Problem::too_large(format!("the body may have at most {most} bytes with this key"));
        let announced = request.headers().get(CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|bytes| bytes > most) {
            return Err(too_large());
        }
        let reading = self.collect(payload, most);
        match tokio::time::timeout(self.request_timeout, reading).await {
            Ok(Err(Unread::TooLarge)) => Err(too_large()),
            Ok(Err(Unread::BrokenOff)) => Err(Problem::malformed("the body broke off")),
            Ok(Err(Unread::NoRoom)) => Err(Problem::unavailable()),
            Ok(Ok(body)) => Ok(body),
            Err(_) => Err(Problem::too_slow()),
        }
    }

    async fn collect(&self, mut payload: Payload, most: usize) -> Result<RequestBody, Unread> {
        let mut text = Vec::new();
        let mut room: Option<Room> = None;
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| Unread::BrokenOff)?;
            if text.len() + chunk.len() > most {
                return Err(Unread::TooLarge);
            }
            let more = self.take(chunk.len()).map_err(|_| Unread::NoRoom)?;
            match &mut room {
                Some(room) => room.merge(more),
                None => room = Some(more),
            }
            text.extend_from_slice(&chunk);
        }
        Ok(RequestBody { text, _room: room })
    }
}

enum Unread {
    TooLarge,
    BrokenOff,
    NoRoom,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_fits_is_told_apart_from_what_does_not_fit_now() {
        let memory = Memory::new(100, 40, Duration::from_secs(1));
        let most = memory.take(60).unwrap();
        assert_eq!(memory.take(61).unwrap_err(), NoRoom::Ever);
        let clone = memory.clone();
        assert_eq!(clone.take(41).unwrap_err(), NoRoom::Now);
        let rest = clone.take(40).unwrap();
        assert_eq!(memory.take(1).unwrap_err(), NoRoom::Now);
        drop((most, rest));
        assert!(memory.take(60).is_ok());
    }
}
