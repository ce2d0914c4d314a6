//! What processes use of the machine, as Linux tells in `/proc`.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::Context;

/// The unit of times in `/proc/PID/stat`: 1/100 s on every Linux (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// One line of `/proc/PID/stat`, as far as it is of use here. Times in ticks.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    own: u64,
    /// Of children that ended and were waited for.
    ended_children: u64,
}

impl Stat {
    fn of(pid: &str) -> anyhow::Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let line = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        Stat::parse(&line).with_context(|| format!("cannot read {path}"))
    }

    /// See proc(5): the second field is the program's name in brackets, which may hold anything.
    fn parse(line: &str) -> Option<Self> {
        let (_, fields) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let number = |position: usize| fields.get(position - 3)?.parse::<u64>().ok();
        Some(Stat {
            parent: u32::try_from(number(4)?).ok()?,
            own: number(14)? + number(15)?,
            ended_children: number(16)? + number(17)?,
        })
    }
}

fn duration(ticks: u64) -> Duration {
    Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND)
}

/// Processor time that a process has used so far, by all its threads.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    Ok(duration(Stat::of(&pid.to_string())?.own))
}

/// Processor time that a process and its children have used so far, those that have ended included: what a
/// whole PostgreSQL server used, given its postmaster.
pub fn cpu_with_children(pid: u32) -> anyhow::Result<Duration> {
    let mut ticks: HashMap<u32, u64> = HashMap::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let name = entry.context("cannot read /proc")?.file_name();
        let Some(name) = name.to_str().filter(|name| name.parse::<u32>().is_ok()) else {
            continue;
        };
        // A process may end between being listed and being read.
        if let Ok(stat) = Stat::of(name) {
            *ticks.entry(stat.parent).or_default() += stat.own;
        }
    }
    let parent = Stat::of(&pid.to_string())?;
    let children = ticks.get(&pid).copied().unwrap_or_default();
    Ok(duration(parent.own + parent.ended_children + children))
}

/// Processor time that all cores together spent on anything so far, of other machines on the same hardware
/// too.
pub fn cpu_of_machine() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    busy_ticks(&stat)
        .map(duration)
        .context("/proc/stat does not begin with the sum of all cores")
}

/// See proc(5): user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user.
fn busy_ticks(stat: &str) -> Option<u64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let ticks: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some(ticks.get(..8)?.iter().sum::<u64>() - idle)
}

/// Memory that a process holds now, and the most it ever held, in bytes.
pub fn memory(pid: u32) -> anyhow::Result<(u64, u64)> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let field = |name| memory_field(&status, name).with_context(|| format!("{path} has no {name}"));
    Ok((field("VmRSS:")?, field("VmHWM:")?))
}

fn memory_field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1_024)
}

/// What the machine is: cores, processor and memory.
pub fn machine() -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism().context("cannot count the cores")?;
    let memory = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
    let memory = memory_field(&memory, "MemTotal:").context("/proc/meminfo has no MemTotal")?;
    let processor = fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
    let name = processor.lines().find_map(|line| line.strip_prefix("model name"));
    let name = name.map_or("unknown processor", |name| {
        name.trim_start_matches(['\t', ' ', ':'])
    });
    Ok(format!("{cores} cores ({name}), {} GB", memory / 1_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_a_name_that_looks_like_fields() {
        let line = "4711 (a) S 1 (b) R 42 4711 4711 0 -1 4194304 1 2 3 4 100 20 3000 400 20 0 1 0 5 6 7";
        let stat = Stat {
            parent: 42,
            own: 120,
            ended_children: 3_400,
        };
        assert_eq!(Stat::parse(line), Some(stat));
        assert_eq!(Stat::parse("4711 (broken"), None);
    }

    #[test]
    fn waiting_is_no_work() {
        let stat = "cpu  100 20 30 4000 500 1 2 3 50 60\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(busy_ticks(stat), Some(156));
        assert_eq!(busy_ticks("intr 1 2 3"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n";
        assert_eq!(memory_field(status, "VmRSS:"), Some(10_485_760));
        assert_eq!(memory_field(status, "VmSwap:"), None);
    }

    #[test]
    fn the_time_of_children_that_ended_is_not_forgotten() {
        let (own, all) = (cpu(std::process::id()).unwrap(), || {
            cpu_with_children(std::process::id()).unwrap()
        });
        let before = all();
        assert!(before >= own);
        let mut child = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done"])
            .spawn()
            .unwrap();
        assert!(child.wait().unwrap().success());
        assert!(all() > before);
    }
}
