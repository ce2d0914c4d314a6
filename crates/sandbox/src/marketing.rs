//! The Marketing API as the sandbox knows it: an ad account, asynchronous reports of its insights and their
//! pages, and (in [`objects`]) what people make in it. As strict as the documentation is: a token of another
//! account, an unknown field, a span that ends before it begins or begins too long ago, and a report that is
//! not complete are refused.

mod objects;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{self, Bytes, Data, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::refusal::{Envelope, Refusal};
use crate::server::State;

pub use objects::AdAccess;

const FIELDS: [&str; 11] = [
    "account_currency",
    "action_values",
    "actions",
    "campaign_id",
    "campaign_name",
    "clicks",
    "cpc",
    "date_start",
    "date_stop",
    "impressions",
    "spend",
];
const DAY_MS: i64 = 86_400_000;
/// 37 months.
const OLDEST_DAYS: i64 = 1_126;
/// A report is asked for so often before it is complete.
const POLLS: u32 = 2;

/// An ad account and what it spent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdAccount {
    pub access_token: String,
    pub currency: String,
    /// IANA.
    pub time_zone: String,
    /// Rows as the API answers them, without those of the account: `campaign_id`, `spend`, `date_start`, ...
    pub rows: Vec<Map<String, Value>>,
}

/// An answer that comes instead of the next one.
#[derive(Debug, Clone)]
pub struct MarketingFault {
    pub http_status: u16,
    pub code: i32,
    pub subcode: Option<i32>,
    /// Sent as they are.
    pub headers: Vec<(String, String)>,
}

/// What the accounts and their reports are. Behind [`Sandbox::marketing`](crate::Sandbox::marketing).
#[derive(Default)]
pub struct Marketing(Mutex<Book>);

#[derive(Default)]
struct Book {
    accounts: BTreeMap<String, AdAccount>,
    reports: Vec<Report>,
    faults: Vec<MarketingFault>,
    /// Reports that cannot be made, by their index.
    failing: BTreeSet<usize>,
    calls: u64,
    access: BTreeMap<String, AdAccess>,
    objects: Vec<objects::Object>,
    /// How many objects were made, ever.
    made: u64,
    /// By the names of audiences.
    people: BTreeMap<String, i64>,
    /// So many of the next changes are made, and answered as if they were not.
    lost_answers: u32,
    tokens_in_urls: u64,
}

struct Report {
    account: String,
    fields: Vec<String>,
    since: String,
    until: String,
    polls: u32,
    fails: bool,
}

impl Marketing {
    /// Makes an account, or replaces it. `id`: digits, without `act_`.
    pub fn put_account(&self, id: &str, account: AdAccount) {
        self.book().accounts.insert(id.to_owned(), account);
    }

    /// Answers so next, once.
    pub fn fail_next(&self, fault: MarketingFault) {
        self.book().faults.push(fault);
    }

    /// Of the reports that are ordered from here on the one of this number, from 0, ends as failed.
    pub fn fail_report(&self, number: usize) {
        let mut book = self.book();
        let index = book.reports.len() + number;
        book.failing.insert(index);
    }

    /// Lets an account's token do more than read. `id`: digits, without `act_`.
    pub fn grant(&self, id: &str, access: AdAccess) {
        self.book().access.insert(id.to_owned(), access);
    }

    /// How many people an audience has, by its name.
    pub fn put_people(&self, audience: &str, people: i64) {
        self.book().people.insert(audience.to_owned(), people);
    }

    /// Makes the next change, and loses the answer: HTTP 500 as a proxy says it.
    pub fn lose_next_answer(&self) {
        self.book().lost_answers += 1;
    }

    /// Everything that was made in an account and is there, as JSON: `id` and all fields.
    pub fn objects(&self, id: &str) -> Vec<Value> {
        self.book().everything(id)
    }

    /// Changes an object behind its owner's back, as a person in Ads Manager does. Says whether it is there.
    pub fn tamper(&self, object: &str, field: &str, value: Value) -> bool {
        self.book().tamper(object, field, value)
    }

    /// Calls that were made, faults included.
    pub fn calls(&self) -> u64 {
        self.book().calls
    }

    /// Calls whose token stood in the address, where every proxy logs it: Meta takes it, and its own SDKs
    /// send it so.
    pub fn tokens_in_urls(&self) -> u64 {
        self.book().tokens_in_urls
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("nothing panics while it holds the book")
    }
}

/// The versions of the Marketing API that are served: there an old one ends 90 days after its successor came,
/// while that of `/events` goes on for two years. Source: Meta, "Marketing API, Versions".
const VERSIONS: [&str; 3] = ["v24.0", "v25.0", "v26.0"];

pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .configure(objects::routes)
        .route(r"/{version:v\d+\.\d+}/act_{account:\d+}", web::get().to(account))
        .route(
            r"/{version:v\d+\.\d+}/act_{account:\d+}/insights",
            web::post().to(start),
        )
        .route(r"/{version:v\d+\.\d+}/{report:9\d{14}}", web::get().to(status))
        .route(
            r"/{version:v\d+\.\d+}/{report:9\d{14}}/insights",
            web::get().to(page),
        );
}

type Parameters = Query<BTreeMap<String, String>>;

async fn account(state: Data<State>, path: Path<(String, String)>, request: HttpRequest) -> HttpResponse {
    let (_, id) = path.into_inner();
    answer(&state, &request, |book, token| {
        let account = book.account(&id, token)?;
        Ok(
            json!({ "id": format!("act_{id}"), "currency": account.currency, "timezone_name": account.time_zone }),
        )
    })
}

async fn start(
    state: Data<State>,
    path: Path<(String, String)>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    let (_, id) = path.into_inner();
    let today = state.config.clock.now_ms() / DAY_MS;
    answer(&state, &request, |book, token| {
        book.account(&id, token)?;
        let parameters: Map<String, Value> =
            serde_json::from_slice(&body).map_err(|_| Refusal::parameter("The body is not a JSON object"))?;
        let mut report = read_report(&id, &parameters, today)?;
        let index = book.reports.len();
        report.fails = book.failing.remove(&index);
        book.reports.push(report);
        Ok(json!({ "report_run_id": report_id(book.reports.len() - 1) }))
    })
}

async fn status(state: Data<State>, path: Path<(String, String)>, request: HttpRequest) -> HttpResponse {
    let (_, id) = path.into_inner();
    answer(&state, &request, |book, token| {
        let report = book.report(&id, token)?;
        report.polls += 1;
        let (word, percent) = match report.polls {
            polls if polls < POLLS => ("Job Running", 40),
            _ if report.fails => ("Job Failed", 40),
            _ => ("Job Completed", 100),
        };
        Ok(json!({ "id": id, "async_status": word, "async_percent_completion": percent }))
    })
}

async fn page(
    state: Data<State>,
    path: Path<(String, String)>,
    request: HttpRequest,
    parameters: Parameters,
) -> HttpResponse {
    let (version, id) = path.into_inner();
    answer(&state, &request, |book, token| {
        let report = book.report(&id, token)?;
        if report.polls < POLLS || report.fails {
            return Err(Refusal::plain(
                2601,
                Some(1_995_001),
                "Loading async report failed: it is not complete",
            ));
        }
        let (account, fields) = (report.account.clone(), report.fields.clone());
        let (since, until) = (report.since.clone(), report.until.clone());
        let account = &book.accounts[&account];
        let rows: Vec<Value> = account
            .rows
            .iter()
            .filter(|row| {
                row.get("date_start")
                    .and_then(Value::as_str)
                    .is_some_and(|day| day >= &*since && day <= &*until)
            })
            .map(|row| shown(row, account, &fields))
            .collect();
        let number = |name: &str, default: usize| {
            parameters
                .get(name)
                .map_or(Ok(default), |text| text.parse())
                .map_err(|_| Refusal::parameter(format!("({name}) must be a number")))
        };
        let (limit, from) = (number("limit", 25)?, number("after", 0)?);
        let total = rows.len();
        let until = (from + limit).min(total);
        let rows = rows
            .get(from..until)
            .ok_or_else(|| Refusal::parameter("Invalid cursor"))?;
        let mut paging = json!({ "cursors": { "before": from.to_string(), "after": until.to_string() } });
        if until < total {
            paging["next"] = json!(format!(
                "https://graph.facebook.com/{version}/{id}/insights?access_token={token}&after={until}"
            ));
        }
        Ok(json!({ "data": rows, "paging": paging }))
    })
}

fn shown(row: &Map<String, Value>, account: &AdAccount, fields: &[String]) -> Value {
    let mut shown = Map::new();
    for field in fields {
        let value = match field.as_str() {
            "account_currency" => Some(json!(account.currency)),
            "date_stop" => row.get("date_start").cloned(),
            field => row.get(field).cloned(),
        };
        if let Some(value) = value {
            shown.insert(field.clone(), value);
        }
    }
    Value::Object(shown)
}

fn read_report(account: &str, parameters: &Map<String, Value>, today: i64) -> Result<Report, Refusal> {
    let text = |name: &str| {
        let value = parameters.get(name).and_then(Value::as_str);
        value.ok_or_else(|| Refusal::parameter(format!("({name}) is required and must be a text")))
    };
    if text("level")? != "campaign" || text("time_increment")? != "1" {
        return Err(Refusal::parameter(
            "the sandbox knows level=campaign and time_increment=1",
        ));
    }
    let fields: Vec<String> = text("fields")?.split(',').map(str::to_owned).collect();
    if let Some(unknown) = fields.iter().find(|field| !FIELDS.contains(&field.as_str())) {
        let message = format!("(#100) {unknown} is not valid for fields param");
        return Err(Refusal::parameter(message));
    }
    let range: Value = serde_json::from_str(text("time_range")?)
        .map_err(|_| Refusal::parameter("(time_range) must be JSON in a text"))?;
    let day = |name: &str| {
        let day = range[name].as_str().filter(|day| day_number(day).is_some());
        day.map(str::to_owned)
            .ok_or_else(|| Refusal::parameter(format!("(time_range[{name}]) must be YYYY-MM-DD")))
    };
    let (since, until) = (day("since")?, day("until")?);
    if since > until {
        return Err(Refusal::parameter("(time_range) since must not be after until"));
    }
    if day_number(&since).unwrap_or(0) < today - OLDEST_DAYS {
        let message =
            "(#3018) The start date of the time range cannot be beyond 37 months from the current date";
        return Err(Refusal::plain(3018, None, message));
    }
    Ok(Report {
        account: account.to_owned(),
        fields,
        since,
        until,
        polls: 0,
        fails: false,
    })
}

/// Days since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).
fn day_number(text: &str) -> Option<i64> {
    let mut parts = text.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if text.len() != 10 || parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year - year.div_euclid(400) * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

fn report_id(index: usize) -> String {
    format!("9{index:014}")
}

impl Book {
    fn account(&self, id: &str, token: &str) -> Result<&AdAccount, Refusal> {
        match self.accounts.get(id) {
            Some(account) if account.access_token == token => Ok(account),
            Some(_) => Err(Refusal::plain(
                200,
                None,
                "(#200) Ad account owner has NOT grant ads_management or ads_read permission",
            )),
            None => Err(Refusal::plain(
                100,
                Some(33),
                "Unsupported request. The object does not exist",
            )),
        }
    }

    fn report(&mut self, id: &str, token: &str) -> Result<&mut Report, Refusal> {
        let index = id[1..]
            .parse::<usize>()
            .ok()
            .filter(|index| *index < self.reports.len());
        let Some(index) = index else {
            return Err(Refusal::plain(
                100,
                Some(33),
                "Unsupported get request. The object does not exist",
            ));
        };
        let account = self.reports[index].account.clone();
        self.account(&account, token)?;
        Ok(&mut self.reports[index])
    }
}

fn answer(
    state: &State,
    request: &HttpRequest,
    work: impl FnOnce(&mut Book, &str) -> Result<Value, Refusal>,
) -> HttpResponse {
    let mut book = state.marketing.book();
    book.calls += 1;
    if !book.faults.is_empty() {
        let fault = book.faults.remove(0);
        let refusal = Refusal::plain(fault.code, fault.subcode, "(sandbox) as ordered");
        let status = StatusCode::from_u16(fault.http_status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut answer = HttpResponse::build(status);
        for (name, value) in &fault.headers {
            answer.insert_header((name.as_str(), value.as_str()));
        }
        return answer.json(Envelope::new(&refusal, false, "Asandbox"));
    }
    let of_query = form_urlencoded::parse(request.query_string().as_bytes())
        .find_map(|(name, value)| (name == "access_token").then_some(value));
    book.tokens_in_urls += u64::from(of_query.is_some());
    let of_header = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = of_header.or(of_query.as_deref());
    let known = |book: &Book, token: &str| {
        book.accounts
            .values()
            .any(|account| account.access_token == token)
    };
    let version = request.match_info().get("version").unwrap_or_default();
    let done = match token {
        _ if !VERSIONS.contains(&version) => Err(Refusal::plain(
            2635,
            None,
            format!(
                "(#2635) You are calling a deprecated version of the Ads API. Please update to the latest \
                 version: {}.",
                VERSIONS[VERSIONS.len() - 1]
            ),
        )),
        None => Err(Refusal::plain(
            104,
            None,
            "An access token is required to request this resource.",
        )),
        Some(token) if !known(&book, token) => Err(Refusal::plain(
            190,
            None,
            "Invalid OAuth access token - Cannot parse access token",
        )),
        Some(token) => work(&mut book, token),
    };
    match done {
        Ok(json) => HttpResponse::Ok()
            .insert_header((
                "x-fb-ads-insights-throttle",
                r#"{"app_id_util_pct":1.2,"acc_id_util_pct":3}"#,
            ))
            .json(json),
        Err(refusal) => HttpResponse::BadRequest().json(Envelope::new(&refusal, false, "Asandbox")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        // `date -u -d 2026-11-28 +%s` / 86400
        assert_eq!(day_number("2026-11-28"), Some(20_785));
        assert_eq!(day_number("1970-01-01"), Some(0));
        assert_eq!(day_number("2024-02-29"), Some(19_782));
        for wrong in ["2026-13-01", "2026-1-1", "20261128", "2026-11-28T", "x"] {
            assert_eq!(day_number(wrong), None, "{wrong}");
        }
    }
}
