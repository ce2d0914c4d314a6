//! One connection: a request out, its answer in.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::Head;
use crate::sample::Template;

/// A connection to a gateway, kept open.
pub struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    received: Vec<u8>,
}

/// What a gateway said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Events that are stored now and were not before.
    pub accepted: u64,
}

impl Connection {
    /// Connects. The template is copied; its numbers are filled in with each request.
    pub async fn open(target: SocketAddr, template: &Template) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(target)
            .await
            .with_context(|| format!("cannot connect to {target}"))?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            request: template.text(),
            received: Vec::with_capacity(4 * 1_024),
        })
    }

    /// Sends the request with numbers from `first` on, and waits for the answer.
    pub async fn exchange(&mut self, template: &Template, first: u64) -> anyhow::Result<Answer> {
        template.fill(&mut self.request, first);
        self.stream.write_all(&self.request).await?;
        self.received.clear();
        let mut head = None;
        loop {
            let read = self.stream.read_buf(&mut self.received).await?;
            ensure!(read > 0, "the server closed a connection in use");
            if head.is_none() {
                head = Head::parse(&self.received)?;
            }
            if let Some(head) = head
                && self.received.len() >= head.end
            {
                ensure!(self.received.len() == head.end, "an answer that nobody asked for");
                return Answer::read(head.status, &self.received[head.body..head.end]);
            }
        }
    }
}

impl Answer {
    /// 202 accepts the one event; 200 says in its first fields how many of a batch it accepts.
    fn read(status: u16, body: &[u8]) -> anyhow::Result<Self> {
        let accepted = match status {
            202 => 1,
            200 => accepted_of_batch(body).context("the receipt of a batch has no \"accepted\"")?,
            _ => 0,
        };
        Ok(Answer { status, accepted })
    }
}

fn accepted_of_batch(body: &[u8]) -> Option<u64> {
    const FIELD: &[u8] = b"\"accepted\":";
    let at = body.windows(FIELD.len()).position(|window| window == FIELD)?;
    let digits = body[at + FIELD.len()..]
        .split(|byte| !byte.is_ascii_digit())
        .next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_and_stored_counts_as_accepted() {
        let accepted = |status, body: &str| Answer::read(status, body.as_bytes()).unwrap().accepted;
        assert_eq!(accepted(202, "{}"), 1);
        assert_eq!(
            accepted(
                200,
                r#"{"request_id":"x","accepted":998,"duplicate":2,"results":[]}"#
            ),
            998
        );
        for status in [409, 422, 503] {
            assert_eq!(accepted(status, r#"{"accepted":1}"#), 0);
        }
        assert!(Answer::read(200, b"{}").is_err());
    }
}
