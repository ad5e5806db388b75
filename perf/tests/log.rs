//! The performance log: its JSON files have the keys that LOG.md describes, and LOG.md names all of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use causeway_json_docs::check;
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const LOG: &str = include_str!("../LOG.md");

/// `changes.json`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Changes {
    /// 1.
    version: u32,
    /// The entries under "Changes", in their order.
    changes: Vec<Change>,
}

/// An experiment.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    /// The number in the heading.
    number: usize,
    /// The date of the entry, such as `2026-11-23`.
    date: String,
    /// The commit that made the change or recorded the figures, 7 hex digits.
    commit: String,
    /// The component in the heading.
    component: String,
    /// The title in the heading.
    title: String,
    /// `kept`, `dropped`, `not changed` (no build was better), `accepted` (the cost of a feature), `measured only`
    /// or `host's choice`.
    verdict: String,
    /// The measurement and its load average.
    measured: String,
    /// The unit of the values.
    unit: String,
    /// The columns.
    cases: Vec<String>,
    /// For each build or variant one value per case: a number, a list of runs, a range `{ "low", "high" }`, or `null`
    /// where nothing was measured.
    series: BTreeMap<String, Vec<Value>>,
}

/// Any other file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Measurement {
    /// 1.
    version: u32,
    /// The date of the measurement, such as `2026-11-23`.
    date: String,
    /// The commit that recorded the figures, 7 hex digits.
    commit: String,
    /// The machine, as text.
    machine: String,
    /// The command that measures.
    command: String,
    /// The load average, as text.
    load: String,
    /// The figures.
    tables: Vec<Table>,
}

/// A table of figures.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Table {
    /// The name of the table.
    name: String,
    /// The unit of the values.
    unit: String,
    /// The names of the columns.
    columns: Vec<String>,
    /// The names of the numbers in each value; absent if a value has only one.
    cell: Option<Vec<String>>,
    /// The rows.
    rows: Vec<Row>,
}

/// A row of a table.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The name of the row.
    name: String,
    /// One value for each column: a number, or a list of numbers if the table has `cell`; `null` where nothing was
    /// measured.
    values: Vec<Value>,
}

/// The JSON files of the log.
fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("log");
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn has_text(texts: &[&String]) -> bool {
    texts.iter().all(|text| !text.is_empty())
}

/// Whether date and commit are as LOG.md writes them.
fn are_date_and_commit(date: &str, commit: &str) -> bool {
    let is_hash = commit.len() == 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    date.len() == 10 && date.starts_with("20") && is_hash
}

/// Whether a value is a number, a list of values, a range, or nothing.
fn is_value(value: &Value) -> bool {
    match value {
        Value::Null | Value::Number(_) => true,
        Value::Array(values) => values.iter().all(is_value),
        range => range["low"].is_number() && range["high"].is_number(),
    }
}

#[test]
fn the_page_has_the_keys_of_the_files() {
    let lists = [
        ("changes", schema_for!(Changes)),
        ("measurement", schema_for!(Measurement)),
    ];
    check("perf/LOG.md", &lists, &[]);
}

#[test]
fn every_measurement_has_its_values_and_a_link() {
    for path in files() {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "changes.json" {
            continue;
        }
        assert!(LOG.contains(&format!("(log/{name})")), "{name}");
        let document: Measurement = read(&path);
        assert_eq!(document.version, 1, "{name}");
        assert!(
            are_date_and_commit(&document.date, &document.commit),
            "{name}"
        );
        let Measurement {
            machine,
            command,
            load,
            tables,
            ..
        } = &document;
        assert!(
            has_text(&[machine, command, load]) && !tables.is_empty(),
            "{name}"
        );
        for table in tables {
            assert!(has_text(&[&table.name, &table.unit]), "{name}");
            assert!(
                !table.columns.is_empty() && !table.rows.is_empty(),
                "{name}: {}",
                table.name
            );
            let numbers = table.cell.as_ref().map(Vec::len);
            for Row { name: row, values } in &table.rows {
                assert!(!row.is_empty(), "{name}: {}", table.name);
                assert_eq!(values.len(), table.columns.len(), "{name}: {row}");
                for value in values {
                    assert!(is_value(value), "{name}: {row}");
                    if !value.is_null() {
                        assert_eq!(value.as_array().map(Vec::len), numbers, "{name}: {row}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_change_has_its_values_and_an_entry() {
    let path = files()
        .into_iter()
        .find(|path| path.ends_with("changes.json"));
    let Changes { version, changes } = read(&path.unwrap());
    assert_eq!(version, 1);
    assert_eq!(LOG.matches("\n#### ").count(), changes.len());
    let mut rest = LOG;
    for (number, change) in (1..).zip(&changes) {
        assert_eq!(change.number, number);
        assert!(
            are_date_and_commit(&change.date, &change.commit),
            "{number}"
        );
        let Change {
            component,
            title,
            verdict,
            ..
        } = change;
        let texts = [component, title, verdict, &change.measured, &change.unit];
        assert!(has_text(&texts) && !change.cases.is_empty(), "{number}");
        let heading = format!("\n#### {number}. {component}: {title}\n");
        let entry = rest.split_once(&heading);
        (_, rest) =
            entry.unwrap_or_else(|| panic!("LOG.md has no entry {heading:?} in this order"));
        let verdict = format!(
            "\n**{}{}** (`{}`).",
            verdict[..1].to_uppercase(),
            &verdict[1..],
            change.commit
        );
        assert!(
            rest.starts_with(&verdict),
            "{heading:?} does not begin with {verdict:?}"
        );
        for (name, values) in &change.series {
            assert_eq!(values.len(), change.cases.len(), "{number}, {name}");
            assert!(values.iter().all(is_value), "{number}, {name}");
        }
    }
}
