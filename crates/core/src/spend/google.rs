//! What the Google Ads interface exports: titles before the header, sums after the rows, in the language of
//! who exported it.

use std::collections::HashMap;

use super::table::{Line, lines, place};
use super::{
    Decimals, FileError, LONGEST_ID, LONGEST_NAME, Reading, SpendFile, SpendRow, count, currency, day,
    micros, word,
};

const DAY: &[&str] = &["day", "dia"];
const CAMPAIGN: &[&str] = &["campaign", "campanha"];
const CAMPAIGN_ID: &[&str] = &["campaign id", "id da campanha"];
const ACCOUNT_ID: &[&str] = &["customer id", "id do cliente"];
const CURRENCY: &[&str] = &["currency code", "currency", "código da moeda", "moeda"];
const COST: &[&str] = &["cost", "custo"];
const IMPRESSIONS: &[&str] = &["impr.", "impressions", "impressões"];
const CLICKS: &[&str] = &["clicks", "cliques"];
const DELIMITERS: [u8; 3] = [b'\t', b';', b','];
/// Titles are one line or two; what has no header by then is another file.
const MOST_TITLES: usize = 10;
/// What stands in a cell of which Google has nothing to say.
const EMPTY: &str = "--";

struct Columns {
    header: u64,
    day: usize,
    campaign: Option<usize>,
    campaign_id: Option<usize>,
    account_id: Option<usize>,
    currency: usize,
    cost: usize,
    impressions: Option<usize>,
    clicks: Option<usize>,
    decimals: Decimals,
    names: Vec<String>,
}

pub(super) fn read(text: &str, reading: &Reading) -> (SpendFile, Vec<FileError>) {
    let mut file = SpendFile {
        rows: Vec::new(),
        left_out: Vec::new(),
    };
    let (lines, columns) = match table(text) {
        Ok(found) => found,
        Err(error) => return (file, vec![error]),
    };
    let mut errors = Vec::new();
    let mut seen: HashMap<_, usize> = HashMap::new();
    for line in lines {
        if line.number <= columns.header || is_sum(&line, &columns) {
            if line.number != columns.header {
                file.left_out.push(line.number);
            }
            continue;
        }
        match row(&line, &columns, reading) {
            // A campaign has several rows a day where the export is also by device or network: they add up.
            Ok(row) => match seen.get(&row.key()) {
                Some(earlier) => {
                    if let Err(error) = add(&mut file.rows[*earlier], &row, &line) {
                        errors.push(error);
                    }
                }
                None => {
                    seen.insert(row.key(), file.rows.len());
                    file.rows.push(row);
                }
            },
            Err(wrong) => errors.extend(wrong),
        }
    }
    (file, errors)
}

/// The lines with the delimiter under which there is a header, and that.
fn table(text: &str) -> Result<(Vec<Line>, Columns), FileError> {
    let mut missing = FileError::new(
        1,
        "-",
        "no header of a Google Ads export was found: Day, Campaign, Cost, ...",
    );
    for delimiter in DELIMITERS {
        let lines = lines(text, delimiter)?;
        for line in lines.iter().take(MOST_TITLES) {
            if place(line, DAY).is_some() && place(line, COST).is_some() {
                match columns(line) {
                    Ok(columns) => return Ok((lines, columns)),
                    Err(error) => missing = error,
                }
            }
        }
    }
    Err(missing)
}

fn columns(header: &Line) -> Result<Columns, FileError> {
    let need = |names: &[&str], why: &str| {
        place(header, names).ok_or_else(|| FileError::new(header.number, names[0], why.to_owned()))
    };
    let campaign = place(header, CAMPAIGN);
    let campaign_id = place(header, CAMPAIGN_ID);
    if campaign.is_none() && campaign_id.is_none() {
        return Err(FileError::new(
            header.number,
            "campaign",
            "is missing: add Campaign or Campaign ID to the export",
        ));
    }
    let is_portuguese = place(header, &["dia", "custo"]).is_some();
    Ok(Columns {
        header: header.number,
        day: need(DAY, "is missing")?,
        campaign,
        campaign_id,
        account_id: place(header, ACCOUNT_ID),
        currency: need(
            CURRENCY,
            "is missing: add Currency code to the export, sums of two currencies mean nothing",
        )?,
        cost: need(COST, "is missing")?,
        impressions: place(header, IMPRESSIONS),
        clicks: place(header, CLICKS),
        decimals: if is_portuguese {
            Decimals::CommaWithGroups
        } else {
            Decimals::PointWithGroups
        },
        names: header.cells.clone(),
    })
}

/// A line without a day: "Total: Campaigns" stands in its place, or elsewhere. Of a campaign that is called
/// Total the day is there.
fn is_sum(line: &Line, columns: &Columns) -> bool {
    let day = line.cell(Some(columns.day));
    day.to_lowercase().starts_with("total") || !day.contains(|letter: char| letter.is_ascii_digit())
}

fn row(line: &Line, columns: &Columns, reading: &Reading) -> Result<SpendRow, Vec<FileError>> {
    let mut errors = Vec::new();
    let cell = |place: Option<usize>| match line.cell(place) {
        EMPTY => "",
        text => text,
    };
    let name = |place: Option<usize>| {
        place
            .and_then(|place| columns.names.get(place))
            .map_or("-", String::as_str)
    };
    let mut note =
        |place: Option<usize>, wrong: String| errors.push(FileError::new(line.number, name(place), wrong));
    let separator = columns.decimals.separator();
    let day_cell = Some(columns.day);
    let day = day(cell(day_cell), reading.day_first, reading.today)
        .map_err(|wrong| note(day_cell, wrong))
        .ok();
    let campaign_name = word(cell(columns.campaign), LONGEST_NAME)
        .map_err(|wrong| note(columns.campaign, wrong))
        .ok();
    let campaign_id = word(cell(columns.campaign_id), LONGEST_ID)
        .map_err(|wrong| note(columns.campaign_id, wrong))
        .ok();
    let account_id = match cell(columns.account_id) {
        "" => reading.account_id.clone(),
        // 123-456-7890 is shown, 1234567890 is the id.
        text => text.replace('-', ""),
    };
    let currency_cell = Some(columns.currency);
    let currency = currency(cell(currency_cell))
        .map_err(|wrong| note(currency_cell, wrong))
        .ok();
    let cost_cell = Some(columns.cost);
    let cost_micros = match cell(cost_cell) {
        "" => Some(0),
        text => micros(text, columns.decimals)
            .map_err(|wrong| note(cost_cell, wrong.to_owned()))
            .ok(),
    };
    let mut number = |place: Option<usize>| {
        count(cell(place), separator)
            .map_err(|wrong| note(place, wrong))
            .ok()
    };
    let (impressions, clicks) = (number(columns.impressions), number(columns.clicks));
    if campaign_id.as_deref() == Some("") && campaign_name.as_deref() == Some("") {
        note(columns.campaign.or(columns.campaign_id), "is required".to_owned());
    }
    let row = || {
        Some(SpendRow {
            channel: "google".to_owned(),
            account_id,
            day: day?,
            campaign_id: campaign_id?,
            campaign_name: campaign_name?,
            cost_micros: cost_micros?,
            currency: currency?,
            impressions: impressions?,
            clicks: clicks?,
        })
    };
    match row() {
        Some(row) if errors.is_empty() => Ok(row),
        _ => Err(errors),
    }
}

fn add(row: &mut SpendRow, more: &SpendRow, line: &Line) -> Result<(), FileError> {
    if row.currency != more.currency {
        let detail = "has another currency than an earlier line of the same campaign and day";
        return Err(FileError::new(line.number, "-", detail));
    }
    let sum = |a: Option<i64>, b: Option<i64>| match (a, b) {
        (Some(a), Some(b)) => a.checked_add(b).map(Some),
        (one, other) => Some(one.or(other)),
    };
    let added = || {
        let cost = row.cost_micros.checked_add(more.cost_micros)?;
        Some((
            cost,
            sum(row.impressions, more.impressions)?,
            sum(row.clicks, more.clicks)?,
        ))
    };
    let Some((cost, impressions, clicks)) = added() else {
        return Err(FileError::new(
            line.number,
            "-",
            "the sum with the earlier lines is too large",
        ));
    };
    (row.cost_micros, row.impressions, row.clicks) = (cost, impressions, clicks);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Format, read};
    use super::*;

    fn reading() -> Reading {
        Reading {
            decimal_comma: false,
            day_first: false,
            account_id: "1234567890".to_owned(),
            today: "2026-11-28".parse().unwrap(),
        }
    }

    const PORTUGUESE: &str = "Relatório de campanhas\n\"1 de nov. de 2026 - 2 de nov. de 2026\"\n\
        Dia\tCampanha\tID da campanha\tCódigo da moeda\tCusto\tImpr.\tCliques\n\
        2026-11-01\tClareamento\t00711\tBRL\t1.234,56\t12.345\t678\n\
        2026-11-02\tClareamento\t00711\tBRL\t--\t--\t--\n\
        Total: campanhas\t--\t--\tBRL\t1.234,56\t12.345\t678\n\
        Total: conta\t--\t--\tBRL\t1.234,56\t12.345\t678\n";

    fn utf16(text: &str) -> Vec<u8> {
        format!("\u{FEFF}{text}")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect()
    }

    #[test]
    fn the_portuguese_export_in_utf_16_is_read() {
        let file = read(&utf16(PORTUGUESE), Format::GoogleAds, &reading()).unwrap();
        assert_eq!(file.left_out, [1, 2, 6, 7]);
        let [first, second] = &file.rows[..] else {
            panic!("{file:?}")
        };
        assert_eq!(
            (&*first.channel, &*first.account_id, &*first.campaign_id),
            ("google", "1234567890", "00711")
        );
        assert_eq!(
            (first.cost_micros, first.impressions, first.clicks),
            (1_234_560_000, Some(12_345), Some(678))
        );
        assert_eq!((second.cost_micros, second.impressions), (0, None));
    }

    #[test]
    fn the_english_export_in_utf_8_is_read_and_rows_by_device_add_up() {
        let text = "Campaign report\n\"November 1, 2026 - November 1, 2026\"\n\
            Campaign,Day,Device,Customer ID,Currency code,Cost,Impr.,Clicks\n\
            Search,2026-11-01,Mobile,123-456-7890,BRL,\"1,000.50\",\"1,000\",5\n\
            Search,2026-11-01,Desktop,123-456-7890,BRL,0.50,10,1\n\
            Total: Campaigns,--,--,--,BRL,\"1,001.00\",\"1,010\",6\n";
        let file = read(text.as_bytes(), Format::GoogleAds, &reading()).unwrap();
        let [row] = &file.rows[..] else { panic!("{file:?}") };
        assert_eq!(
            (row.cost_micros, row.impressions, row.clicks),
            (1_001_000_000, Some(1010), Some(6))
        );
        assert_eq!(
            (&*row.account_id, row.campaign_key()),
            ("1234567890", "name:search".to_owned())
        );
    }

    #[test]
    fn a_campaign_may_be_called_total() {
        let text = "Campaign,Day,Currency code,Cost\n\
            Total Clareamento,2026-11-01,BRL,12.50\n\
            Total: Campaigns,--,BRL,12.50\n\
            Total: Account,,BRL,12.50\n";
        let file = read(text.as_bytes(), Format::GoogleAds, &reading()).unwrap();
        assert_eq!(file.left_out, [3, 4]);
        let names: Vec<_> = file
            .rows
            .iter()
            .map(|row| (&*row.campaign_name, row.cost_micros))
            .collect();
        assert_eq!(names, [("Total Clareamento", 12_500_000)]);
        // The account's number has digits, and no day.
        let text = "Day,Campaign,Currency code,Cost\n2026-11-01,a,BRL,1.00\nTotal: 123-456,,BRL,1.00\n";
        let file = read(text.as_bytes(), Format::GoogleAds, &reading()).unwrap();
        assert_eq!((file.rows.len(), file.left_out), (1, vec![3]));
    }

    #[test]
    fn a_row_that_was_meant_as_one_is_not_left_out() {
        let text = PORTUGUESE
            .replace("2026-11-02\tClareamento", "2 nov 2026\t--")
            .replace("00711\tBRL\t--", "--\tR$\t1,2,3");
        let errors = read(text.as_bytes(), Format::GoogleAds, &reading()).unwrap_err();
        let named: Vec<(u64, &str)> = errors.iter().map(|error| (error.line, &*error.column)).collect();
        assert_eq!(
            named,
            [(5, "Dia"), (5, "Código da moeda"), (5, "Custo"), (5, "Campanha")]
        );
    }

    #[test]
    fn an_export_without_its_currency_or_header_is_refused() {
        let text = PORTUGUESE.replace("Código da moeda", "Tipo");
        let errors = read(text.as_bytes(), Format::GoogleAds, &reading()).unwrap_err();
        assert_eq!((errors[0].line, &*errors[0].column), (3, "currency code"));
        let errors = read(b"a,b\n1,2\n", Format::GoogleAds, &reading()).unwrap_err();
        assert_eq!(&*errors[0].column, "-");
    }
}
