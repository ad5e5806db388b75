//! The report of `cargo xtask run`, for people and as JSON. The keys are
//! described in docs/run-report.md; whoever changes one raises `FORMAT`.

use std::fmt;

use causeway_lab::measure::capture::Trunk;
use causeway_lab::measure::iperf::Tcp;
use causeway_lab::measure::load::Snapshot;
use causeway_lab::measure::pairs::FlowPath;
use causeway_lab::measure::probe::Probe;
use causeway_lab::measure::rekey::Rekey;
use causeway_lab::measure::survey::{BothWays, Plan, Survey};
use causeway_lab::{Fact, Final, Latency, Node, Options, Reasons, Site, Volume, Worker};
use serde::Serialize;

const FORMAT: u32 = 1;

/// The whole report.
#[derive(Debug, Serialize)]
pub struct Report {
    format: u32,
    options: Asked,
    gateways: Vec<Gateway>,
    roles: Vec<Role>,
    tcp: BothWays<Tcp>,
    probe: BothWays<Probe>,
    probe_under_load: BothWays<Probe>,
    rekey: Option<Rekey>,
    trunk: Option<Trunk>,
    pairs: Option<Vec<FlowPath>>,
    facts: Vec<Fact>,
    /// Whether every fact held.
    pub holds: bool,
}

#[derive(Debug, Serialize)]
struct Asked {
    gateways: u8,
    placement: String,
    cipher: String,
    encapsulation: String,
    inner: String,
    outer: String,
    streams: u16,
    duration_seconds: u32,
    rekey_seconds: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Gateway {
    vpc: u8,
    name: String,
    xdp_mode: String,
    copy_mode: String,
    core: Option<u32>,
    sealed: Way,
    opened: Way,
    share: f64,
    latency_ns: Latency,
    drops: Reasons,
    kernel_drops: Reasons,
}

#[derive(Debug, Serialize)]
struct Way {
    packets: u64,
    bytes: u64,
    gbit_per_s: f64,
}

#[derive(Debug, Serialize)]
struct Role {
    role: String,
    xdp_mode: String,
    mtu: u32,
    received: u64,
    to_worker: u64,
    to_gateway: u64,
    drops: Reasons,
    punts: Reasons,
}

impl Report {
    /// Puts together what was measured.
    pub fn new(options: &Options, plan: &Plan, survey: &Survey) -> Self {
        let of_vpc = |vpc| gateways(vpc, survey);
        Self {
            format: FORMAT,
            options: Asked {
                gateways: options.gateways,
                placement: options.placement.to_string(),
                cipher: options.cipher.to_string(),
                encapsulation: options.encapsulation.to_string(),
                inner: options.inner.to_string(),
                outer: options.outer.to_string(),
                streams: plan.streams,
                duration_seconds: plan.duration,
                rekey_seconds: plan.rekey,
            },
            gateways: [1, 2].into_iter().flat_map(of_vpc).collect(),
            roles: roles(survey),
            tcp: survey.tcp.clone(),
            probe: survey.probe.clone(),
            probe_under_load: survey.probe_under_load.clone(),
            rekey: survey.rekey.clone(),
            trunk: survey.trunk.clone(),
            pairs: survey.pairs.clone(),
            facts: survey.facts.clone(),
            holds: survey.holds(),
        }
    }
}

/// The gateways of a VPC in their order, with what their workers said last.
fn gateways(vpc: u8, survey: &Survey) -> Vec<Gateway> {
    let rates = &survey.rates[usize::from(vpc) - 1];
    let mut found: Vec<(Site, &Worker)> = survey
        .finals
        .iter()
        .filter(|role| role.site.vpc == vpc)
        .filter_map(|role| Some((role.site, role.status.as_ref()?)))
        .flat_map(|(site, status)| status.workers.iter().map(move |worker| (site, worker)))
        .collect();
    let number = |worker: &Worker| worker.gateway.rsplit('-').next()?.parse::<usize>().ok();
    found.sort_by_key(|(_, worker)| number(worker));
    let workers: Vec<_> = found.iter().map(|(_, worker)| (*worker).clone()).collect();
    let shares = Snapshot::of(&workers).shares();
    let way = |volume: Volume, gbit_per_s| Way {
        packets: volume.packets,
        bytes: volume.bytes,
        gbit_per_s,
    };
    found
        .into_iter()
        .zip(shares)
        .map(|((site, worker), share)| {
            // A role without last words leaves a gap here, so rates go by number.
            let index = number(worker).and_then(|number| number.checked_sub(1));
            let rate = index.and_then(|index| rates.get(index)).copied();
            let rate = rate.unwrap_or_default();
            Gateway {
                vpc,
                name: worker.gateway.clone(),
                xdp_mode: xdp_mode(survey, site),
                copy_mode: worker.copy_mode.clone(),
                core: worker.core,
                sealed: way(worker.sealed, rate.sealed),
                opened: way(worker.opened, rate.opened),
                share,
                latency_ns: worker.latency_ns,
                drops: worker.drops.clone(),
                kernel_drops: worker.kernel_drops.clone(),
            }
        })
        .collect()
}

/// The last words come from a program that is detached already.
fn xdp_mode(survey: &Survey, site: Site) -> String {
    let nic = survey.in_force.get(&site);
    nic.map_or("unknown", |nic| &nic.xdp_mode).to_owned()
}

fn roles(survey: &Survey) -> Vec<Role> {
    let mut finals: Vec<_> = survey.finals.iter().collect();
    finals.sort_by_key(|role| (role.site.vpc, role.site.node != Node::Demux, role.site));
    let role = |end: &&Final| {
        let status = end.status.as_ref()?;
        Some(Role {
            role: end.site.to_string(),
            xdp_mode: xdp_mode(survey, end.site),
            mtu: status.nic.mtu,
            received: status.steering.received,
            to_worker: status.steering.to_worker,
            to_gateway: status.steering.to_gateway,
            drops: status.steering.drops.clone(),
            punts: status.steering.punts.clone(),
        })
    };
    finals.iter().filter_map(role).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = &self.options;
        writeln!(
            f,
            "\nTwo VPCs, {} gateways each, placement {}, {}, {} encapsulation, inner {}, outer {}\n",
            asked.gateways,
            asked.placement,
            asked.cipher,
            asked.encapsulation,
            asked.inner,
            asked.outer
        )?;
        writeln!(
            f,
            "{:<13} {:<17} {:>21} {:>15} {:>7}  {:>23}  drops",
            "gateway", "mode", "packets out/in", "Gbit/s out/in", "share", "us p50/p99/p99.9"
        )?;
        for gateway in &self.gateways {
            writeln!(f, "{gateway}")?;
        }
        writeln!(f)?;
        for role in &self.roles {
            writeln!(f, "{role}")?;
        }
        writeln!(f)?;
        for fact in &self.facts {
            let verdict = if fact.holds { "OK    " } else { "FAILED" };
            writeln!(f, "{verdict} {:<22} {}", fact.key, fact.figure)?;
        }
        let failed = self.facts.iter().filter(|fact| !fact.holds).count();
        match failed {
            0 => writeln!(f, "\nall {} facts hold", self.facts.len()),
            _ => writeln!(f, "\n{failed} of {} facts FAILED", self.facts.len()),
        }
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |nanoseconds: u64| nanoseconds as f64 / 1e3;
        let latency = &self.latency_ns;
        let mut drops = self.drops.clone();
        drops.extend(self.kernel_drops.clone());
        write!(
            f,
            "{:<13} {:<17} {:>21} {:>15} {:>5.1} %  {:>23}  {}",
            format!("v{} {}", self.vpc, self.name),
            format!("{}, {}", self.xdp_mode, self.copy_mode),
            format!("{}/{}", self.sealed.packets, self.opened.packets),
            format!(
                "{:.3}/{:.3}",
                self.sealed.gbit_per_s, self.opened.gbit_per_s
            ),
            self.share * 100.0,
            format!(
                "{:.1}/{:.1}/{:.1}",
                us(latency.p50),
                us(latency.p99),
                us(latency.p999)
            ),
            listed(&drops)
        )
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<13} XDP in {} mode: {} received, {} to workers, {} to gateways, drops {}, punts {}",
            self.role,
            self.xdp_mode,
            self.received,
            self.to_worker,
            self.to_gateway,
            listed(&self.drops),
            listed(&self.punts)
        )
    }
}

fn listed(reasons: &Reasons) -> String {
    if reasons.is_empty() {
        return "none".to_owned();
    }
    let each = reasons
        .iter()
        .map(|(reason, packets)| format!("{reason} {packets}"));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use causeway_lab::measure::busy::Rate;
    use causeway_lab::{Nic, Status};

    use super::*;

    fn survey() -> Survey {
        let worker = |gateway: &str, bytes| Worker {
            gateway: gateway.to_owned(),
            copy_mode: "copy".to_owned(),
            sealed: Volume { packets: 2, bytes },
            drops: [("bad-icv".to_owned(), 4)].into(),
            ..Worker::default()
        };
        // Out of order, and with the last words of gateway-1 missing.
        let end = |number, worker| Final {
            site: Site::gateway(1, number),
            status: Some(Status {
                workers: vec![worker],
                ..Status::default()
            }),
            problem: None,
        };
        let rate = |sealed| Rate {
            sealed,
            opened: 0.0,
        };
        Survey {
            pairs: None,
            rekey: None,
            trunk: None,
            probe: BothWays {
                there: None,
                back: None,
            },
            probe_under_load: BothWays {
                there: None,
                back: None,
            },
            tcp: BothWays {
                there: None,
                back: None,
            },
            rates: [vec![rate(1.0), rate(2.0), rate(3.0)], vec![]],
            in_force: BTreeMap::from([(
                Site::gateway(1, 2),
                Nic {
                    xdp_mode: "driver".to_owned(),
                    ..Nic::default()
                },
            )]),
            finals: vec![
                end(3, worker("gateway-3", 300)),
                end(2, worker("gateway-2", 100)),
            ],
            facts: vec![Fact::new("frames-home", false, "7 of 8 frames are home")],
        }
    }

    #[test]
    fn gateways_keep_their_own_rates_and_shares() {
        let report = Report::new(&Options::new("c", "x"), &Plan::default(), &survey());
        assert_eq!(report.gateways[0].xdp_mode, "driver");
        assert_eq!(report.gateways[1].xdp_mode, "unknown");
        let seen: Vec<_> = report
            .gateways
            .iter()
            .map(|gateway| {
                (
                    gateway.name.as_str(),
                    gateway.sealed.gbit_per_s,
                    gateway.share,
                )
            })
            .collect();
        assert_eq!(seen, [("gateway-2", 2.0, 0.25), ("gateway-3", 3.0, 0.75)]);
    }

    #[test]
    fn one_failed_fact_fails_the_report_and_shows() {
        let report = Report::new(&Options::new("c", "x"), &Plan::default(), &survey());
        assert!(!report.holds);
        let text = report.to_string();
        assert!(text.contains("FAILED frames-home            7 of 8 frames are home"));
        assert!(text.contains("1 of 1 facts FAILED") && text.contains("bad-icv 4"));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["format"], 1);
        assert_eq!(json["gateways"][0]["drops"]["bad-icv"], 4);
        assert_eq!(json["holds"], false);
    }
}
