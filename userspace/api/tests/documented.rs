//! The pages that list keys of these types have the lists of the code.

use causeway_api::control::{Answer, Request};
use causeway_api::explain::Trace;
use causeway_api::status::Status;
use causeway_json_docs::{check, written};
use schemars::schema_for;

#[test]
fn the_status_page_has_the_keys_of_the_code() {
    check("docs/status.md", &[("status", written::<Status>())], &[]);
}

#[test]
fn the_control_page_has_the_requests_and_answers_of_the_code() {
    check(
        "docs/control.md",
        &[
            ("requests", schema_for!(Request)),
            ("answers", written::<Answer>()),
        ],
        &[
            ("explain.md", written::<Trace>()),
            ("status.md", written::<Status>()),
        ],
    );
}

#[test]
fn the_explain_page_has_the_steps_of_the_code() {
    check(
        "docs/explain.md",
        &[("trace", written::<Trace>())],
        &[("status.md", written::<Status>())],
    );
}
