//! Bytes of a file as lines of cells: its encoding, its delimiter and its header.

use super::FileError;

/// Nobody's table of campaigns has as many columns.
const MOST_COLUMNS: usize = 200;

/// A row, by the line on which it begins.
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) cells: Vec<String>,
}

/// UTF-8, or UTF-16 that begins with its mark, as spreadsheets and Google write it.
pub(crate) fn decode(bytes: &[u8]) -> Result<String, Vec<FileError>> {
    let wrong = |detail: &str| Err(vec![FileError::new(1, "-", detail)]);
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes.as_chunks::<2>();
        let text = char::decode_utf16(units.iter().copied().map(unit)).collect::<Result<String, _>>();
        text.ok().filter(|_| rest.is_empty())
    };
    let text = match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        bytes => String::from_utf8(bytes.to_vec()).ok(),
    };
    match text {
        Some(text) if text.contains('\0') => wrong("the file is not text in UTF-8 or UTF-16 with its mark"),
        // One kind of line end: the reader counts the lines of the other kind one late.
        Some(text) => Ok(text.replace("\r\n", "\n")),
        None => wrong("the file is not text in UTF-8 or UTF-16 with its mark: save it as UTF-8"),
    }
}

/// The lines of a file with this delimiter.
pub(crate) fn lines(text: &str, delimiter: u8) -> Result<Vec<Line>, FileError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(1, csv::Position::line);
            FileError::new(line, "-", "cannot be read as a line of a CSV file")
        })?;
        let number = record.position().map_or(1, csv::Position::line);
        if record.len() > MOST_COLUMNS {
            return Err(FileError::new(number, "-", "has more than 200 columns"));
        }
        lines.push(Line {
            number,
            cells: record.iter().map(str::to_owned).collect(),
        });
    }
    Ok(lines)
}

/// Where a column stands in a header; names are compared in lower case.
pub(crate) fn place(header: &Line, names: &[&str]) -> Option<usize> {
    header
        .cells
        .iter()
        .position(|cell| names.contains(&cell.to_lowercase().as_str()))
}

impl Line {
    pub(crate) fn cell(&self, place: Option<usize>) -> &str {
        place
            .and_then(|place| self.cells.get(place))
            .map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_told_by_their_mark_and_by_nothing_else() {
        let utf16: Vec<u8> = "\u{FEFF}Código"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(decode(&utf16).unwrap(), "Código");
        let big: Vec<u8> = "\u{FEFF}Código"
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        assert_eq!(decode(&big).unwrap(), "Código");
        assert_eq!(decode("\u{FEFF}Código".as_bytes()).unwrap(), "Código");
        for wrong in [
            &b"C\xF3digo"[..],
            &utf16[2..],
            &utf16[..utf16.len() - 1],
            b"\xFF\xFE\x00\xD8",
        ] {
            assert!(decode(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn cells_are_quoted_as_rfc_4180_says_and_lines_counted_as_an_editor_does() {
        let text = decode(b"a;b\r\n\"x;\"\"y\"\"\nz\";2\r\n3;4\n").unwrap();
        let lines = lines(&text, b';').unwrap();
        assert_eq!(lines[1].cells, ["x;\"y\"\nz", "2"]);
        assert_eq!(
            lines.iter().map(|line| line.number).collect::<Vec<_>>(),
            [1, 2, 4]
        );
    }
}
