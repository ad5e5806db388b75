//! The interrupts in `/proc/interrupts`.

/// A device interrupt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupt {
    /// The name of the interrupt's directory in `/proc/irq`.
    pub number: u32,
    /// The text after the counters: chip, number on the chip, and names.
    pub words: Vec<String>,
}

impl Interrupt {
    /// The queue of the interrupt: the number at the end of its name, as in `eth0-TxRx-3`,
    /// `virtio2-input.0` and `mlx5_comp3@pci:0000:3b:00.0`. Interrupts without a queue have none, such as
    /// `virtio2-config`, `ena-mgmnt@pci:0000:00:05.0` and `mlx5_async0@pci:0000:3b:00.0`.
    pub fn queue(&self) -> Option<u32> {
        let name = self.words.last()?.split('@').next()?;
        if name.contains("async") {
            return None;
        }
        let start = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        name[start..].parse().ok()
    }
}

/// The interrupts with a number. The kernel's own, such as `LOC`, and malformed lines are left out.
pub fn parse(text: &str) -> Vec<Interrupt> {
    let mut lines = text.lines();
    let cores = lines
        .next()
        .map_or(0, |header| header.split_whitespace().count());
    lines.filter_map(|line| interrupt(line, cores)).collect()
}

fn interrupt(line: &str, cores: usize) -> Option<Interrupt> {
    let (number, rest) = line.split_once(':')?;
    let words = rest.split_whitespace().skip(cores);
    Some(Interrupt {
        number: number.trim().parse().ok()?,
        words: words.map(str::to_owned).collect(),
    })
}
