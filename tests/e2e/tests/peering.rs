//! Complete peerings: every fact of `cargo xtask run`, in both placements, for every cipher, encapsulation and combination
//! of inner and outer family.

use anyhow::Result;
use causeway_e2e_tests::{options, start_lab};
use causeway_lab::measure::survey::{self, Plan, Survey};
use causeway_lab::status::XdpMode;
use causeway_lab::{Cipher, Encapsulation, Family, Inner, NicMode, Options, Placement};

fn survey(options: Options) -> Result<Survey> {
    let mut lab = start_lab(options)?;
    let plan = Plan {
        duration: 1,
        ..Plan::default()
    };
    survey::run(&mut lab, &plan, &mut |_| {})
}

fn holds(options: Options) -> Result<Survey> {
    let survey = survey(options)?;
    let broken: Vec<_> = survey.facts.iter().filter(|fact| !fact.holds).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(survey.facts.len() > 8, "{:#?}", survey.facts);
    Ok(survey)
}

#[test]
fn both_families_through_three_remote_gateways_in_udp() -> Result<()> {
    let survey = holds(options()?)?;
    for nic in survey.nics.values() {
        assert_eq!(nic.xdp_mode, XdpMode::Driver, "{nic:?}");
    }
    Ok(())
}

#[test]
fn four_local_gateways_on_one_queue() -> Result<()> {
    holds(Options {
        gateways: 4,
        placement: Placement::Local,
        cipher: Cipher::ChaCha20Poly1305,
        ..options()?
    })?;
    Ok(())
}

#[test]
fn local_gateways_in_plain_esp() -> Result<()> {
    holds(Options {
        gateways: 2,
        placement: Placement::Local,
        encapsulation: Encapsulation::Esp,
        ..options()?
    })?;
    Ok(())
}

#[test]
fn remote_gateways_in_plain_esp_with_clamped_mss() -> Result<()> {
    holds(Options {
        gateways: 2,
        cipher: Cipher::Aes256Gcm,
        encapsulation: Encapsulation::Esp,
        clamp_mss: true,
        ..options()?
    })?;
    Ok(())
}

/// Standard: inner-ipv6, mixed-families
#[test]
fn ipv6_in_ipv4_in_udp() -> Result<()> {
    holds(Options {
        gateways: 2,
        inner: Inner::Ipv6,
        ..options()?
    })?;
    Ok(())
}

/// Standard: mixed-families
#[test]
fn ipv4_in_ipv6_in_plain_esp() -> Result<()> {
    holds(Options {
        gateways: 2,
        encapsulation: Encapsulation::Esp,
        inner: Inner::Ipv4,
        outer: Family::Ipv6,
        ..options()?
    })?;
    Ok(())
}

/// No machine of this lab has an IPv4 address.
///
/// Standard: inner-ipv6
#[test]
fn ipv6_in_ipv6_in_udp_from_local_gateways() -> Result<()> {
    holds(Options {
        gateways: 2,
        placement: Placement::Local,
        inner: Inner::Ipv6,
        outer: Family::Ipv6,
        ..options()?
    })?;
    Ok(())
}

#[test]
fn both_families_in_ipv6_in_plain_esp_with_clamped_mss() -> Result<()> {
    holds(Options {
        gateways: 2,
        placement: Placement::Local,
        encapsulation: Encapsulation::Esp,
        outer: Family::Ipv6,
        clamp_mss: true,
        ..options()?
    })?;
    Ok(())
}

#[test]
fn skb_mode_by_configuration() -> Result<()> {
    let survey = holds(Options {
        gateways: 1,
        nic_mode: NicMode::Skb,
        ..options()?
    })?;
    for nic in survey.nics.values() {
        assert_eq!(nic.xdp_mode, XdpMode::Skb, "{nic:?}");
    }
    Ok(())
}
