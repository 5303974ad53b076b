//! A process that dies for a drill, as with `kill -9`, and starts again by itself.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

/// How long a process that was started again after a drill stays away, in milliseconds.
const AWAY: &str = "EVERCUBE_DRILL_AWAY_MS";
/// For the answer to get out.
const LAST_WORDS: Duration = Duration::from_millis(20);

/// Replaces this process by a fresh one that stays away for a while before it does anything:
/// every connection, lock and byte of memory is gone at once, and nothing was tidied up.
pub fn die(away: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(LAST_WORDS);
        let mut arguments = std::env::args_os();
        let program = std::env::current_exe().ok().map(Into::into).or_else(|| arguments.next());
        let mut again = Command::new(program.unwrap_or_default());
        again.args(std::env::args_os().skip(1));
        let error = again.env(AWAY, away.as_millis().to_string()).exec();
        eprintln!("the process cannot be started again after the drill: {error}");
        std::process::abort();
    });
}

/// Stays away where a drill says so.
pub fn stay_away() {
    let millis = std::env::var(AWAY).ok().and_then(|v| v.parse().ok());
    if let Some(millis) = millis {
        std::thread::sleep(Duration::from_millis(millis));
    }
}
