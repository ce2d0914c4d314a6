//! What the operating system says about this process, read from `/proc` at each scrape. Where there is no
//! `/proc`, these metrics are absent rather than zero.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Clock ticks per second in `/proc/<pid>/stat`. `sysconf(_SC_CLK_TCK)` would need C; Linux has fixed the
/// value user space sees at 100 on every architecture Rust has a tier 1 or 2 target for.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let status = fs::read_to_string("/proc/self/status").ok();
        if let Some(bytes) = status.as_deref().and_then(resident_bytes) {
            let gauge = ConstGauge::new(bytes);
            let help = "Resident memory size";
            gauge.encode(encoder.encode_descriptor(
                "process_resident_memory",
                help,
                Some(&Unit::Bytes),
                gauge.metric_type(),
            )?)?;
        }
        let stat = fs::read_to_string("/proc/self/stat").ok();
        if let Some(seconds) = stat.as_deref().and_then(cpu_seconds) {
            let counter = ConstCounter::new(seconds);
            let help = "User and system CPU time spent";
            counter.encode(encoder.encode_descriptor(
                "process_cpu",
                help,
                Some(&Unit::Seconds),
                counter.metric_type(),
            )?)?;
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            // One of the entries is the directory that is being read.
            let gauge = ConstGauge::new(i64::try_from(entries.count()).unwrap_or(i64::MAX) - 1);
            let help = "Open file descriptors";
            gauge.encode(encoder.encode_descriptor(
                "process_open_fds",
                help,
                None,
                gauge.metric_type(),
            )?)?;
        }
        Ok(())
    }
}

/// `VmRSS` of `/proc/<pid>/status`, which counts in KiB whatever the size of a page (proc(5)).
fn resident_bytes(status: &str) -> Option<i64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(value.trim().strip_suffix(" kB")?.parse::<i64>().ok()? * 1024)
}

/// `utime` + `stime` of `/proc/<pid>/stat`, its fields 14 and 15 (proc(5)). Field 2 is the command in
/// brackets and may itself hold blanks and brackets, so counting starts after the last bracket.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_command) = stat.rsplit_once(')')?;
    let mut from_field_3 = after_command.split_ascii_whitespace();
    let user: u64 = from_field_3.nth(11)?.parse().ok()?;
    let system: u64 = from_field_3.next()?.parse().ok()?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact for the first 2.8 million years of CPU time"
    )]
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_status() {
        let status = "Name:\tgateway\nVmHWM:\t   20480 kB\nVmRSS:\t   12345 kB\nThreads:\t4\n";
        assert_eq!(resident_bytes(status), Some(12_641_280));
        assert_eq!(resident_bytes("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn cpu_time_is_read_from_stat_even_when_the_command_has_blanks_and_brackets() {
        let stat = "4711 (a) b (c)) S 1 4711 4711 0 -1 4194560 100 0 0 0 1234 66 9 9 20 0 5 0 300 1 2";
        assert_eq!(cpu_seconds(stat), Some(13.0));
        assert_eq!(cpu_seconds("4711 (x) S 1"), None);
    }
}
