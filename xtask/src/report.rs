//! The report of `cargo xtask run`, as text and as JSON. docs/run-report.md is generated from these types. A change of a
//! key increments `FORMAT`.

use std::fmt;

use causeway_lab::measure::capture::Trunk;
use causeway_lab::measure::direction::PerDirection;
use causeway_lab::measure::iperf::Tcp;
use causeway_lab::measure::pairs::FlowPath;
use causeway_lab::measure::probe::Probe;
use causeway_lab::measure::rekey::Rekey;
use causeway_lab::measure::survey::{Plan, Survey};
use causeway_lab::measure::volumes::Snapshot;
use causeway_lab::status::{Latency, Reasons, Volume, Worker};
use causeway_lab::{Fact, Node, Options, RoleExit, Site};
use serde::Serialize;

const FORMAT: u32 = 1;

/// The whole report.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// 1. Increased when a key changes its meaning or is removed.
    format: u32,
    /// The options of the command.
    options: Settings,
    /// The gateways of both VPCs in order. A role without a final status is missing here and in `roles`.
    gateways: Vec<Gateway>,
    /// The processes by VPC, the demux first.
    roles: Vec<Role>,
    /// iperf3.
    tcp: PerDirection<Tcp>,
    /// The numbered probe alone.
    probe: PerDirection<Probe>,
    /// The numbered probe beside iperf3.
    probe_under_load: PerDirection<Probe>,
    /// The measurements during key changes; `null` without `--rekey`, or if not measured.
    rekey: Option<Rekey>,
    /// The trunk while a stream of a random pattern crossed it; `null` if not measured.
    trunk: Option<Trunk>,
    /// The traced flows; `null` if not measured.
    pairs: Option<Vec<FlowPath>>,
    /// The facts above, in order.
    facts: Vec<Fact>,
    /// Whether every fact holds.
    pub holds: bool,
}

/// The options of a run.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Settings {
    /// Gateways of each VPC.
    gateways: u8,
    /// `remote` or `local`.
    placement: String,
    /// The AEAD.
    cipher: String,
    /// `udp` or `esp`.
    encapsulation: String,
    /// `ipv4`, `ipv6` or `both`.
    inner: String,
    /// `ipv4` or `ipv6`.
    outer: String,
    /// TCP connections of iperf3.
    streams: u16,
    /// Duration of each run of iperf3, in seconds.
    duration_seconds: u32,
    /// Seconds from one change of all keys to the next; `null` without `--rekey`.
    rekey_seconds: Option<u32>,
}

/// A gateway, by its final status.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Gateway {
    /// The VPC, 1 or 2.
    vpc: u8,
    /// The gateway's name in the configuration.
    name: String,
    /// `driver` or `skb` during the measurement; `unknown` if the role did not answer.
    xdp_mode: String,
    /// `copy` or `zero-copy`.
    copy_mode: String,
    /// The core to which the gateway's worker is pinned; `null` if it is not pinned.
    core: Option<usize>,
    /// Encrypted packets.
    sealed: Direction,
    /// Decrypted packets.
    opened: Direction,
    /// The gateway's part of all inner bytes of its VPC, 0 to 1.
    share: f64,
    /// Time from receive to transmit, in nanoseconds.
    latency_ns: Latency,
    /// Packets that the worker dropped, by reason.
    drops: Reasons,
    /// Packets that the kernel dropped before the worker received them, by reason.
    kernel_drops: Reasons,
}

/// The packets of a gateway in one direction.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Direction {
    /// Packets of the whole run.
    packets: u64,
    /// Inner IP bytes of the whole run.
    bytes: u64,
    /// Gbit/s of inner IP packets while iperf3 sent in that direction.
    gbit_per_s: f64,
}

/// A process. `received` is the sum of `to_worker`, `to_gateway`, all `drops` and all `punts`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Role {
    /// Its machine in the lab: `v1-demux`, `v1-gateway-1`, ..., `v2-demux`, ...
    role: String,
    /// `driver` or `skb` during the measurement; `unknown` if the role did not answer.
    xdp_mode: String,
    /// MTU of its NIC, in bytes.
    mtu: u32,
    /// Packets that the XDP program received.
    received: u64,
    /// Packets that the XDP program redirected to local workers.
    to_worker: u64,
    /// Packets that the XDP program redirected to remote gateways.
    to_gateway: u64,
    /// Packets that the XDP program dropped, by reason.
    drops: Reasons,
    /// Packets that the XDP program left to the kernel, by reason.
    punts: Reasons,
}

impl Report {
    /// Makes the report of a survey.
    pub fn new(options: &Options, plan: &Plan, survey: &Survey) -> Self {
        let of_vpc = |vpc| gateways(vpc, survey);
        Self {
            format: FORMAT,
            options: Settings {
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

/// The gateways of a VPC in order, from the final status of their workers.
fn gateways(vpc: u8, survey: &Survey) -> Vec<Gateway> {
    let rates = &survey.rates[usize::from(vpc) - 1];
    let mut found: Vec<(Site, &Worker)> = survey
        .exits
        .iter()
        .filter(|role| role.site.vpc == vpc)
        .filter_map(|role| Some((role.site, role.status.as_ref()?)))
        .flat_map(|(site, status)| status.workers.iter().map(move |worker| (site, worker)))
        .collect();
    let number = |worker: &Worker| worker.gateway.rsplit('-').next()?.parse::<usize>().ok();
    found.sort_by_key(|(_, worker)| number(worker));
    let workers: Vec<_> = found.iter().map(|(_, worker)| (*worker).clone()).collect();
    let shares = Snapshot::of(&workers).shares();
    let direction = |volume: Volume, gbit_per_s| Direction {
        packets: volume.packets,
        bytes: volume.bytes,
        gbit_per_s,
    };
    found
        .into_iter()
        .zip(shares)
        .map(|((site, worker), share)| {
            // Rates are found by number, since a role without a final status is missing here.
            let index = number(worker).and_then(|number| number.checked_sub(1));
            let rate = index.and_then(|index| rates.get(index)).copied();
            let rate = rate.unwrap_or_default();
            Gateway {
                vpc,
                name: worker.gateway.clone(),
                xdp_mode: xdp_mode(survey, site),
                copy_mode: worker.copy_mode.name().to_owned(),
                core: worker.core,
                sealed: direction(worker.sealed, rate.sealed),
                opened: direction(worker.opened, rate.opened),
                share,
                latency_ns: worker.latency_ns,
                drops: worker.drops.clone(),
                kernel_drops: worker.kernel_drops.clone(),
            }
        })
        .collect()
}

/// The XDP mode during the measurement. In the final status the program is detached already.
fn xdp_mode(survey: &Survey, site: Site) -> String {
    let nic = survey.nics.get(&site);
    nic.map_or("unknown", |nic| nic.xdp_mode.name()).to_owned()
}

fn roles(survey: &Survey) -> Vec<Role> {
    let mut finals: Vec<_> = survey.exits.iter().collect();
    finals.sort_by_key(|role| (role.site.vpc, role.site.node != Node::Demux, role.site));
    let role = |end: &&RoleExit| {
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
        let options = &self.options;
        writeln!(
            f,
            "\nTwo VPCs, {} gateways each, placement {}, {}, {} encapsulation, inner {}, outer {}\n",
            options.gateways,
            options.placement,
            options.cipher,
            options.encapsulation,
            options.inner,
            options.outer
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

    use causeway_json_docs::{check, written};
    use causeway_lab::measure::volumes::Rate;
    use causeway_lab::status::{Nic, Role as StatusRole, Status, XdpMode};

    use super::*;

    fn survey() -> Survey {
        let worker = |gateway: &str, bytes| Worker {
            gateway: gateway.to_owned(),
            sealed: Volume { packets: 2, bytes },
            drops: [("bad-icv".to_owned(), 4)].into(),
            ..Worker::default()
        };
        // Out of order, and without a final status of gateway-1.
        let end = |number, worker| RoleExit {
            site: Site::gateway(1, number),
            status: Some(Status {
                workers: vec![worker],
                ..Status::starting(StatusRole::Gateway)
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
            probe: PerDirection {
                there: None,
                back: None,
            },
            probe_under_load: PerDirection {
                there: None,
                back: None,
            },
            tcp: PerDirection {
                there: None,
                back: None,
            },
            rates: [vec![rate(1.0), rate(2.0), rate(3.0)], vec![]],
            nics: BTreeMap::from([(
                Site::gateway(1, 2),
                Nic {
                    xdp_mode: XdpMode::Driver,
                    ..Nic::default()
                },
            )]),
            exits: vec![
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
    fn the_page_has_the_keys_of_the_report() {
        let lists = [("report", written::<Report>())];
        let others = [("status.md", written::<Status>())];
        check("docs/run-report.md", &lists, &others);
    }

    #[test]
    fn one_failed_fact_fails_the_report() {
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
