//! Our own spend file: UTF-8, a header, `,` or `;` between the cells.

use std::collections::HashMap;

use super::table::{Line, lines, place};
use super::{
    Decimals, FileError, LONGEST_ID, LONGEST_NAME, Reading, SpendFile, SpendRow, channel, count, currency,
    day, micros, word,
};

const COLUMNS: [&str; 9] = [
    "date",
    "channel",
    "account_id",
    "campaign_id",
    "campaign_name",
    "spend",
    "currency",
    "impressions",
    "clicks",
];
const REQUIRED: [&str; 4] = ["date", "channel", "spend", "currency"];

pub(super) fn read(text: &str, reading: &Reading) -> (SpendFile, Vec<FileError>) {
    let mut file = SpendFile {
        rows: Vec::new(),
        left_out: Vec::new(),
    };
    let first = text.lines().next().unwrap_or_default();
    let delimiter = if first.contains(';') { b';' } else { b',' };
    let lines = match lines(text, delimiter) {
        Ok(lines) => lines,
        Err(error) => return (file, vec![error]),
    };
    let Some((header, rows)) = lines.split_first() else {
        return (file, vec![FileError::new(1, "-", "the file is empty")]);
    };
    let mut errors = header_errors(header);
    if !errors.is_empty() {
        return (file, errors);
    }
    let mut seen: HashMap<_, u64> = HashMap::new();
    for line in rows {
        match row(header, line, reading) {
            Ok(row) => match seen.insert(row.key(), line.number) {
                None => file.rows.push(row),
                Some(earlier) => {
                    let detail =
                        format!("is of the same channel, account, day and campaign as line {earlier}");
                    errors.push(FileError::new(line.number, "-", detail));
                }
            },
            Err(wrong) => errors.extend(wrong),
        }
    }
    (file, errors)
}

fn header_errors(header: &Line) -> Vec<FileError> {
    let mut errors = Vec::new();
    for name in REQUIRED {
        if place(header, &[name]).is_none() {
            errors.push(FileError::new(header.number, name, "is missing in the header"));
        }
    }
    if place(header, &["campaign_id", "campaign_name"]).is_none() {
        errors.push(FileError::new(
            header.number,
            "campaign_id",
            "and campaign_name are both missing in the header",
        ));
    }
    for (index, cell) in header.cells.iter().enumerate() {
        let name = cell.to_lowercase();
        if !COLUMNS.contains(&name.as_str()) {
            let detail = format!("is not a column of spend; those are {}", COLUMNS.join(", "));
            errors.push(FileError::new(header.number, cell, detail));
        } else if place(header, &[&name]) != Some(index) {
            errors.push(FileError::new(header.number, cell, "stands twice in the header"));
        }
    }
    errors
}

fn row(header: &Line, line: &Line, reading: &Reading) -> Result<SpendRow, Vec<FileError>> {
    let mut errors = Vec::new();
    if line.cells.len() != header.cells.len() {
        let detail = format!(
            "has {} cells, the header {}",
            line.cells.len(),
            header.cells.len()
        );
        return Err(vec![FileError::new(line.number, "-", detail)]);
    }
    let cell = |name: &str| line.cell(place(header, &[name]));
    let mut or_note = |name: &str, wrong: String| errors.push(FileError::new(line.number, name, wrong));
    macro_rules! read {
        ($name:literal, $value:expr) => {{
            let text: &str = cell($name);
            let read: fn(&str, &Reading) -> Result<_, String> = $value;
            read(text, reading).map_err(|wrong| or_note($name, wrong)).ok()
        }};
    }
    let day = read!("date", |text, reading| day(
        text,
        reading.day_first,
        reading.today
    ));
    let channel = read!("channel", |text, _| channel(text));
    let account_id = read!("account_id", |text, _| word(text, LONGEST_ID));
    let campaign_id = read!("campaign_id", |text, _| word(text, LONGEST_ID));
    let campaign_name = read!("campaign_name", |text, _| word(text, LONGEST_NAME));
    let cost_micros = read!("spend", |text, reading| {
        let decimals = if reading.decimal_comma {
            Decimals::Comma
        } else {
            Decimals::Point
        };
        micros(text, decimals).map_err(str::to_owned)
    });
    let currency = read!("currency", |text, _| currency(text));
    let impressions = read!("impressions", |text, _| count(text, None));
    let clicks = read!("clicks", |text, _| count(text, None));
    if campaign_id.as_deref() == Some("") && campaign_name.as_deref() == Some("") {
        or_note(
            "campaign_id",
            "is required where there is no campaign_name".to_owned(),
        );
    }
    let row = || {
        Some(SpendRow {
            channel: channel?,
            account_id: account_id?,
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

#[cfg(test)]
mod tests {
    use super::super::{Format, read};
    use super::*;

    fn reading() -> Reading {
        Reading {
            decimal_comma: false,
            day_first: false,
            account_id: String::new(),
            today: "2026-11-28".parse().unwrap(),
        }
    }

    fn errors(text: &str, reading: &Reading) -> Vec<(u64, String)> {
        let errors = read(text.as_bytes(), Format::Rastro, reading).unwrap_err();
        errors
            .into_iter()
            .map(|error| (error.line, error.column))
            .collect()
    }

    #[test]
    fn a_right_file_is_read_with_leading_zeros_and_names_as_they_are() {
        let text = "date,channel,account_id,campaign_id,campaign_name,spend,currency,impressions,clicks\n\
            2026-11-01,meta,act_1,0012,\"Verão, já\",123.45,brl,1000,17\n\
            2026-11-01,influencer,,,Bia,500,BRL,,\n";
        let file = read(text.as_bytes(), Format::Rastro, &reading()).unwrap();
        let [meta, bia] = &file.rows[..] else {
            panic!("{file:?}")
        };
        assert_eq!(
            (&*meta.campaign_id, &*meta.campaign_name, meta.cost_micros),
            ("0012", "Verão, já", 123_450_000)
        );
        assert_eq!(
            (meta.currency.as_str(), meta.impressions, meta.clicks),
            ("BRL", Some(1000), Some(17))
        );
        assert_eq!(
            (bia.campaign_key(), bia.impressions),
            ("name:bia".to_owned(), None)
        );
    }

    #[test]
    fn every_wrong_cell_is_named_by_its_line_and_column() {
        let text = "date,channel,campaign_id,campaign_name,spend,currency,clicks\n\
            2026-11-01,meta,1,,10.00,BRL,1\n\
            01/11/2026,Meta,,,\"10,00\",REAL,-1\n\
            2026-11-29,meta,1,,-5,BRL,1.5\n\
            2026-11-01,meta,1,other name,11.00,BRL,1\n\
            2026-11-01,meta\n";
        let expected = [
            (3, "date"),
            (3, "channel"),
            (3, "spend"),
            (3, "currency"),
            (3, "clicks"),
            (3, "campaign_id"),
            (4, "date"),
            (4, "spend"),
            (4, "clicks"),
            (5, "-"),
            (6, "-"),
        ];
        assert_eq!(
            errors(text, &reading()),
            expected.map(|(line, column)| (line, column.to_owned()))
        );
    }

    #[test]
    fn commas_and_days_first_are_read_only_when_said() {
        let text = "date,channel,campaign_name,spend,currency\n2026-11-01,whatsapp,a,10,BRL\n";
        let file = read(text.as_bytes(), Format::Rastro, &reading()).unwrap();
        assert_eq!(
            file.rows[0].channel, "whatsapp_ads",
            "as touches that were paid for"
        );
        let text = "date;channel;campaign_name;spend;currency\n01/11/2026;meta;a;10,50;BRL\n";
        assert_eq!(errors(text, &reading()).len(), 2);
        let said = Reading {
            decimal_comma: true,
            day_first: true,
            ..reading()
        };
        let file = read(text.as_bytes(), Format::Rastro, &said).unwrap();
        assert_eq!(file.rows[0].cost_micros, 10_500_000);
        assert_eq!(file.rows[0].day.to_string(), "2026-11-01");
    }

    #[test]
    fn a_header_that_is_another_files_is_refused() {
        for (text, column) in [
            ("date,channel,campaign_id,spend\n", "currency"),
            ("date,channel,campaign_id,spend,currency,cost\n", "cost"),
            ("date,channel,campaign_id,spend,currency,date\n", "date"),
            ("date,channel,spend,currency\n", "campaign_id"),
            ("date,channel,campaign_id,spend,currency\n", "-"),
            ("", "-"),
        ] {
            assert_eq!(errors(text, &reading()), [(1, column.to_owned())], "{text}");
        }
    }
}
