//! Ending a worker's sleep from another thread.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::{read, write},
};

/// Ends the [`Device::wait`](crate::Device::wait) of one device. A wake that comes while the
/// worker is awake is kept for its next wait, so none is lost.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A waker, for a device that is not of this crate.
    ///
    /// # Errors
    /// If the process cannot have one more file descriptor.
    pub fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self(Arc::new(fd)))
    }

    /// Ends the current wait, or else the next one.
    pub fn wake(&self) {
        // The one possible failure is a counter at its maximum, and then a wake is pending.
        let _ = write(&self.0, &1u64.to_ne_bytes());
    }

    /// Forgets the wakes so far.
    pub(crate) fn clear(&self) {
        // EAGAIN when nobody woke, which is the usual case.
        let _ = read(&self.0, &mut [0u8; 8]);
    }

    /// Sleeps on this waker alone.
    pub(crate) fn wait(&self, timeout: Duration) {
        sleep_on(&mut [PollFd::new(self, PollFlags::IN)], timeout);
        self.clear();
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `poll(2)` until one of `fds` is ready, a signal arrives or the time is over.
pub(crate) fn sleep_on(fds: &mut [PollFd<'_>], timeout: Duration) {
    // A time beyond what the kernel's clock holds is for ever, which is what poll makes of None.
    let timeout = Timespec::try_from(timeout).ok();
    // EINTR ends the sleep early and the caller looks again anyway; other errors cannot arise
    // from descriptors that the caller holds.
    let _ = poll(fds, timeout.as_ref());
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Instant};

    use super::*;

    #[test]
    fn a_wake_before_the_wait_is_kept_and_then_forgotten() {
        let waker = Waker::new().unwrap();
        waker.wake();
        waker.wake();
        let start = Instant::now();
        waker.wait(Duration::from_secs(10));
        assert!(start.elapsed() < Duration::from_secs(5));

        let start = Instant::now();
        waker.wait(Duration::from_millis(20));
        assert!(start.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn a_wake_from_another_thread_ends_the_wait() {
        let waker = Waker::new().unwrap();
        let remote = waker.clone();
        let start = Instant::now();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(10));
            remote.wake();
        });
        waker.wait(Duration::from_secs(10));
        assert!(start.elapsed() < Duration::from_secs(5));
        thread.join().unwrap();
    }
}
