//! Asks the health endpoint of a service on this machine, as curl would. An image that holds nothing but the
//! service has nothing else to ask with.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// For connecting, and for each read and write. `/readyz` answers within a second, even when a check is
/// stuck.
const LIMIT: Duration = Duration::from_secs(3);
/// The longest answer read, in bytes; those of `/healthz` and `/readyz` are a few hundred.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Asks the endpoint that listens at `listen`, which may be `0.0.0.0` or `[::]`, for `path`; the body of its
/// answer.
///
/// # Errors
/// When nothing answers there, or the answer is not 200. The error then holds the answer, which says why.
pub fn ask(listen: SocketAddr, path: &str) -> anyhow::Result<String> {
    let address = reachable(listen);
    let answer = exchange(address, path).with_context(|| format!("no answer from {address}"))?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .with_context(|| format!("what listens on {address} does not speak HTTP"))?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    ensure!(status == "200", "{path} answers {status}: {body}");
    Ok(body.to_owned())
}

/// "Every address of this machine" is nowhere to connect to.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn exchange(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(LONGEST_ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}
