//! The report on the terminal.

use std::fmt::Write as _;

use super::document::{Caps, Document, Plan, Point, Series};

/// The whole report.
pub fn text(document: &Document) -> String {
    let mut text = machine_and_plan(document);
    // Writing to a String cannot fail.
    for series in &document.curves {
        let _ = write!(text, "{}", table(series));
    }
    for goal in &document.goals {
        let verdict = if goal.held { "met" } else { "missed" };
        let _ = writeln!(text, "{verdict}: {}: {}", goal.goal, goal.figure);
    }
    text
}

/// The machine and the options.
fn machine_and_plan(document: &Document) -> String {
    let Plan {
        direction,
        path,
        placement,
        cipher,
        duration,
        warm_up,
        repeat,
        streams,
        udp_size,
        udp_rate,
        ..
    } = &document.plan;
    format!(
        "{}\n\
         direction {direction}, path {path}, placement {placement}, {cipher}; {repeat} x {duration} s after {warm_up} s; \
         {streams} TCP connections and {udp_rate} packets/s ({udp_size}) per direction\n",
        document.machine.under(document.load),
    )
}

fn table(series: &Series) -> String {
    let mut text = format!("\n{}\n", title(series));
    let _ = writeln!(
        text,
        "{:>3}{:>10}{:>17}{:>8}{:>7}{:>10}{:>7}{:>8}{:>7}{:>9}{:>9}{:>12}",
        "gw",
        "Mbit/s",
        "min..max",
        "ideal",
        "eff %",
        "reference",
        "eff %",
        "retrans",
        "lost",
        "p50 us",
        "p99 us",
        "share"
    );
    for point in &series.points {
        let _ = writeln!(text, "{}", line(point));
    }
    for point in series.points.iter().filter(|point| point.cut_off > 0) {
        let _ = writeln!(
            text,
            "{:>3} cut off: the harness stopped iperf3 in {} of {} runs",
            point.gateways,
            point.cut_off,
            point.tcp_mbit.runs.len()
        );
    }
    for failure in &series.failures {
        let _ = writeln!(text, "{:>3} failed: {}", failure.gateways, failure.error);
    }
    text + &times(series) + &drops(series)
}

/// The machine's time by user, in percent.
fn times(series: &Series) -> String {
    const USERS: [&str; 9] = [
        "gateways",
        "demuxes",
        "iperf3",
        "generator",
        "others",
        "softirq",
        "interrupts",
        "stolen",
        "idle",
    ];
    let mut text = format!("\n{:>3}", "gw");
    for user in USERS {
        let _ = write!(text, "{user:>12}");
    }
    text.push_str("   % of the machine's time\n");
    for point in &series.points {
        let _ = write!(text, "{:>3}", point.gateways);
        for user in USERS {
            // A process has two parts, `user` and `system`. The kernel's parts have one name only.
            let is_part = |name: &str| name.split(' ').next() == Some(user);
            let parts = point.time.iter().filter(|(name, _)| is_part(name));
            // `sum` of an empty iterator is -0.0.
            let part = parts.fold(0.0, |sum, (_, part)| sum + part);
            let _ = write!(text, "{:>12.1}", part * 100.0);
        }
        text.push('\n');
    }
    text
}

fn drops(series: &Series) -> String {
    let mut text = String::from("\n");
    for point in &series.points {
        let _ = write!(text, "{:>3} dropped:", point.gateways);
        for (reason, packets) in &point.drops {
            let _ = write!(text, " {packets} {reason}");
        }
        text.push('\n');
    }
    text
}

fn title(series: &Series) -> String {
    match &series.caps {
        None => format!("{}: the capacity of this machine", series.mode),
        Some(Caps {
            reference_gateway_mbit,
            reference_vpc_mbit,
            scale,
            gateway_mbit,
            vpc_mbit,
        }) => format!(
            "{}: limits of {gateway_mbit:.1} Mbit/s per gateway and {vpc_mbit:.1} Mbit/s per VPC, the reference's \
             {reference_gateway_mbit} and {reference_vpc_mbit} divided by {scale:.1}",
            series.mode
        ),
    }
}

fn line(point: &Point) -> String {
    let number = |value: Option<f64>, places: usize| {
        value.map_or_else(|| "-".to_owned(), |value| format!("{value:.places$}"))
    };
    let percent = |value: Option<f64>| number(value.map(|value| value * 100.0), 1);
    let tcp = &point.tcp_mbit;
    let least = point.shares.iter().copied().fold(1.0, f64::min) * 100.0;
    let most = point.shares.iter().copied().fold(0.0, f64::max) * 100.0;
    format!(
        "{:>3}{:>10.1}{:>17}{:>8}{:>7}{:>10}{:>7}{:>8}{:>7}{:>9.0}{:>9.0}{:>12}",
        point.gateways,
        tcp.median,
        format!("{:.1}..{:.1}", tcp.min, tcp.max),
        number(point.ideal_mbit, 1),
        percent(point.efficiency),
        number(point.reference_mbit, 0),
        percent(point.reference_efficiency),
        point.retransmits,
        point.udp.lost,
        point.udp.p50_us,
        point.udp.p99_us,
        format!("{least:.0}..{most:.0} %"),
    )
}
