//! Standard output of the commands for developers, and their exit status.

use std::fmt::{self, Display};
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::{Error, Result};

/// The exit status that a shell reports for a process that SIGPIPE ended.
const SIGPIPE_STATUS: u8 = 128 + 13;

/// The reader of standard output has closed the pipe, as `head` does after its last line. `println!` would panic.
#[derive(Debug)]
struct ClosedOutput;

impl Display for ClosedOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader of standard output has closed the pipe")
    }
}

impl std::error::Error for ClosedOutput {}

/// Prints a text, and a newline.
///
/// # Errors
/// Standard output cannot be written.
pub fn print_line(line: impl Display) -> Result<()> {
    print(format_args!("{line}\n"))
}

/// Prints a text.
///
/// # Errors
/// Standard output cannot be written.
pub fn print(text: impl Display) -> Result<()> {
    write(&mut io::stdout().lock(), text)
}

fn write(out: &mut impl Write, text: impl Display) -> Result<()> {
    write!(out, "{text}").map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => ClosedOutput.into(),
        _ => Error::new(error).context("cannot write to standard output"),
    })
}

/// The exit status of a command: 0 for `true`, 1 for `false` and for an error, which is printed.
pub fn exit_code(result: Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is::<ClosedOutput>() => SIGPIPE_STATUS.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_an_error_of_its_own() {
        let closed = write(&mut Failing(ErrorKind::BrokenPipe), "text").unwrap_err();
        let full = write(&mut Failing(ErrorKind::StorageFull), "text").unwrap_err();
        assert!(closed.context("a step").is::<ClosedOutput>());
        assert!(!full.is::<ClosedOutput>());
    }
}
