//! The binary `evercube`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("--version") {
        let written = write_line(&format!("evercube {}", env!("CARGO_PKG_VERSION")));
        return if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    eprintln!("evercube: this build has no command yet; `evercube --version` prints its version");
    ExitCode::from(2)
}

fn write_line(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout().lock(), "{text}")
}
