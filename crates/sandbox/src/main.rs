//! `rastro-sandbox`: the sandbox as a program, for demos, load tests and other people's CI.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use rastro_sandbox::{Sandbox, SandboxConfig};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
A strict stand-in for Meta's Conversions API.

Usage: rastro-sandbox --token DATASET=TOKEN [options]
       rastro-sandbox healthcheck ADDRESS   whether one answers there
       rastro-sandbox --version

  --token DATASET=TOKEN  lets TOKEN write to DATASET; '*' means any dataset; may be repeated
  --listen ADDRESS       where to listen (default 127.0.0.1:0, a free port)
  --app-secret SECRET    demands appsecret_proof under this secret
  --keep-events N        whole events kept for inspection (default 10000; 0 for load tests)
  --workers N            threads that serve (default 1)
  --accept-md5           takes MD5 where Meta documents SHA-256
  --help                 prints this

It prints its URL. GET / there is a page that shows what arrives; /sandbox/counts, /sandbox/events and
/sandbox/requests say the same in JSON; POST /sandbox/faults, /sandbox/clock and /sandbox/reset steer it.
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rastro-sandbox: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the bound URL and the version are this program's output"
)]
async fn run() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [only] if only == "--version" => {
            println!("rastro-sandbox {}", env!("CARGO_PKG_VERSION"));
            return Ok(());
        }
        [first, address] if first == "healthcheck" => return healthcheck(parsed(first, address)?),
        _ => {}
    }
    let Some(config) = parse(arguments.into_iter())? else {
        print!("{USAGE}");
        return Ok(());
    };
    // Before the URL is printed, so that whoever read it may send the signal.
    let mut terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for SIGINT")?;
    let sandbox = Sandbox::start(config).await?;
    println!("{}", sandbox.url());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    sandbox.stop().await;
    Ok(())
}

/// An image that holds only this program has nothing else to ask with.
fn healthcheck(address: SocketAddr) -> anyhow::Result<()> {
    let limit = Duration::from_secs(3);
    let mut stream = TcpStream::connect_timeout(&address, limit).context("nothing listens there")?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "it answers {answer}");
    Ok(())
}

/// `None` when help was asked for.
fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Option<SandboxConfig>> {
    let mut config = SandboxConfig::default();
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{flag} needs a value"));
        match flag.as_str() {
            "--help" => return Ok(None),
            "--accept-md5" => config.accept_md5 = true,
            "--listen" => config.listen = parsed(&flag, &value()?)?,
            "--app-secret" => config.app_secret = Some(value()?),
            "--keep-events" => config.keep_events = parsed(&flag, &value()?)?,
            "--workers" => config.workers = parsed(&flag, &value()?)?,
            "--token" => {
                let grant = value()?;
                config = match grant.split_once('=') {
                    Some((_, "")) | None => bail!("--token takes DATASET=TOKEN"),
                    Some(("*", token)) => config.with_token_for_any_dataset(token),
                    Some((dataset_id, token)) => config.with_token(dataset_id, token),
                };
            }
            _ => bail!("unknown argument {flag}; see --help"),
        }
    }
    if config.workers == 0 {
        bail!("--workers must be at least 1");
    }
    if config.tokens.is_empty() {
        bail!("without a --token every request would be refused; see --help");
    }
    Ok(Some(config))
}

fn parsed<T: FromStr>(flag: &str, value: &str) -> anyhow::Result<T> {
    value
        .parse()
        .map_err(|_| anyhow!("{flag} cannot be {value:?}; see --help"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &str) -> anyhow::Result<Option<SandboxConfig>> {
        parse(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_become_the_config() {
        let words = "--listen 0.0.0.0:8080 --token 111=A=B --token *=C --app-secret S --keep-events 0 --workers 3 --accept-md5";
        let config = parse_words(words).unwrap().unwrap();
        assert_eq!(config.listen.to_string(), "0.0.0.0:8080");
        let expected = SandboxConfig::default()
            .with_token("111", "A=B")
            .with_token_for_any_dataset("C");
        assert_eq!(config.tokens, expected.tokens);
        assert_eq!(
            (config.app_secret.as_deref(), config.keep_events, config.workers),
            (Some("S"), 0, 3)
        );
        assert!(config.accept_md5);
    }

    #[test]
    fn mistakes_stop_the_start() {
        let mistakes = [
            "",
            "--token",
            "--token 111",
            "--token 111=",
            "--tokn 1=A",
            "--token 1=A --listen here",
            "--token 1=A --workers 0",
        ];
        for mistake in mistakes {
            assert!(parse_words(mistake).is_err(), "{mistake:?}");
        }
        assert!(parse_words("--help").unwrap().is_none());
    }
}
