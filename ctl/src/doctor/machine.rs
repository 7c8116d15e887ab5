//! Memory and cores: what sdtrtd may use of the machine.

use std::fs;

use config::ByteSize;
use limits::Limits;

use super::Finding;
use crate::render::text;

/// What building an SD 1.5 engine held at most (measured: 5.8 GB).
const MEMORY_BYTES: u64 = 7_000_000_000;

/// What building a shared engine takes at most.
const SHARED_BYTES: u64 = 1_500_000_000;

/// `daemon` is the process id of the daemon, whose limits count if it runs.
pub(super) fn all(daemon: Option<u32>) -> Vec<Finding> {
    let limits = limits::of(daemon);
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let cores = cores(&limits);
    std::iter::once(memory(&meminfo, &limits)).chain(cores).collect()
}

fn memory(meminfo: &str, limits: &Limits) -> Finding {
    const TOPIC: &str = "memory";
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|total| total.trim().trim_end_matches(" kB").parse().ok());
    let machines = kilobytes.map(|kilobytes: u64| kilobytes.saturating_mul(1024));
    let limit = limits.memory.as_ref().filter(|limit| machines.is_none_or(|all| limit.bytes < all));
    let (bytes, found) = match (limit, machines) {
        (Some(limit), machines) => {
            let of = machines
                .map_or_else(String::new, |all| format!(" of the machine's {}", text::size(all)));
            let found =
                format!("limited to {}{of} by {}", text::size(limit.bytes), limit.file.display());
            (limit.bytes, found)
        }
        (None, Some(all)) => (all, text::size(all)),
        (None, None) => return Finding::ok(TOPIC, "unknown"),
    };
    if bytes >= MEMORY_BYTES {
        return Finding::ok(TOPIC, found);
    }
    let raise = if limit.is_some() { "raise the limit" } else { "add swap" };
    let advice = if bytes >= SHARED_BYTES {
        format!(
            "building a baked engine takes 6 GB for SD, more for SDXL: leave `engines` at shared, or {raise}"
        )
    } else {
        format!("building a shared engine takes up to {}: {raise}", size(SHARED_BYTES))
    };
    Finding::warning(TOPIC, found, advice)
}

/// Of what few processes are told: a limit of the time on the CPU.
fn cores(limits: &Limits) -> Option<Finding> {
    let cores = limits.cores?;
    let found = format!("limited to {cores:.1} cores' time");
    Some(match cores < 1.0 {
        true => {
            Finding::warning("CPU", found, "builds take longer than elsewhere; raise the limit")
        }
        false => Finding::ok("CPU", found),
    })
}

fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().si().to_string()
}

#[cfg(test)]
mod tests {
    use limits::Memory;

    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn the_limit_counts_where_it_is_less_than_the_machine() {
        const GB: u64 = 1_000_000_000;
        let limited = |gigabytes: u64| Limits {
            memory: Some(Memory {
                bytes: gigabytes * GB,
                free: 0,
                file: "/sys/fs/cgroup/memory.max".into(),
            }),
            cores: None,
        };
        let machine =
            |gigabytes: u64| format!("MemTotal:       {} kB\nMemFree: 1 kB", gigabytes * GB / 1024);
        for (meminfo, limits, verdict, said) in [
            (machine(16), Limits::default(), Verdict::Ok, "16 GB"),
            (machine(4), Limits::default(), Verdict::Warning, "4.0 GB"),
            (
                machine(64),
                limited(4),
                Verdict::Warning,
                "limited to 4.0 GB of the machine's 64 GB by /sys",
            ),
            (machine(64), limited(1), Verdict::Warning, "limited to 1.0 GB"),
            (machine(64), limited(8), Verdict::Ok, "limited to 8.0 GB"),
            (machine(8), limited(64), Verdict::Ok, "8.0 GB"),
            (String::new(), limited(2), Verdict::Warning, "limited to 2.0 GB by"),
            (String::new(), Limits::default(), Verdict::Ok, "unknown"),
        ] {
            let finding = memory(&meminfo, &limits);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.found.contains(said), "{said}: {finding:?}");
        }
    }

    #[test]
    fn a_limit_of_time_is_told() {
        let limited = |cores| cores_of(Limits { memory: None, cores });
        assert_eq!(limited(None), None);
        assert_eq!(limited(Some(2.0)), Some(Verdict::Ok));
        assert_eq!(limited(Some(0.5)), Some(Verdict::Warning));
    }

    fn cores_of(limits: Limits) -> Option<Verdict> {
        cores(&limits).map(|finding| finding.verdict)
    }
}
