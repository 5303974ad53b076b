//! The figures, as JSON, as Markdown tables, as text.

use std::fmt::Write as _;

use serde::Serialize;

#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    pub version: &'static str,
    /// Day of the measurement.
    pub date: String,
    pub processor: String,
    pub processors: usize,
    pub threads: usize,
    pub scales: Vec<ScaleFigure>,
}

/// One size of the data.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ScaleFigure {
    pub scale: f64,
    pub rows: usize,
    pub load_seconds: f64,
    pub load_rows_per_cpu_second: Option<f64>,
    pub load_peak_mb: Option<f64>,
    pub memory_mb: Option<f64>,
    pub disk_mb: f64,
    /// From the start of the process to the first answer.
    pub restart_seconds: f64,
    /// `EVALUATE ROW("x", 1)`, whole round trip.
    pub fixed_p50_ms: f64,
    pub queries: Vec<QueryFigure>,
    pub clients: Vec<ClientsFigure>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct QueryFigure {
    pub name: &'static str,
    /// The best of several runs, the cache cleared before each.
    pub cold_ms: f64,
    pub cold_one_thread_ms: Option<f64>,
    /// The median of repeated runs.
    pub warm_p50_ms: f64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct ClientsFigure {
    pub clients: usize,
    pub queries_per_second: f64,
    pub queries_per_cpu_second: Option<f64>,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub errors: usize,
}

fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"))
}

impl Report {
    pub fn markdown(&self) -> String {
        let mut out = format!(
            "Measured on {} with {} ({} processors), version {}, {} threads.\n\n",
            self.date, self.processor, self.processors, self.version, self.threads
        );
        out.push_str("| scale | rows | load s | rows/s/core | peak MB | memory MB | disk MB | restart s | fixed ms |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
        for s in &self.scales {
            let _written = writeln!(
                out,
                "| {} | {} | {:.1} | {} | {} | {} | {:.0} | {:.2} | {:.2} |",
                s.scale,
                s.rows,
                s.load_seconds,
                shown(s.load_rows_per_cpu_second, 0),
                shown(s.load_peak_mb, 0),
                shown(s.memory_mb, 0),
                s.disk_mb,
                s.restart_seconds,
                s.fixed_p50_ms
            );
        }
        for s in &self.scales {
            s.write(&mut out);
        }
        out
    }
}

impl ScaleFigure {
    fn write(&self, out: &mut String) {
        let _written = writeln!(
            out,
            "\nScale {}, milliseconds:\n\n| query | cold | cold, 1 thread | warm |\n|---|--:|--:|--:|",
            self.scale
        );
        for q in &self.queries {
            let _written = writeln!(
                out,
                "| {} | {:.2} | {} | {:.2} |",
                q.name,
                q.cold_ms,
                shown(q.cold_one_thread_ms, 2),
                q.warm_p50_ms
            );
        }
        if self.clients.is_empty() {
            return;
        }
        out.push_str("\n| clients | queries/s | queries per CPU second | p50 ms | p95 ms | p99 ms | errors |\n|--:|--:|--:|--:|--:|--:|--:|\n");
        for c in &self.clients {
            let _written = writeln!(
                out,
                "| {} | {:.0} | {} | {:.1} | {:.1} | {:.1} | {} |",
                c.clients,
                c.queries_per_second,
                shown(c.queries_per_cpu_second, 0),
                c.p50_ms,
                c.p95_ms,
                c.p99_ms,
                c.errors
            );
        }
    }
}
