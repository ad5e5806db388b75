//! The table of SPIs and workers.

use causeway_esp::Spi;

/// Steers the packets of an SPI to a worker.
pub trait Steer {
    /// Steers the packets of an SPI to a worker from now on.
    ///
    /// # Errors
    /// Those of the kernel.
    fn steer(&self, spi: Spi, worker: u32) -> anyhow::Result<()>;
    /// Stops steering the packets of an SPI.
    ///
    /// # Errors
    /// Those of the kernel.
    fn unsteer(&self, spi: Spi) -> anyhow::Result<()>;
}
