//! Compares the tables of JSON keys in the documentation with the types.
//!
//! A page has a place for each list, `<!-- list: NAME -->` to `<!-- end -->`. [`check`] fills each place
//! from a type with `derive(JsonSchema)`: the doc comments of types and fields are the text.

mod markdown;

use std::path::{Path, PathBuf};
use std::{env, fs};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

/// The variable that makes [`check`] write the pages.
const WRITE: &str = "CAUSEWAY_WRITE_DOCS";

/// The schema of a type as it is written. `schema_for!` is the schema of a type as it is read. They differ in the
/// keys that may be absent.
pub fn written<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<T>()
}

/// Asserts that a page, such as `docs/status.md`, has the lists of these types. A type that several
/// lists use is described in the first of them. Types of `other_pages` in the same directory get a link.
///
/// # Panics
/// The page differs from the types or has no place for a list. The message has the command that
/// writes the page.
pub fn check(page: &str, lists: &[(&str, Schema)], other_pages: &[(&str, Schema)]) {
    let path = root().join(page);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"));
    let expected =
        fill(&text, lists, other_pages).unwrap_or_else(|fault| panic!("{page}: {fault}"));
    if text == expected {
        return;
    }
    if env::var_os(WRITE).is_some() {
        fs::write(&path, expected).unwrap_or_else(|error| panic!("{page}: {error}"));
        return;
    }
    let (line, (found, wanted)) = text
        .lines()
        .chain([""])
        .zip(expected.lines().chain([""]))
        .enumerate()
        .find(|(_, (found, wanted))| found != wanted)
        .unwrap_or_default();
    panic!(
        "{page} differs from the types in line {}:\n  found    {found}\n  expected {wanted}\n\
         Run `{WRITE}=1 cargo test --package {}` to write the page, and commit it.",
        line + 1,
        env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "PACKAGE".to_owned()),
    );
}

/// The page with each list in its place.
fn fill(
    text: &str,
    lists: &[(&str, Schema)],
    other_pages: &[(&str, Schema)],
) -> Result<String, String> {
    let mut links = markdown::Links::new();
    for (page, schema) in other_pages {
        markdown::add_page(page, schema, &mut links);
    }
    let mut text = text.to_owned();
    for (name, schema) in lists {
        let begin = format!("<!-- list: {name} -->\n");
        let (before, rest) = text
            .split_once(&begin)
            .ok_or_else(|| format!("has no line {}", begin.trim_end()))?;
        let (_, after) = rest
            .split_once("<!-- end -->")
            .ok_or_else(|| format!("has no <!-- end --> after list {name}"))?;
        let list = markdown::list(schema, &mut links)?;
        text = format!("{before}{begin}{list}<!-- end -->{after}");
    }
    match markdown::repeated_heading(&text, &links) {
        Some(heading) => Err(format!("has two headings {heading}")),
        None => Ok(text),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::*;

    /// A report.
    #[derive(Serialize, JsonSchema)]
    #[allow(dead_code)]
    struct Report {
        /// The name of the run, see [`Report`].
        name: String,
        /// Rates in
        /// Mbit/s.
        rates: Vec<f64>,
        /// The first part.
        part: Option<Part>,
        /// Packets by reason.
        drops: BTreeMap<String, u64>,
        /// A pair.
        pair: [Option<Mode>; 2],
        /// An error.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    }

    /// A part.
    #[derive(Serialize, JsonSchema)]
    #[serde(tag = "kind", rename_all = "kebab-case")]
    #[allow(dead_code)]
    enum Part {
        /// Without keys.
        Empty,
        /// With a key.
        Full {
            /// The number.
            number: u32,
        },
    }

    /// A mode.
    #[derive(Serialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    #[allow(dead_code)]
    enum Mode {
        /// On.
        On,
        /// Off.
        Off,
    }

    const PAGE: &str = "# Page\n\n<!-- list: report -->\nold\n<!-- end -->\n\nend\n";

    #[test]
    fn a_list_has_each_key_and_type() {
        let page = fill(PAGE, &[("report", written::<Report>())], &[]).unwrap();
        assert_eq!(
            page,
            "# Page\n\n<!-- list: report -->\n\
             | key | type | meaning |\n|---|---|---|\n\
             | `name` | text | The name of the run, see `Report`. |\n\
             | `rates` | list of number | Rates in Mbit/s. |\n\
             | `part` | [Part](#part) or `null` | The first part. |\n\
             | `drops` | map of text to integer | Packets by reason. |\n\
             | `pair` | list of ([Mode](#mode) or `null`) | A pair. |\n\
             | `error` | text or absent | An error. |\n\n\
             ### Part\n\nA part.\n\n\
             | key | type | meaning |\n|---|---|---|\n\
             | `kind` | `empty` | Without keys. |\n\
             | `kind` | `full` | With a key. |\n\
             | `number` | integer | The number. |\n\n\
             ### Mode\n\nA mode.\n\n\
             | value | meaning |\n|---|---|\n\
             | `on` | On. |\n\
             | `off` | Off. |\n\
             <!-- end -->\n\nend\n"
        );
        assert_eq!(
            fill(&page, &[("report", written::<Report>())], &[]).unwrap(),
            page
        );
    }

    #[test]
    fn types_of_another_page_are_links() {
        let page = fill(
            PAGE,
            &[("report", written::<Report>())],
            &[
                ("part.md", written::<Part>()),
                ("report.md", written::<Report>()),
            ],
        )
        .unwrap();
        assert!(
            page.contains("| [Part](report.md#part) or `null` |"),
            "{page}"
        );
        assert!(!page.contains("###"), "{page}");
    }

    #[test]
    fn another_type_of_the_same_name_is_described_here() {
        /// A part of another page.
        #[derive(Serialize, JsonSchema)]
        #[schemars(rename = "Part")]
        #[allow(dead_code)]
        struct Other {
            /// A number.
            number: u32,
        }
        let lists = [("report", written::<Report>())];
        let page = fill(PAGE, &lists, &[("other.md", written::<Other>())]).unwrap();
        assert!(
            page.contains("[Part](#part)") && page.contains("### Part"),
            "{page}"
        );

        let twice = PAGE.replace("end\n", "<!-- list: other -->\n<!-- end -->\n");
        let lists = [
            ("report", written::<Report>()),
            ("other", written::<Vec<Other>>()),
        ];
        let refused = fill(&twice, &lists, &[]).unwrap_err();
        assert_eq!(refused, "has two types with the name Part");
        let heading = PAGE.replace("end\n", "## Part\n");
        let refused = fill(&heading, &lists[..1], &[]).unwrap_err();
        assert_eq!(refused, "has two headings Part");
    }

    #[test]
    fn a_page_without_the_place_is_refused() {
        let refused = fill("# Page\n", &[("report", written::<Report>())], &[]);
        assert_eq!(refused.unwrap_err(), "has no line <!-- list: report -->");
    }
}
