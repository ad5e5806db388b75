//! A handle that ends a worker's sleep from another thread.

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

/// Ends [`Device::wait`](crate::Device::wait) of one device. A wake-up during the worker's work takes effect at its
/// next wait, so no wake-up is lost.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// Makes a waker. It is public for devices outside this crate.
    ///
    /// # Errors
    /// If the process cannot open another file descriptor.
    pub fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self(Arc::new(fd)))
    }

    /// Ends the current wait, or the next one if the worker is awake.
    pub fn wake(&self) {
        // The only possible failure is a counter at its maximum, and then a wake-up is pending anyway.
        let _ = write(&self.0, &1u64.to_ne_bytes());
    }

    /// Discards pending wake-ups.
    pub(crate) fn clear(&self) {
        // EAGAIN means that no wake-up is pending.
        let _ = read(&self.0, &mut [0u8; 8]);
    }

    /// Sleeps until this waker wakes or `timeout` expires.
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

/// Sleeps in `poll(2)` until one of `fds` is ready, a signal arrives or `timeout` expires.
pub(crate) fn sleep_on(fds: &mut [PollFd<'_>], timeout: Duration) {
    // A timeout that Timespec cannot represent means no timeout, which is None for poll.
    let timeout = Timespec::try_from(timeout).ok();
    // EINTR ends the sleep early, and the caller checks its queues again anyway. Open descriptors cause no other
    // error.
    let _ = poll(fds, timeout.as_ref());
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Instant};

    use super::*;

    #[test]
    fn a_wake_up_before_the_wait_ends_exactly_one_wait() {
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
    fn a_wake_up_from_another_thread_ends_the_wait() {
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
