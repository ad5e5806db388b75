//! The XDP program stays well below the verifier's limits, so that kernels that count differently accept
//! it too.

use anyhow::{Context, ensure};
use causeway_kernel_tests::object;
use causeway_kernel_tests::verifier::{STACK_LIMIT, report};

#[test]
fn the_program_keeps_its_distance_from_the_verifiers_limits() -> anyhow::Result<()> {
    let report = report(&object()?).context("this test needs root")?;
    ensure!(
        report.over_limit().is_none(),
        "{:?}\n{report:#?}",
        report.over_limit()
    );
    // The kernel kept the program, and the log was parsed into plausible numbers.
    ensure!(report.instructions > 500 && report.compiled_bytes > report.instructions);
    ensure!(report.verifier.stack_at_most() > 0 && report.verifier.stack_at_most() <= STACK_LIMIT);
    Ok(())
}
