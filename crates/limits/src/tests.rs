use super::*;

/// A machine's kernel files, and the mounts of its control groups.
fn machine(cgroup: &str, mountinfo: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let files = [("proc/self/cgroup", cgroup), ("proc/self/mountinfo", mountinfo)]
        .into_iter()
        .chain(files.iter().copied());
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

const TWO: &str = "29 22 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
const DOCKER_ONE: &str = "40 39 0:33 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
                          41 39 0:34 /docker/ab /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n";

#[test]
fn the_tightest_limit_counts_wherever_it_is_set() {
    let service = "0::/system.slice/sdtrtd.service\n";
    for (what, cgroup, mounts, files, memory, cores) in [
        (
            "no limit",
            service,
            TWO,
            &[("sys/fs/cgroup/system.slice/memory.max", "max\n")] as &[_],
            None,
            None,
        ),
        (
            "a container's own view",
            "0::/\n",
            TWO,
            &[
                ("sys/fs/cgroup/memory.max", "4000\n"),
                ("sys/fs/cgroup/memory.current", "3000\n"),
                ("sys/fs/cgroup/memory.stat", "anon 5\ninactive_file 500\n"),
                ("sys/fs/cgroup/cpu.max", "150000 100000\n"),
            ],
            Some((4000, 1500, "/sys/fs/cgroup/memory.max")),
            Some(1.5),
        ),
        (
            "memory.high of a slice above",
            service,
            TWO,
            &[
                ("sys/fs/cgroup/system.slice/sdtrtd.service/memory.max", "9000"),
                ("sys/fs/cgroup/system.slice/memory.high", "7000"),
                ("sys/fs/cgroup/system.slice/sdtrtd.service/cpu.max", "max 100000"),
                ("sys/fs/cgroup/system.slice/cpu.max", "50000 100000"),
            ],
            Some((7000, 7000, "/sys/fs/cgroup/system.slice/memory.high")),
            Some(0.5),
        ),
        (
            "Docker with version 1",
            "8:memory:/docker/ab\n3:cpu,cpuacct:/docker/ab\n1:name=systemd:/docker/ab\n",
            DOCKER_ONE,
            &[
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "4096\n"),
                ("sys/fs/cgroup/memory/memory.usage_in_bytes", "96\n"),
                ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n"),
                ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ],
            Some((4096, 4000, "/sys/fs/cgroup/memory/memory.limit_in_bytes")),
            Some(2.0),
        ),
        (
            "version 1 without a limit",
            "8:memory:/docker/ab\n3:cpu,cpuacct:/docker/ab\n",
            DOCKER_ONE,
            &[
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"),
                ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
                ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ],
            None,
            None,
        ),
        (
            "a group that is not visible here",
            "0::/../other\n",
            TWO,
            &[("sys/fs/cgroup/memory.max", "1000")],
            Some((1000, 1000, "/sys/fs/cgroup/memory.max")),
            None,
        ),
        ("nothing is told", "", "", &[], None, None),
    ] {
        let root = machine(cgroup, mounts, files);
        let limits = at(root.path(), None);
        let told = limits.memory.as_ref();
        let told = told.map(|memory| (memory.bytes, memory.free, memory.file.to_str().unwrap()));
        assert_eq!(told, memory, "{what}");
        assert_eq!(limits.cores, cores, "{what}");
    }
}

#[test]
fn another_process_has_its_own_limits() {
    let root = machine(
        "0::/\n",
        TWO,
        &[("proc/7/cgroup", "0::/a\n"), ("sys/fs/cgroup/a/memory.max", "5")],
    );
    assert_eq!(at(root.path(), None), Limits::default());
    assert_eq!(at(root.path(), Some(7)).memory.unwrap().bytes, 5);
}

#[test]
fn this_machine_is_read_without_trouble() {
    let limits = of(None);
    assert!(limits.memory.is_none_or(|memory| memory.bytes > 0));
}
