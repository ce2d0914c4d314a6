//! As much HTTP/1.1 as a load generator needs: whole requests out, answers that say how long they are in. It
//! costs next to nothing, so that what is measured on the same machine is the server.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a request outside of a load may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A whole request. The connection stays open after it.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").expect("writing to memory cannot fail");
    }
    (text + "\r\n" + body).into_bytes()
}

/// What a server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    pub status: u16,
    /// Of `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    pub body: &'a [u8],
}

/// A connection that is kept open.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    head: Head,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            received: Vec::with_capacity(4 * 1_024),
            head: Head::default(),
        })
    }

    /// Sends a request and waits for its answer. After an error the connection is of no use any more.
    pub async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let mut head = None;
        self.head = loop {
            let read = self.stream.read_buf(&mut self.received).await?;
            ensure!(read > 0, "the server closed a connection in use");
            if head.is_none() {
                head = Head::parse(&self.received)?;
            }
            if let Some(head) = head
                && self.received.len() >= head.end
            {
                break head;
            }
        };
        ensure!(
            self.received.len() == self.head.end,
            "an answer that nobody asked for"
        );
        Ok(self.answer())
    }

    /// The last answer.
    pub fn answer(&self) -> Answer<'_> {
        Answer {
            status: self.head.status,
            retry_after: self.head.retry_after,
            body: &self.received[self.head.body..self.head.end],
        }
    }
}

/// Asks for a page over a connection of its own.
pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    call(address, "GET", path, "").await
}

/// Sends one request over a connection of its own, and reads its answer.
pub async fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
) -> anyhow::Result<(u16, String)> {
    let exchange = async {
        let mut connection = Connection::open(address).await?;
        let answer = connection.exchange(&request(method, path, &[], body)).await?;
        anyhow::Ok((answer.status, String::from_utf8(answer.body.to_vec())?))
    };
    let answer = tokio::time::timeout(PATIENCE, exchange).await;
    answer
        .context("no answer in time")
        .flatten()
        .with_context(|| format!("{method} http://{address}{path}"))
}

/// The start of an answer, and where its body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Head {
    status: u16,
    retry_after: Option<u64>,
    body: usize,
    end: usize,
}

impl Head {
    /// Reads the head at the start of the bytes. `None`: more bytes are needed. Answers without a length are
    /// an error.
    fn parse(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = std::str::from_utf8(&bytes[..end]).context("the answer is not HTTP")?;
        let (first, headers) = head.split_once("\r\n").unwrap_or((head, ""));
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.context("the answer is not HTTP")?;
        let number = |wanted: &str| {
            headers.split("\r\n").find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case(wanted)
                    .then(|| value.trim().parse::<u64>().ok())?
            })
        };
        let body = end + 4;
        let length = match number("content-length") {
            Some(length) => usize::try_from(length)?,
            None if status == 204 => 0,
            None => anyhow::bail!("the answer does not say how long it is"),
        };
        Ok(Some(Head {
            status,
            retry_after: number("retry-after"),
            body,
            end: body + length,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_when_all_of_its_body_is_there() {
        let answer = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK";
        assert_eq!(Head::parse(&answer[..40]).unwrap(), None);
        let head = Head::parse(answer).unwrap().unwrap();
        assert_eq!((head.status, head.retry_after), (503, Some(7)));
        assert_eq!(&answer[head.body..head.end], b"hello");
    }

    #[test]
    fn an_answer_that_cannot_be_delimited_is_refused() {
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(Head::parse(b"SSH-2.0-x\r\n\r\n").is_err());
        let empty = Head::parse(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
        assert_eq!((empty.status, empty.body, empty.end), (204, 27, 27));
    }

    #[test]
    fn a_request_says_how_long_it_is() {
        let text = request("POST", "/x", &[("A", "b")], "body");
        assert_eq!(
            text,
            b"POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nA: b\r\n\r\nbody"
        );
    }
}
