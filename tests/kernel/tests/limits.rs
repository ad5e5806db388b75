//! The verifier accepts the XDP program with room to spare, so that a kernel that counts otherwise does too.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use causeway_kernel_tests::verifier::{STACK_LIMIT, report};

#[test]
fn the_program_keeps_its_distance_from_the_verifiers_limits() -> anyhow::Result<()> {
    let object = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/causeway-xdp.o");
    let object = std::fs::read(&object)
        .with_context(|| format!("no {}: build it with `cargo xtask build`", object.display()))?;
    let report = report(&object).context("this test needs root")?;
    ensure!(
        report.beyond().is_none(),
        "{:?}\n{report:#?}",
        report.beyond()
    );
    // What the log says of the instructions is what the kernel keeps of them.
    ensure!(report.instructions > 500 && report.compiled_bytes > report.instructions);
    ensure!(report.verifier.stack_at_most() > 0 && report.verifier.stack_at_most() <= STACK_LIMIT);
    Ok(())
}
