//! Many clients at once, each asking one query after the other without a pause.

use std::time::{Duration, Instant};

use super::QUERIES;
use super::report::ClientsFigure;
use super::server::{Server, ask};
use crate::failure::Outcome;

/// So many clients for so long.
pub async fn measure(server: &Server, clients: usize, lasts: Duration) -> Outcome<ClientsFigure> {
    let before = server.processor_seconds();
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for number in 0..clients {
        let client = server.another_client()?;
        tasks.push(tokio::spawn(async move {
            let (mut times, mut errors) = (Vec::new(), 0);
            // Each begins with another query.
            for (_, query) in QUERIES.iter().cycle().skip(number % QUERIES.len()) {
                if begun.elapsed() >= lasts {
                    break;
                }
                match ask(&client, query).await {
                    Ok(time) => times.push(time),
                    Err(_) => errors += 1,
                }
            }
            (times, errors)
        }));
    }
    let (mut times, mut errors) = (Vec::new(), 0);
    for task in tasks {
        match task.await {
            Ok((of_client, failed)) => {
                times.extend(of_client);
                errors += failed;
            }
            Err(_) => errors += 1,
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let busy = before.zip(server.processor_seconds()).map(|(a, b)| b - a);
    times.sort_unstable();
    let at = |share: f64| millis(percentile(&times, share));
    Ok(ClientsFigure {
        clients,
        queries_per_second: times.len() as f64 / took,
        queries_per_cpu_second: busy.filter(|b| *b > 0.0).map(|b| times.len() as f64 / b),
        p50_ms: at(0.50),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
        errors,
    })
}

/// Of times in order.
pub fn percentile(times: &[Duration], share: f64) -> Duration {
    let last = times.len().saturating_sub(1);
    times.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<Duration> = (1..=101).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 0.5), Duration::from_millis(51));
        assert_eq!(percentile(&times, 0.99), Duration::from_millis(100));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }
}
