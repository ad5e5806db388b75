//! The report on the terminal.

use std::fmt::Write;

use super::document::Document;

/// The whole report. Writing to a String cannot fail, so the results are ignored.
pub fn text(document: &Document) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}\n\
         {} on core {}, load on core {}; median of {} rounds of {} ms, lowest and highest round in brackets\n",
        document.machine.under(document.load),
        document.cipher,
        document.core,
        document.load_core,
        document.rounds,
        document.window_ms,
    );
    let _ = writeln!(
        text,
        "{:>5} {:13}{:>20}{:>8}{:>9}{:>20}{:>9}   core: user, kernel, idle, steal",
        "size", "", "Mpps", "Gbit/s", "offered", "over forwarder", "CPU ns"
    );
    for cell in &document.figures {
        let (mpps, ratio) = (&cell.mpps, &cell.over_forwarder);
        let _ = writeln!(
            text,
            "{:>5} {:13}{:>20}{:>8.2}{:>9.2}{:>20}{:>9.0}   {:.0}, {:.0}, {:.0}, {:.0} %",
            cell.size,
            cell.what,
            format!("{:.3} [{:.3}-{:.3}]", mpps.median, mpps.min, mpps.max),
            cell.gbit.median,
            cell.offered_mpps.median,
            format!("{:.2} [{:.2}-{:.2}]", ratio.median, ratio.min, ratio.max),
            cell.cpu_ns.median,
            cell.core.user,
            cell.core.kernel,
            cell.core.idle,
            cell.core.steal,
        );
    }
    let _ = writeln!(
        text,
        "\n{:>5} {:8}{:>9}{:>11}{:>14}   core: user, kernel, idle",
        "size", "encrypt", "offered", "delivered", "calls/packet"
    );
    for step in &document.ramp {
        let _ = writeln!(
            text,
            "{:>5} {:8}{:>9.2}{:>11.2}{:>14.3}   {:.0}, {:.0}, {:.0} %",
            step.size,
            "",
            step.offered_mpps,
            step.delivered_mpps,
            step.calls_per_packet,
            step.core.user,
            step.core.kernel,
            step.core.idle,
        );
    }
    let _ = writeln!(text, "\nsystem calls per packet");
    for calls in &document.calls {
        let _ = writeln!(
            text,
            "{:>5} {:8}{:>8.4}",
            calls.size, calls.what, calls.per_packet
        );
    }
    let _ = writeln!(
        text,
        "\nidle: {:.2} % of a core\n",
        document.idle.core_percent
    );
    let reasons = [
        ("the worker", &document.drops),
        ("the kernel before the worker", &document.kernel_drops),
    ];
    for (dropped_by, reasons) in reasons {
        let _ = writeln!(text, "dropped by {dropped_by}: {reasons:?}");
    }
    text.push('\n');
    for goal in &document.goals {
        let verdict = if goal.held { "met   " } else { "missed" };
        let _ = writeln!(text, "{verdict}  {}: {}", goal.goal, goal.figure);
    }
    text
}
