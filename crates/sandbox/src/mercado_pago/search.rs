//! `GET /v1/payments/search`, with its documented traps: dates that are left out mean three months, windows
//! are shorter than a year, dates have exactly three digits of milliseconds, and long lists are refused.

use std::collections::HashMap;

use chrono::DateTime;
use serde_json::{Value, json};

use super::book::{Book, milliseconds, shown};
use super::payments::DATES;

const DAY_MS: i64 = 86_400_000;
/// Beyond so many rows the search refuses: the real ceiling is not documented.
const MOST_ROWS: u64 = 1_000;

/// Why a search is refused: Mercado Pago's code and words.
pub(crate) type Refused = (i64, &'static str);

const SORTS: [&str; 5] = [
    "date_created",
    "date_approved",
    "date_last_updated",
    "money_release_date",
    "id",
];
/// The answer to a search of this seller's payments.
pub(crate) fn answer(
    book: &Book,
    seller: i64,
    query: &HashMap<String, String>,
    now: i64,
) -> Result<Value, Refused> {
    let get = |name: &str| query.get(name).map(String::as_str);
    let sort = get("sort").unwrap_or("date_created");
    if !SORTS.contains(&sort) {
        return Err((1003, "sort is not valid"));
    }
    let is_descending = match get("criteria").unwrap_or("desc") {
        "asc" => false,
        "desc" => true,
        _ => return Err((1004, "criteria is not valid")),
    };
    let range = get("range").unwrap_or("date_created");
    let Some(date_of_range) = DATES.iter().position(|date| *date == range) else {
        return Err((1, "range is not valid"));
    };
    let begin = date(get("begin_date").unwrap_or("NOW-3MONTHS"), now)?;
    let end = date(get("end_date").unwrap_or("NOW"), now)?;
    if end - begin >= 365 * DAY_MS {
        return Err((9062, "range interval must be under 365 days"));
    }
    let number = |name: &str, default: u64| match get(name) {
        None => Ok(default),
        Some(text) => text.parse::<u64>().map_err(|_| (1, "params error")),
    };
    let (offset, limit) = (number("offset", 0)?, number("limit", 30)?);
    if offset + limit > MOST_ROWS {
        return Err((1000, "number of rows exceeded the limits"));
    }
    // Only a year is searchable.
    let oldest = now - 365 * DAY_MS;
    let mut found: Vec<&Value> = book
        .payments()
        .between(date_of_range, seller, begin.max(oldest), end)
        .filter(|payment| get("external_reference").is_none_or(|text| payment["external_reference"] == text))
        .filter(|payment| get("status").is_none_or(|text| payment["status"] == text))
        .collect();
    // By the date of the range they come sorted.
    if sort != range {
        found.sort_by_cached_key(|payment| (milliseconds(&payment[sort]), payment["id"].as_i64()));
    }
    if is_descending {
        found.reverse();
    }
    let total = found.len() + book.lists.never_shown;
    let (offset, limit) = (
        usize::try_from(offset).unwrap_or(0),
        usize::try_from(limit).unwrap_or(0),
    );
    let limit = limit.min(book.lists.most_rows_a_page.unwrap_or(limit));
    let page = found.into_iter().skip(offset).take(limit);
    let page: Vec<Value> = page.map(|payment| shown(payment.clone())).collect();
    Ok(json!({"paging": {"total": total, "limit": limit, "offset": offset}, "results": page}))
}

/// The answer to `GET /v1/orders`: both dates are required, amounts of paging are texts.
/// Source: Mercado Pago's own libraries, `order/search`.
pub(crate) fn orders(
    book: &Book,
    seller: i64,
    query: &HashMap<String, String>,
    now: i64,
) -> Result<Value, Refused> {
    let day = |name: &str| match query.get(name) {
        Some(text) => date(text, now),
        None => Err((1, "begin_date and end_date are required")),
    };
    let (begin, end) = (day("begin_date")?, day("end_date")?);
    let number = |name: &str, default: usize| match query.get(name) {
        None => Ok(default),
        Some(text) => match text.parse() {
            Ok(0) | Err(_) => Err((1, "params error")),
            Ok(number) => Ok(number),
        },
    };
    let (page, size) = (number("page", 1)?, number("page_size", 30)?);
    let size = size.min(book.lists.most_rows_a_page.unwrap_or(size));
    let found: Vec<&Value> = book
        .orders
        .iter()
        .filter(|((owner, _), order)| {
            let created = milliseconds(&order["created_date"]);
            *owner == seller && created.is_some_and(|at| (begin..=end).contains(&at))
        })
        .map(|(_, order)| order)
        .collect();
    let (total, offset) = (found.len() + book.lists.never_shown, (page - 1) * size);
    let data: Vec<Value> = found.into_iter().skip(offset).take(size).cloned().collect();
    let pages = total.div_ceil(size);
    Ok(
        json!({"data": data, "paging": {"total": total.to_string(), "total_pages": pages.to_string(),
        "limit": size.to_string(), "offset": offset.to_string()}}),
    )
}

/// `yyyy-MM-dd'T'HH:mm:ss.SSSZ`, `NOW`, `NOW-XDAYS` or `NOW-XMONTHS`.
fn date(text: &str, now: i64) -> Result<i64, Refused> {
    const WRONG: Refused = (1001, "date format must be yyyy-MM-dd'T'HH:mm:ss.SSSZ");
    if let Some(rest) = text.strip_prefix("NOW") {
        let back = |unit: &str, ms: i64| {
            let count: i64 = rest.strip_prefix('-')?.strip_suffix(unit)?.parse().ok()?;
            Some(now - count * ms)
        };
        return match rest {
            "" => Ok(now),
            _ => back("DAYS", DAY_MS)
                .or_else(|| back("MONTHS", 30 * DAY_MS))
                .ok_or(WRONG),
        };
    }
    // A plus sign that was not encoded arrives as a blank.
    let fraction = text.split_once('.').map(|(_, rest)| rest).ok_or(WRONG)?;
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| WRONG)?;
    match digits {
        3 => Ok(time.timestamp_millis()),
        _ => Err(WRONG),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Seller;
    use super::super::book::{Charge, Method};
    use super::*;

    const NOW: i64 = 1_795_000_000_000;

    fn ask(book: &Book, query: &str) -> Result<Value, Refused> {
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        answer(book, 44_444, &query, NOW)
    }

    #[test]
    fn the_documented_refusals_have_their_codes() {
        let book = Book::default();
        for (query, code) in [
            ("sort=amount", 1003),
            ("criteria=up", 1004),
            ("begin_date=2026-11-01", 1001),
            ("begin_date=2026-11-01T00:00:00Z", 1001),
            (
                "begin_date=2026-11-01T00:00:00.000-04:00&end_date=2026-11-01T00:00:00.000+01:00",
                1001,
            ),
            ("begin_date=NOW-400DAYS", 9062),
            ("offset=1000", 1000),
            ("limit=x", 1),
        ] {
            assert_eq!(ask(&book, query).unwrap_err().0, code, "{query}");
        }
        assert_eq!(ask(&book, "begin_date=NOW-10DAYS").unwrap()["paging"]["total"], 0);
    }

    #[test]
    fn orders_are_listed_by_both_dates_and_page_by_page() {
        let mut book = Book::default();
        let ask = |book: &Book, query: &str| {
            let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            orders(book, 44_444, &query, NOW)
        };
        for number in 0..5 {
            let order = json!({"id": format!("ORD{number}"), "created_date": super::super::book::stamp(NOW - number * DAY_MS)});
            book.orders.insert((44_444, format!("ORD{number}")), order);
        }
        for query in [
            "begin_date=NOW-2DAYS",
            "end_date=NOW",
            "begin_date=NOW&end_date=NOW&page=0",
        ] {
            assert_eq!(ask(&book, query).unwrap_err().0, 1, "{query}");
        }
        let ids = |found: &Value| -> Vec<String> {
            let data = found["data"].as_array().unwrap();
            data.iter()
                .map(|order| order["id"].as_str().unwrap().to_owned())
                .collect()
        };
        let asked = "begin_date=NOW-3DAYS&end_date=NOW&page_size=3";
        let (first, second) = (
            ask(&book, asked).unwrap(),
            ask(&book, &format!("{asked}&page=2")).unwrap(),
        );
        assert_eq!(
            (&first["paging"]["total"], ids(&first)),
            (&json!("4"), vec!["ORD0".into(), "ORD1".into(), "ORD2".into()])
        );
        assert_eq!(ids(&second), ["ORD3"]);
    }

    #[test]
    fn without_dates_it_means_three_months_and_thirty_rows() {
        let mut book = Book::default();
        let seller = Seller {
            user_id: 44_444,
            access_token: "T".into(),
            webhook_secret: "S".into(),
            webhook_url: None,
            live_mode: true,
        };
        let other = Seller {
            user_id: 5,
            ..seller.clone()
        };
        for day in 0..40 {
            book.create(NOW - day * DAY_MS, &seller, &Charge::new(Method::Card, 1_000));
        }
        book.create(NOW - 100 * DAY_MS, &seller, &Charge::new(Method::Card, 1_000));
        book.create(NOW, &other, &Charge::new(Method::Card, 1_000));
        let found = ask(&book, "").unwrap();
        assert_eq!(
            (
                found["paging"]["total"].as_u64(),
                found["results"].as_array().unwrap().len()
            ),
            (Some(40), 30)
        );
        let asked =
            "sort=date_created&criteria=asc&range=date_created&begin_date=NOW-120DAYS&end_date=NOW&limit=100";
        let found = ask(&book, asked).unwrap();
        assert_eq!(found["paging"]["total"], 41);
        let dates: Vec<_> = found["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| milliseconds(&p["date_created"]))
            .collect();
        assert!(dates.is_sorted());
    }

    #[test]
    fn a_search_finds_what_a_look_at_every_payment_finds() {
        let mut book = Book::default();
        let seller = |user_id| Seller {
            user_id,
            access_token: "T".into(),
            webhook_secret: "S".into(),
            webhook_url: None,
            live_mode: true,
        };
        let mut ids = Vec::new();
        for number in 0_i64..200 {
            let seller = seller(if number % 5 == 0 { 5 } else { 44_444 });
            let at = NOW - (number * 7 % 30) * DAY_MS;
            ids.push(book.create(at, &seller, &Charge::new(Method::Pix, 1_000 + number)));
            // Some are paid, some of these given back, some expire, some are gone.
            let earlier = ids[(number * 31 % (number + 1)) as usize].clone();
            match number % 4 {
                0 => book.pay(NOW - number * 3_600_000, &earlier),
                1 => book.refund(NOW - number * 60_000, &earlier, 10),
                2 => book.tick(NOW - 10 * DAY_MS),
                _ => {}
            }
        }
        book.forget(&ids[7]);
        book.tick(NOW);
        for (range, sort, from, until) in [
            ("date_created", "date_created", 20, 3),
            ("date_last_updated", "date_last_updated", 9, 0),
            ("date_approved", "id", 6, 1),
            ("date_created", "date_last_updated", 30, 0),
            ("money_release_date", "date_created", 3, 5),
        ] {
            let window = (NOW - from * DAY_MS)..=(NOW - until * DAY_MS);
            let mut expected: Vec<&Value> = book
                .payments()
                .iter()
                .filter(|payment| payment["collector_id"] == 44_444)
                .filter(|payment| milliseconds(&payment[range]).is_some_and(|at| window.contains(&at)))
                .collect();
            expected.sort_by_key(|payment| (milliseconds(&payment[sort]), payment["id"].as_i64()));
            let expected: Vec<&Value> = expected.into_iter().map(|payment| &payment["id"]).collect();
            let asked = format!(
                "range={range}&sort={sort}&criteria=asc&begin_date=NOW-{from}DAYS&end_date=NOW-{until}DAYS&limit=500"
            );
            let found = ask(&book, &asked).unwrap();
            let found: Vec<&Value> = found["results"]
                .as_array()
                .unwrap()
                .iter()
                .map(|payment| &payment["id"])
                .collect();
            assert_eq!(found, expected, "{range} {sort}");
            assert_eq!(found.is_empty(), from < until, "{range} {sort}");
        }
        let waiting = book
            .payments()
            .iter()
            .filter(|payment| payment["status"] == "pending");
        assert_eq!(
            waiting
                .filter(|payment| milliseconds(&payment["date_of_expiration"]).unwrap() <= NOW)
                .count(),
            0
        );
    }
}
