//! SAs: their SPIs and keys, none of which may come twice on one host.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use causeway_esp::Spi;
use causeway_steering::MAX_SAS;

use super::convert::key_path;
use super::error::Report;
use super::file;
use super::plan::Sa;
use crate::key::{self, Fingerprint, SaKey};
use crate::sequence;

/// What must not come twice, with the line where it came first.
#[derive(Default)]
pub(super) struct Seen {
    /// Addresses of remote gateways.
    pub(super) remotes: HashMap<IpAddr, usize>,
    inbound: HashMap<u32, usize>,
    outbound: HashMap<(IpAddr, u32), usize>,
    keys: HashMap<Fingerprint, usize>,
}

impl Seen {
    /// The SA that seals towards `peer`.
    pub(super) fn outbound(
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
            report.refuse(
            written.spi.span(),
            format_args!("{field}.spi"),
            format_args!(
                "{spi} is used towards {peer} already (line {line}); the peer chose each of its \
                 inbound SPIs for one SA"
            ),
        );
        }
        let sa = sa?;
        if let Err(error) = sequence::peek(&sa.key_file) {
            report.refuse(
                written.key_file.span(),
                format_args!("{field}.key-file"),
                error,
            );
            return None;
        }
        Some(sa)
    }

    /// The SA that opens.
    pub(super) fn inbound(
        &mut self,
        written: &file::Sa,
        field: &str,
        report: &mut Report<'_>,
    ) -> Option<Sa> {
        let sa = self.convert(written, field, report);
        let spi = *written.spi.get_ref();
        let line = report.line(written.spi.span());
        if let Some(line) = self.inbound.insert(spi, line) {
            report.refuse(
            written.spi.span(),
            format_args!("{field}.spi"),
            format_args!(
                "{spi} is an inbound SPI of this host already (line {line}); it tells the worker, \
                 so each must be unique"
            ),
        );
        }
        if self.inbound.len() == MAX_SAS as usize + 1 {
            report.refuse(
                written.spi.span(),
                format_args!("{field}.spi"),
                format_args!("is one too many; one host takes at most {MAX_SAS} inbound SAs"),
            );
        }
        sa
    }

    fn convert(&mut self, written: &file::Sa, field: &str, report: &mut Report<'_>) -> Option<Sa> {
        let spi = Spi::new(*written.spi.get_ref());
        if spi.is_none() {
            report.refuse(
                written.spi.span(),
                format_args!("{field}.spi"),
                format_args!(
                    "{} is reserved (RFC 4303 section 2.1); choose 256 to 4294967295",
                    written.spi.get_ref()
                ),
            );
        }
        let path_field = format!("{field}.key-file");
        let key_file = key_path(&written.key_file, &path_field, report)?;
        let key = self.load(written, &key_file, &path_field, report);
        Some(Sa {
            spi: spi?,
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
        let loaded = match key::read_sa(path) {
            Ok(loaded) => loaded,
            Err(error) => {
                report.refuse(at, field, error);
                return None;
            }
        };
        if let Some(line) = self.keys.get(&loaded.fingerprint()) {
            report.refuse(
                at,
                field,
                format_args!(
                    "holds the key of another SA (line {line}); one key serves one SA in one \
                 direction, or (key, IV) pairs repeat and the encryption is broken. Make a new one \
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
