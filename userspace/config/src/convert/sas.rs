//! SAs. SPIs and keys must be unique on a host.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::Path;

use causeway_esp::Spi;
use causeway_steering::MAX_SAS;

use super::key_file::key_path;
use super::number::within;
use crate::file;
use crate::plan::Sa;
use crate::report::Report;
use causeway_keys::{Fingerprint, SaKey, read_sa, sequence};

/// The SPIs of RFC 4303 section 2.1.
const SPIS: RangeInclusive<i64> = 256..=u32::MAX as i64;

/// The values that must be unique, each with the line of its first occurrence.
#[derive(Default)]
pub(crate) struct Unique {
    /// Addresses of remote gateways.
    pub(crate) remotes: HashMap<IpAddr, usize>,
    inbound: HashMap<i64, usize>,
    outbound: HashMap<(IpAddr, i64), usize>,
    keys: HashMap<Fingerprint, usize>,
}

impl Unique {
    /// Converts the SA that seals packets to `peer`.
    pub(crate) fn outbound(
        &mut self,
        written: &file::Sa,
        peer: Option<IpAddr>,
        field: &str,
        report: &mut Report<'_>,
    ) -> Option<Sa> {
        let sa = self.convert(written, field, report);
        let spi = *written.spi.get_ref();
        let line = report.line(written.spi.span());
        if let Some(peer) = peer
            && let Some(line) = self.outbound.insert((peer, spi), line)
        {
            report.error(
                written.spi.span(),
                format_args!("{field}.spi"),
                format_args!(
                    "{spi} is already an SPI towards {peer} (line {line}); write the SPI of another \
                     inbound SA of the peer"
                ),
            );
        }
        let sa = sa?;
        if let Err(error) = sequence::peek(&sa.key_file, &sa.key) {
            report.error(
                written.key_file.span(),
                format_args!("{field}.key-file"),
                error,
            );
            return None;
        }
        Some(sa)
    }

    /// Converts the SA that opens packets.
    pub(crate) fn inbound(
        &mut self,
        written: &file::Sa,
        field: &str,
        report: &mut Report<'_>,
    ) -> Option<Sa> {
        let sa = self.convert(written, field, report);
        let spi = *written.spi.get_ref();
        let line = report.line(written.spi.span());
        if let Some(line) = self.inbound.insert(spi, line) {
            report.error(
                written.spi.span(),
                format_args!("{field}.spi"),
                format_args!(
                    "{spi} is already an inbound SPI of this host (line {line}); the SPI selects \
                     the worker, so it must be unique"
                ),
            );
        }
        if self.inbound.len() == MAX_SAS as usize + 1 {
            report.error(
                written.spi.span(),
                format_args!("{field}.spi"),
                format_args!("is one too many; one host supports at most {MAX_SAS} inbound SAs"),
            );
        }
        sa
    }

    fn convert(&mut self, written: &file::Sa, field: &str, report: &mut Report<'_>) -> Option<Sa> {
        let hint = "; 0 to 255 are reserved (RFC 4303 section 2.1)";
        let spi_field = format_args!("{field}.spi");
        let spi = within(&written.spi, SPIS, "", hint, spi_field, report) as u32;
        let path_field = format!("{field}.key-file");
        let key_file = key_path(&written.key_file, &path_field, report)?;
        let key = self.load(written, &key_file, &path_field, report);
        Some(Sa {
            spi: Spi::new(spi)?,
            key_file,
            key: key?,
        })
    }

    fn load(
        &mut self,
        written: &file::Sa,
        path: &Path,
        field: &str,
        report: &mut Report<'_>,
    ) -> Option<SaKey> {
        let at = written.key_file.span();
        let loaded = match read_sa(path) {
            Ok(loaded) => loaded,
            Err(error) => {
                report.error(at, field, error);
                return None;
            }
        };
        if let Some(line) = self.keys.get(&loaded.fingerprint()) {
            report.error(
                at,
                field,
                format_args!(
                    "has the same key as another SA (line {line}); if one key serves two SAs or both \
                     directions, (key, IV) pairs repeat and the encryption is broken. Make a new key \
                     with `causeway key new`"
                ),
            );
            return None;
        }
        let line = report.line(at);
        self.keys.insert(loaded.fingerprint(), line);
        Some(loaded)
    }
}
