//! Statements have none of the forms that Citus refuses or takes apart (deploy/citus/README.md), so that the
//! same programs run where a cell is a distributed schema. This reads the SQL; whether Citus runs it,
//! `make test-citus` asks one.
#![allow(clippy::unwrap_used, reason = "a test has nobody to return an error to")]

use std::fs;
use std::path::{Path, PathBuf};

/// What is let through, as all of its tables are in one schema, and so on one node, to which Citus sends it
/// whole. Nothing else goes from one source or currency of spend, or one lane of the queue, to the next by an
/// index, past its rows.
const EXCEPTIONS: [(&str, &str); 3] = [
    ("sql/purchase_places.sql", "a recursive CTE"),
    ("sql/revenue_scope.sql", "a recursive CTE"),
    ("sql/rules/spend_stale.sql", "a recursive CTE"),
];
/// Whatever is not the same each time it is called within a statement, or not known to be.
const NOT_IMMUTABLE: [&str; 4] = ["NOW(", "CLOCK_TIMESTAMP(", "RANDOM(", "GEN_RANDOM_UUID("];

/// One statement, in upper case, without comments, with single blanks.
fn plain(sql: &str) -> String {
    let lines = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    let words: Vec<String> = lines
        .flat_map(str::split_whitespace)
        .map(str::to_uppercase)
        .collect();
    words.join(" ").replace("( ", "(").replace(" )", ")")
}

/// Names of the CTEs of a statement.
fn named_by_with(sql: &str) -> Vec<&str> {
    let mut names = Vec::new();
    if sql.starts_with("WITH ") {
        for opening in [
            " AS (SELECT",
            " AS MATERIALIZED (SELECT",
            " AS (UPDATE",
            " AS (DELETE",
            " AS (VALUES",
        ] {
            let before = sql.match_indices(opening).map(|(at, _)| &sql[..at]);
            names.extend(before.filter_map(|text| text.rsplit([' ', ',', '(']).next()));
        }
    }
    names
}

/// The innermost parentheses around a place.
fn around(sql: &str, at: usize) -> &str {
    let mut depth = 0;
    for (index, byte) in sql.as_bytes()[..at].iter().enumerate().rev() {
        match byte {
            b')' => depth += 1,
            b'(' if depth == 0 => return &sql[index..at],
            b'(' => depth -= 1,
            _ => {}
        }
    }
    &sql[..at]
}

/// What a statement has that Citus cannot have.
fn forms(sql: &str) -> Vec<&'static str> {
    let sql = plain(sql);
    let mut found = Vec::new();
    if ["AS (INSERT ", "MATERIALIZED (INSERT "]
        .iter()
        .any(|text| sql.contains(text))
    {
        found.push("an INSERT inside WITH");
    }
    if sql.contains("CTID") {
        found.push("ctid");
    }
    if sql.contains("WITH RECURSIVE") {
        found.push("a recursive CTE");
    }
    let updates = sql
        .split("UPDATE ")
        .skip(1)
        .filter(|rest| !rest.starts_with("SET ") && !rest.starts_with("OF "));
    // NOW() is the same for a whole transaction, and Citus sends its value.
    if updates
        .filter(|rest| rest.contains(" SET "))
        .any(|rest| NOT_IMMUTABLE[1..].iter().any(|call| rest.contains(call)))
    {
        found.push("a volatile function in an UPDATE");
    }
    let on_conflict = sql.split_once("DO UPDATE").map_or("", |(_, rest)| rest);
    if NOT_IMMUTABLE.iter().any(|call| on_conflict.contains(call)) {
        found.push("a function of time in DO UPDATE");
    }
    for lock in ["FOR UPDATE OF", "FOR NO KEY UPDATE OF"] {
        let joined = |at| {
            let query = around(&sql, at);
            named_by_with(&sql).iter().any(|name| {
                [
                    format!("JOIN {name} "),
                    format!("FROM {name} "),
                    format!(", {name} "),
                ]
                .iter()
                .any(|text| query.contains(text.as_str()))
            })
        };
        if sql.match_indices(lock).any(|(at, _)| joined(at)) {
            found.push("FOR UPDATE OF beside a joined CTE");
        }
    }
    found
}

/// Every statement of the store, with the file that it is in.
fn statements() -> Vec<(String, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, files),
                false => files.push(path),
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    let mut statements = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        let text = fs::read_to_string(&file).unwrap();
        if name.ends_with(".sql") {
            statements.push((name, text));
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_sql = |text: &&str| {
            let first = text.split_whitespace().next().unwrap_or_default();
            ["WITH", "SELECT", "INSERT", "UPDATE", "DELETE"].contains(&first)
        };
        // Between quotes: every second piece. An escaped quote only moves the border, and is in no statement
        // of ours.
        let literals = code.split('"').skip(1).step_by(2).filter(is_sql);
        statements.extend(literals.map(|literal| (name.clone(), literal.to_owned())));
    }
    statements
}

#[test]
fn each_form_is_noticed() {
    for (sql, form) in [
        (
            "WITH new AS (\n INSERT INTO a SELECT 1 RETURNING *) SELECT 1",
            "an INSERT inside WITH",
        ),
        ("DELETE FROM a WHERE ctid = ANY ($1)", "ctid"),
        (
            "WITH RECURSIVE l AS (SELECT 1 UNION ALL SELECT 2) SELECT 1",
            "a recursive CTE",
        ),
        (
            "UPDATE a SET due = $1 + random() * $2",
            "a volatile function in an UPDATE",
        ),
        (
            "INSERT INTO a VALUES ($1) ON CONFLICT (b) DO UPDATE SET updated_at = rastro_now()",
            "a function of time in DO UPDATE",
        ),
        (
            "WITH due AS (SELECT 1), l AS (SELECT q.a FROM q JOIN due USING (a) FOR UPDATE OF q SKIP LOCKED) SELECT 1",
            "FOR UPDATE OF beside a joined CTE",
        ),
    ] {
        assert_eq!(forms(sql), [form], "{sql}");
    }
    for sql in [
        "INSERT INTO a VALUES ($1, rastro_now()) ON CONFLICT (b) DO UPDATE SET at = excluded.at",
        "WITH due AS (SELECT n.a FROM n JOIN m USING (a) FOR UPDATE OF n) UPDATE n SET at = rastro_now() FROM due",
    ] {
        assert!(forms(sql).is_empty(), "{sql}");
    }
}

#[test]
fn no_statement_has_a_form_that_citus_refuses() {
    let statements = statements();
    assert!(
        statements.len() > 200,
        "only {} statements were found",
        statements.len()
    );
    let mut wrong = Vec::new();
    for (file, sql) in &statements {
        let found = forms(sql)
            .into_iter()
            .filter(|form| !EXCEPTIONS.contains(&(file.as_str(), *form)));
        wrong.extend(found.map(|form| {
            format!(
                "{file}: {form}: {}",
                &plain(sql).chars().take(90).collect::<String>()
            )
        }));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
