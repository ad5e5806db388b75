//! The demux's sessions with the gateways on other hosts, one for each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use causeway_rescale::message::{FromGateway, ToGateway};

use crate::wire::{DemuxSession, ReplyDatagram, RequestDatagram};

/// All sessions of a demux's process.
#[derive(Debug)]
pub struct Sessions {
    /// The start of the process, in milliseconds of Unix time.
    start: u64,
    salt: u16,
    by_gateway: Mutex<HashMap<IpAddr, DemuxSession>>,
}

impl Sessions {
    /// The sessions of a process that starts now. `salt` is random.
    pub fn new(salt: u16) -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self {
            start: now.as_millis() as u64,
            salt,
            by_gateway: Mutex::default(),
        }
    }

    /// See [`DemuxSession::send`].
    pub fn send(&self, gateway: IpAddr, request: ToGateway) -> RequestDatagram {
        let mut sessions = self.lock();
        let session = sessions.entry(gateway);
        let session = session.or_insert_with(|| DemuxSession::new(self.start, self.salt));
        session.send(request)
    }

    /// See [`DemuxSession::receive`].
    pub fn receive(&self, gateway: IpAddr, datagram: ReplyDatagram) -> Option<FromGateway> {
        self.lock().get_mut(&gateway)?.receive(datagram)
    }

    /// Forgets the sessions with other gateways.
    pub fn keep_only(&self, gateways: &[IpAddr]) {
        self.lock().retain(|address, _| gateways.contains(address));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, DemuxSession>> {
        self.by_gateway
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
