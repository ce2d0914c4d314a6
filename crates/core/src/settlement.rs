//! A provider's report of what it really credited: the final net of each payment, and so its final fee.
//!
//! Read whole or not at all. A number is never guessed: one that reads as two amounts is refused, a time
//! needs its offset.
//!
//! Source: Mercado Pago, "Account money report" (settlement) and "Released money report": their columns and
//! transaction types.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::dataset::Currency;
use crate::payment::minor_units;
use crate::spend::FileError;
use crate::spend::table::{Line, decode, lines, place};

const DELIMITERS: [u8; 3] = [b';', b',', b'\t'];
const MOST_ERRORS: usize = 100;

/// Which of its reports it is. An account is settled by one of them: both tell of the same money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// All that entered the account, when it was credited.
    Settlement,
    /// When it could be spent.
    Release,
}

impl ReportKind {
    /// The word that is stored, and the one in Mercado Pago's addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            ReportKind::Settlement => "settlement",
            ReportKind::Release => "release",
        }
    }
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// A payment was credited.
    Sale,
    /// It was given back, taken back, held, or returned after a dispute.
    Return,
}

impl RowKind {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            RowKind::Sale => "sale",
            RowKind::Return => "return",
        }
    }
}

/// What a payment moved, at one time. Amounts are signed, in the smallest unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledRow {
    pub payment_id: String,
    /// The same row has the same in every report of its kind.
    pub row_key: String,
    pub kind: RowKind,
    /// Of the sale; what is given back is negative.
    pub gross_minor: i64,
    /// What the account is credited. The rest of the gross is what the seller pays.
    pub net_minor: i64,
    /// `None`: it was sold in one and settled in another.
    pub currency: Option<Currency>,
    pub at: DateTime<Utc>,
}

/// A report, valid as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub kind: ReportKind,
    pub rows: Vec<SettledRow>,
    /// Rows that are of no payment: balances, withdrawals, payouts, ...
    pub others: u64,
}

/// Where the columns are. Names are Mercado Pago's English ones, which its API writes whatever the account's
/// language is, if its configuration says so.
struct Columns {
    kind: ReportKind,
    source: Option<usize>,
    word: Option<usize>,
    /// Only a release has it.
    description: Option<usize>,
    gross: Option<usize>,
    /// Net; of a release its credit.
    net: Option<usize>,
    debit: Option<usize>,
    sold_in: Option<usize>,
    settled_in: Option<usize>,
    at: Option<usize>,
}

impl Columns {
    fn of(header: &Line) -> Option<Self> {
        let at = |name: &str| place(header, &[name]);
        let settlement = Columns {
            kind: ReportKind::Settlement,
            source: at("source_id"),
            word: at("transaction_type"),
            description: None,
            gross: at("transaction_amount"),
            net: at("settlement_net_amount"),
            debit: None,
            sold_in: at("transaction_currency"),
            settled_in: at("settlement_currency"),
            at: at("settlement_date"),
        };
        let release = Columns {
            kind: ReportKind::Release,
            word: at("record_type"),
            description: at("description"),
            gross: at("gross_amount"),
            net: at("net_credit_amount"),
            debit: at("net_debit_amount"),
            sold_in: None,
            settled_in: None,
            at: at("date"),
            ..settlement
        };
        let is_settlement = [
            settlement.source,
            settlement.word,
            settlement.gross,
            settlement.net,
            settlement.sold_in,
            settlement.settled_in,
            settlement.at,
        ];
        let is_release = [
            release.source,
            release.word,
            release.description,
            release.gross,
            release.net,
            release.debit,
            release.at,
        ];
        match (
            is_settlement.iter().all(Option::is_some),
            is_release.iter().all(Option::is_some),
        ) {
            (true, _) => Some(settlement),
            (_, true) => Some(release),
            _ => None,
        }
    }
}

/// Reads a report. `currency`: of the account; a release names none.
///
/// # Errors
/// All that is wrong in it, at most the first hundred.
pub fn read(bytes: &[u8], currency: Currency) -> Result<Report, Vec<FileError>> {
    let text = decode(bytes)?;
    let mut found = None;
    for delimiter in DELIMITERS {
        if let Some(first) = text.lines().next().map(|first| lines(first, delimiter)) {
            let header = first.map_err(|error| vec![error])?;
            if let Some(columns) = header.first().and_then(Columns::of) {
                found = Some((columns, delimiter));
                break;
            }
        }
    }
    let Some((columns, delimiter)) = found else {
        let detail = "is no header of a settlement or release report with its English columns: SOURCE_ID, TRANSACTION_TYPE, \
            TRANSACTION_AMOUNT, TRANSACTION_CURRENCY, SETTLEMENT_NET_AMOUNT, SETTLEMENT_CURRENCY, SETTLEMENT_DATE; or SOURCE_ID, \
            DATE, RECORD_TYPE, DESCRIPTION, GROSS_AMOUNT, NET_CREDIT_AMOUNT, NET_DEBIT_AMOUNT";
        return Err(vec![FileError::new(1, "-", detail)]);
    };
    let all = lines(&text, delimiter).map_err(|error| vec![error])?;
    let mut report = Report {
        kind: columns.kind,
        rows: Vec::new(),
        others: 0,
    };
    let (mut errors, mut seen) = (Vec::new(), HashMap::new());
    for line in all.iter().skip(1) {
        match columns.row(line, currency) {
            Ok(Some(mut row)) => {
                // Two refunds of one amount at one time are two.
                let count = seen
                    .entry((row.payment_id.clone(), row.row_key.clone()))
                    .or_insert(0);
                *count += 1;
                row.row_key = format!("{}:{count}", row.row_key);
                report.rows.push(row);
            }
            Ok(None) => report.others += 1,
            Err(error) => errors.push(error),
        }
        if errors.len() == MOST_ERRORS {
            break;
        }
    }
    match errors.is_empty() {
        true => Ok(report),
        false => Err(errors),
    }
}

impl Columns {
    /// `None`: it is of no payment.
    fn row(&self, line: &Line, account: Currency) -> Result<Option<SettledRow>, FileError> {
        let wrong = |column: &str, detail: &str| FileError::new(line.number, column, detail);
        let (source, word) = (line.cell(self.source), line.cell(self.word).to_uppercase());
        let word = match self.kind {
            ReportKind::Settlement => word,
            ReportKind::Release if word == "RELEASE" => line.cell(self.description).to_uppercase(),
            // Balances.
            ReportKind::Release => return Ok(None),
        };
        let kind = match word.as_str() {
            "SETTLEMENT" | "PAYMENT" => RowKind::Sale,
            word if ["REFUND", "CHARGEBACK", "DISPUTE"]
                .iter()
                .any(|known| word.contains(known)) =>
            {
                RowKind::Return
            }
            _ => return Ok(None),
        };
        if source.is_empty() {
            return Ok(None);
        }
        if source.len() > 30 || !source.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong("SOURCE_ID", "is no number of a payment"));
        }
        let currency_of = |place: Option<usize>, name: &str| match place {
            None => Ok(account),
            Some(_) => Currency::parse(line.cell(place)).ok_or_else(|| wrong(name, "is no currency")),
        };
        let settled_in = currency_of(self.settled_in, "SETTLEMENT_CURRENCY")?;
        let sold_in = currency_of(self.sold_in, "TRANSACTION_CURRENCY")?;
        let amount = |place: Option<usize>, name: &str, currency| {
            let cell = line.cell(place);
            let text = match cell.contains('.') {
                true => cell.to_owned(),
                false => cell.replacen(',', ".", 1),
            };
            minor_units(&text, currency)
                .ok_or_else(|| wrong(name, "is no amount of its currency, such as 225.96 or 225,96"))
        };
        let (gross_minor, net_minor, at_name) = match self.kind {
            ReportKind::Settlement => (
                amount(self.gross, "TRANSACTION_AMOUNT", sold_in)?,
                amount(self.net, "SETTLEMENT_NET_AMOUNT", settled_in)?,
                "SETTLEMENT_DATE",
            ),
            ReportKind::Release => (
                amount(self.gross, "GROSS_AMOUNT", account)?,
                amount(self.net, "NET_CREDIT_AMOUNT", account)?
                    - amount(self.debit, "NET_DEBIT_AMOUNT", account)?,
                "DATE",
            ),
        };
        let at = DateTime::parse_from_rfc3339(line.cell(self.at))
            .map_err(|_| {
                wrong(
                    at_name,
                    "is no time with its offset, such as 2026-11-10T13:22:40.000-03:00",
                )
            })?
            .to_utc();
        Ok(Some(SettledRow {
            payment_id: source.to_owned(),
            row_key: format!("{word}:{}:{gross_minor}:{net_minor}", at.timestamp_millis()),
            kind,
            gross_minor,
            net_minor,
            currency: (settled_in == sold_in).then_some(settled_in),
            at,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "EXTERNAL_REFERENCE;SOURCE_ID;USER_ID;TRANSACTION_TYPE;TRANSACTION_AMOUNT;TRANSACTION_CURRENCY;\
        TRANSACTION_DATE;FEE_AMOUNT;SETTLEMENT_NET_AMOUNT;SETTLEMENT_CURRENCY;SETTLEMENT_DATE";

    fn brl() -> Currency {
        Currency::parse("BRL").unwrap()
    }

    fn report(rows: &[&str]) -> Result<Report, Vec<FileError>> {
        read(format!("{HEADER}\r\n{}\r\n", rows.join("\r\n")).as_bytes(), brl())
    }

    #[test]
    fn a_settlement_is_read_with_points_or_commas_and_what_is_no_payment_is_left_out() {
        let sale = "7;111;44444;SETTLEMENT;269.00;BRL;2026-11-10T13:22:00.000-03:00;-43.04;225.96;BRL;2026-11-10T13:22:40.000-03:00";
        let refund = "7;111;44444;REFUND;-69,00;BRL;2026-11-12T00:00:00.000-03:00;0,00;-69,00;BRL;2026-11-12T00:00:00.000-03:00";
        let payout = ";;44444;PAYOUT;-100.00;BRL;;0;-100.00;BRL;2026-11-12T00:00:00.000-03:00";
        let read = report(&[sale, refund, refund, payout]).unwrap();
        assert_eq!(
            (read.kind, read.rows.len(), read.others),
            (ReportKind::Settlement, 3, 1)
        );
        let row = &read.rows[0];
        assert_eq!(
            (row.gross_minor, row.net_minor, row.kind),
            (26_900, 22_596, RowKind::Sale)
        );
        assert_eq!(row.at.to_rfc3339(), "2026-11-10T16:22:40+00:00");
        assert_eq!(read.rows[1].gross_minor, -6_900);
        assert_ne!(read.rows[1].row_key, read.rows[2].row_key);
        // The same in UTF-16 with tabs, as a spreadsheet writes it.
        let tabs = format!("{HEADER}\n{sale}\n").replace(';', "\t");
        let mut utf16 = vec![0xFF, 0xFE];
        utf16.extend(tabs.encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(super::read(&utf16, brl()).unwrap().rows[0], *row);
    }

    #[test]
    fn the_documented_example_of_a_release_is_read() {
        let text = "DATE,SOURCE_ID,EXTERNAL_REFERENCE,RECORD_TYPE,DESCRIPTION,NET_CREDIT_AMOUNT,NET_DEBIT_AMOUNT,GROSS_AMOUNT,\
            MP_FEE_AMOUNT\n\
            2026-11-01T00:00:00.000-03:00,,,initial_available_balance,,813439.19,0.00,813439.19,0.00\n\
            2026-11-02T10:00:00.000-03:00,111,7,release,payment,225.96,0.00,269.00,-43.04\n\
            2026-11-03T10:00:00.000-03:00,111,7,release,refund,0.00,225.96,-269.00,43.04\n";
        let read = read(text.as_bytes(), brl()).unwrap();
        let rows: Vec<_> = read
            .rows
            .iter()
            .map(|row| (row.kind, row.gross_minor, row.net_minor))
            .collect();
        assert_eq!((read.kind, read.others), (ReportKind::Release, 1));
        assert_eq!(
            rows,
            [
                (RowKind::Sale, 26_900, 22_596),
                (RowKind::Return, -26_900, -22_596)
            ]
        );
    }

    #[test]
    fn every_wrong_cell_is_named_and_nothing_is_read() {
        let row = |id: &str, amount: &str, currency: &str, at: &str| {
            format!(";{id};4;SETTLEMENT;{amount};{currency};;0;1.00;BRL;{at}")
        };
        let time = "2026-11-10T13:22:40.000-03:00";
        let rows = [
            row("1", "1.00", "BRL", time),
            row("PAY01", "1.00", "BRL", time),
            row("2", "1.234,00", "BRL", time),
            row("3", "1,234", "BRL", time),
            row("4", "1.00", "R$", time),
            row("5", "1.00", "BRL", "10/11/2026 13:22"),
        ];
        let errors = report(&rows.iter().map(String::as_str).collect::<Vec<_>>()).unwrap_err();
        let named: Vec<_> = errors
            .iter()
            .map(|error| (error.line, error.column.as_str()))
            .collect();
        let expected = [
            (3, "SOURCE_ID"),
            (4, "TRANSACTION_AMOUNT"),
            (5, "TRANSACTION_AMOUNT"),
            (6, "TRANSACTION_CURRENCY"),
            (7, "SETTLEMENT_DATE"),
        ];
        assert_eq!(named, expected);
        let dollars = report(&[&row("6", "1.00", "USD", time)]).unwrap();
        assert_eq!(dollars.rows[0].currency, None);
        for other in ["", "a;b\n1;2\n", "Data;Valor\n"] {
            assert!(read(other.as_bytes(), brl()).is_err(), "{other}");
        }
    }
}
