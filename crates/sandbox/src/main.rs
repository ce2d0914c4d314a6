//! `rastro-sandbox`: the sandbox as a program, for demos, load tests and other people's CI.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use rastro_sandbox::google_ads::GoogleAdsSandbox;
use rastro_sandbox::mercado_pago::{MercadoPago, Seller};
use rastro_sandbox::{Sandbox, SandboxConfig};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
A strict stand-in for Meta's Conversions API and, if asked for, for Mercado Pago and Google Ads.

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

  --mercado-pago ADDRESS where Mercado Pago listens; its URL is printed on a second line
  --seller ID=TOKEN      a user who is paid, and the access token; may be repeated
  --webhook ID=URL       where this seller's webhooks go
  --webhook-secret TEXT  what webhooks are signed with (default sandbox-webhook-secret)
  --books FILE           keeps Mercado Pago's payments there over restarts

  --google-ads ADDRESS   where Google Ads listens, its token endpoint at /token; its URL is printed on
                         the last line. Client 1.apps.googleusercontent.com, secret GOCSPX-sandbox,
                         refresh token 1//sandbox

It prints its URL. GET / there is a page that shows what arrives; /sandbox/counts, /sandbox/events and
/sandbox/requests say the same in JSON; POST /sandbox/faults, /sandbox/clock and /sandbox/reset steer it;
PUT /sandbox/ad-accounts/ID is what an ad account spent. At Mercado Pago's address POST /sandbox/payments
begins a payment, /sandbox/payments/ID/pay, refund and chargeback go on with it, and POST /sandbox/faults
and /sandbox/webhook-faults are what goes wrong. At Google's, PUT /sandbox/accounts/ID is what an account
spent, and POST /sandbox/faults and /sandbox/tokens/expire (or revoke) what goes wrong.
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

/// How often webhooks that are due are sent.
const WEBHOOKS_EVERY: Duration = Duration::from_millis(250);

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
    let Some(Arguments {
        config,
        payments,
        google_ads,
    }) = parse(arguments.into_iter())?
    else {
        print!("{USAGE}");
        return Ok(());
    };
    // Before the URL is printed, so that whoever read it may send the signal.
    let mut terminate = signal(SignalKind::terminate()).context("could not listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("could not listen for SIGINT")?;
    let clock = config.clock.clone();
    let sandbox = Sandbox::start(config).await?;
    println!("{}", sandbox.url());
    let mercado_pago = match payments {
        Some(Payments {
            listen,
            sellers,
            books,
        }) => {
            let mercado_pago = MercadoPago::start_on(listen, clock.clone(), sellers).await?;
            if let Some(file) = &books {
                mercado_pago.restore(file)?;
            }
            println!("{}", mercado_pago.url());
            Some((mercado_pago, books))
        }
        None => None,
    };
    let google_ads = match google_ads {
        Some(listen) => Some(GoogleAdsSandbox::start_on(listen, clock).await?),
        None => None,
    };
    if let Some(google_ads) = &google_ads {
        println!("{}", google_ads.url());
    }
    let delivering = async {
        let Some((mercado_pago, books)) = &mercado_pago else {
            return std::future::pending().await;
        };
        let mut kept = 0;
        loop {
            mercado_pago.deliver_due(false).await?;
            let last = mercado_pago.last_id();
            if let Some(file) = books.as_ref().filter(|_| last != kept) {
                mercado_pago.keep(file)?;
                kept = last;
            }
            tokio::time::sleep(WEBHOOKS_EVERY).await;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        failed = delivering => return failed,
    }
    if let Some((mercado_pago, Some(file))) = &mercado_pago {
        mercado_pago.keep(file)?;
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

struct Arguments {
    config: SandboxConfig,
    payments: Option<Payments>,
    google_ads: Option<SocketAddr>,
}

struct Payments {
    listen: SocketAddr,
    sellers: Vec<Seller>,
    books: Option<PathBuf>,
}

/// `None` when help was asked for.
fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Option<Arguments>> {
    let mut config = SandboxConfig::default();
    let (mut listen, mut sellers, mut webhooks) = (None, Vec::<Seller>::new(), Vec::new());
    let (mut books, mut google_ads) = (None, None);
    let mut webhook_secret = "sandbox-webhook-secret".to_owned();
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
            "--mercado-pago" => listen = Some(parsed(&flag, &value()?)?),
            "--webhook-secret" => webhook_secret = value()?,
            "--books" => books = Some(PathBuf::from(value()?)),
            "--google-ads" => google_ads = Some(parsed(&flag, &value()?)?),
            "--seller" => {
                let (user_id, access_token) = of_seller(&flag, &value()?)?;
                sellers.push(Seller {
                    user_id,
                    access_token,
                    webhook_secret: String::new(),
                    webhook_url: None,
                    live_mode: true,
                });
            }
            "--webhook" => webhooks.push(of_seller(&flag, &value()?)?),
            _ => bail!("unknown argument {flag}; see --help"),
        }
    }
    if config.workers == 0 {
        bail!("--workers must be at least 1");
    }
    if config.tokens.is_empty() {
        bail!("without a --token every request would be refused; see --help");
    }
    for seller in &mut sellers {
        seller.webhook_secret.clone_from(&webhook_secret);
    }
    for (user_id, url) in webhooks {
        let seller = sellers.iter_mut().find(|seller| seller.user_id == user_id);
        seller
            .with_context(|| format!("--webhook {user_id}: there is no such --seller"))?
            .webhook_url = Some(url);
    }
    if listen.is_none() && (!sellers.is_empty() || books.is_some()) {
        bail!("--seller and --books need --mercado-pago; see --help");
    }
    Ok(Some(Arguments {
        config,
        payments: listen.map(|listen| Payments {
            listen,
            sellers,
            books,
        }),
        google_ads,
    }))
}

/// `ID=...`
fn of_seller(flag: &str, text: &str) -> anyhow::Result<(i64, String)> {
    match text.split_once('=') {
        Some((id, rest)) if !rest.is_empty() => Ok((parsed(flag, id)?, rest.to_owned())),
        _ => bail!("{flag} takes ID=..."),
    }
}

fn parsed<T: FromStr>(flag: &str, value: &str) -> anyhow::Result<T> {
    value
        .parse()
        .map_err(|_| anyhow!("{flag} cannot be {value:?}; see --help"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &str) -> anyhow::Result<Option<Arguments>> {
        parse(words.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_become_the_config() {
        let words = "--listen 0.0.0.0:8080 --token 111=A=B --token *=C --app-secret S --keep-events 0 --workers 3 --accept-md5";
        let config = parse_words(words).unwrap().unwrap().config;
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
    fn sellers_have_tokens_and_webhooks() {
        let words = "--token 1=A --mercado-pago 127.0.0.1:0 --seller 4=T --webhook 4=http://h/a?b=c --webhook-secret S";
        let payments = parse_words(words).unwrap().unwrap().payments.unwrap();
        let [seller] = &payments.sellers[..] else {
            panic!("one seller")
        };
        assert_eq!(
            (
                seller.user_id,
                seller.access_token.as_str(),
                seller.webhook_secret.as_str()
            ),
            (4, "T", "S")
        );
        assert_eq!(seller.webhook_url.as_deref(), Some("http://h/a?b=c"));
    }

    #[test]
    fn the_help_names_what_opens_google_ads_and_it_listens_where_it_is_told() {
        use rastro_sandbox::google_ads::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN};
        for word in [CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN] {
            assert!(USAGE.contains(word), "{word}");
        }
        let words = "--token 1=A --google-ads 127.0.0.1:8092";
        let google_ads = parse_words(words).unwrap().unwrap().google_ads;
        assert_eq!(google_ads.unwrap().port(), 8092);
        assert_eq!(parse_words("--token 1=A").unwrap().unwrap().google_ads, None);
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
            "--token 1=A --seller 4=T",
            "--token 1=A --books b.json",
            "--token 1=A --mercado-pago 127.0.0.1:0 --webhook 4=http://x",
            "--token 1=A --mercado-pago 127.0.0.1:0 --seller x=T",
            "--token 1=A --google-ads here",
        ];
        for mistake in mistakes {
            assert!(parse_words(mistake).is_err(), "{mistake:?}");
        }
        assert!(parse_words("--help").unwrap().is_none());
    }
}
