//! As much HTTP/1.1 as a load driver needs: reading the answers of servers that say how long they are.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a request outside of the load may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The start of an answer: its status, and where its body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub body: usize,
    pub end: usize,
}

impl Head {
    /// Reads the head at the start of the bytes. `None`: more bytes are needed. Answers without a length are an error.
    pub fn parse(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = std::str::from_utf8(&bytes[..end]).context("the answer is not HTTP")?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.context("the answer is not HTTP")?;
        let length = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        let body = end + 4;
        let end = match length {
            Some(length) => body + length,
            None if status == 204 => body,
            None => anyhow::bail!("the answer does not say how long it is"),
        };
        Ok(Some(Head { status, body, end }))
    }
}

/// Asks for a page.
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
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        loop {
            if let Some(head) = Head::parse(&answer)?
                && answer.len() >= head.end
            {
                let body = String::from_utf8(answer[head.body..head.end].to_vec())?;
                return anyhow::Ok((head.status, body));
            }
            let read = stream.read_buf(&mut answer).await?;
            ensure!(read > 0, "the answer broke off");
        }
    };
    let answer = tokio::time::timeout(PATIENCE, exchange).await;
    answer
        .context("no answer in time")
        .flatten()
        .with_context(|| format!("{method} http://{address}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_when_all_of_its_body_is_there() {
        let answer =
            b"HTTP/1.1 202 Accepted\r\ncontent-type: x\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK";
        assert_eq!(Head::parse(&answer[..40]).unwrap(), None);
        let head = Head::parse(answer).unwrap().unwrap();
        assert_eq!((head.status, &answer[head.body..head.end]), (202, &b"hello"[..]));
    }

    #[test]
    fn an_answer_that_cannot_be_delimited_is_refused() {
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(Head::parse(b"SSH-2.0-x\r\n\r\n").is_err());
        let empty = Head::parse(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
        assert_eq!((empty.status, empty.body, empty.end), (204, 27, 27));
    }
}
