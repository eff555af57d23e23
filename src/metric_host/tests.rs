//! The whole collector on machines made of files.

use std::fs;
use std::path::Path;

use super::*;

/// The machine in `testdata`: two CPUs, two disks, a RAID array that lost a disk.
fn testdata() -> Config {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    Config {
        proc: dir.join("proc"),
        sys: dir.join("sys"),
        root: dir.join("root"),
    }
}

/// Samples of a page by name and labels.
fn samples(page: &str) -> BTreeMap<&str, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| {
        let (key, value) = line.rsplit_once(' ').expect("key and value");
        (key, value.parse().expect("a number"))
    });
    samples.collect()
}

#[test]
fn reads_a_whole_machine() {
    let host = HostCollector::new(testdata());
    let page = host.collect().expect("a page");
    let samples = samples(&page);
    let check = |key: &str, expected: f64| {
        let value = samples.get(key).copied();
        assert_eq!(value, Some(expected), "{key}");
    };
    check(r#"node_arp_entries{device="eth0"}"#, 2.0);
    check("node_nf_conntrack_entries", 123.0);
    check("node_nf_conntrack_entries_limit", 262_144.0);
    check("node_nf_conntrack_stat_insert_failed", 18.0);
    check(r#"node_udp_queues{ip="v4",queue="rx"}"#, 272.0);
    check(r#"node_cpu_seconds_total{cpu="0",mode="user"}"#, 1234.56);
    check(r#"node_cpu_seconds_total{cpu="1",mode="steal"}"#, 0.07);
    check(r#"node_cpu_guest_seconds_total{cpu="1",mode="nice"}"#, 0.09);
    check(
        r#"node_cpu_scaling_frequency_hertz{cpu="0"}"#,
        2_400_000_000.0,
    );
    check(
        r#"node_disk_read_bytes_total{device="sda"}"#,
        1000.0 * 512.0,
    );
    check(r#"node_disk_io_time_seconds_total{device="nvme0n1"}"#, 1.5);
    check(r#"node_disk_flush_requests_total{device="nvme0n1"}"#, 7.0);
    assert!(!page.contains(r#"device="sda1""#) && !page.contains(r#"device="loop0""#));
    check("node_entropy_available_bits", 256.0);
    check("node_filefd_allocated", 1056.0);
    check("node_filefd_maximum", 9_223_372_036_854_775_807.0);
    check("node_load1", 0.5);
    check("node_load15", 2.25);
    check(r#"node_md_disks{device="md0",state="failed"}"#, 1.0);
    check(r#"node_md_disks{device="md0",state="active"}"#, 1.0);
    check(r#"node_md_disks_required{device="md0"}"#, 2.0);
    check(r#"node_md_state{device="md0",state="recovering"}"#, 1.0);
    check(r#"node_md_blocks_synced{device="md0"}"#, 3_380_992.0);
    check("node_memory_MemTotal_bytes", 4_000_000.0 * 1024.0);
    check("node_memory_Active_anon_bytes", 100.0 * 1024.0);
    check("node_memory_HugePages_Total", 3.0);
    check(r#"node_network_up{device="eth0"}"#, 1.0);
    check(r#"node_network_up{device="lo"}"#, 0.0);
    check(r#"node_network_speed_bytes{device="eth0"}"#, 125_000_000.0);
    assert!(!page.contains(r#"node_network_speed_bytes{device="lo"}"#));
    check(r#"node_network_flags{device="eth0"}"#, 4099.0);
    check(
        r#"node_network_receive_bytes_total{device="eth0"}"#,
        123_456.0,
    );
    check(
        r#"node_network_transmit_compressed_total{device="eth0"}"#,
        16.0,
    );
    check("node_netstat_Tcp_RetransSegs", 42.0);
    check("node_netstat_TcpExt_ListenDrops", 5.0);
    check("node_netstat_Ip6_InOctets", 77.0);
    assert!(!page.contains("node_netstat_Tcp_RtoMin"));
    check("node_pressure_cpu_waiting_seconds_total", 1.5);
    check("node_pressure_memory_stalled_seconds_total", 0.25);
    check(r#"node_schedstat_running_seconds_total{cpu="0"}"#, 2.5);
    check(r#"node_schedstat_timeslices_total{cpu="0"}"#, 99.0);
    check("node_sockstat_TCP_inuse", 4.0);
    check(
        "node_sockstat_TCP_mem_bytes",
        2.0 * rustix::param::page_size() as f64,
    );
    check("node_sockstat_TCP6_inuse", 3.0);
    check(r#"node_softnet_processed_total{cpu="1"}"#, 255.0);
    check("node_boot_time_seconds", 1_763_000_000.0);
    check("node_context_switches_total", 5000.0);
    check("node_intr_total", 777.0);
    check("node_procs_running", 2.0);
    check(
        r#"node_thermal_zone_temp{type="x86_pkg_temp",zone="0"}"#,
        45.5,
    );
    check(
        r#"node_hwmon_temp_celsius{chip="coretemp",sensor="temp1"}"#,
        51.0,
    );
    check(
        r#"node_hwmon_temp_max_celsius{chip="coretemp",sensor="temp1"}"#,
        100.0,
    );
    check(
        r#"node_hwmon_sensor_label{chip="coretemp",label="Package",sensor="temp1"}"#,
        1.0,
    );
    check(
        r#"node_time_clocksource_current_info{clocksource="tsc",device="0"}"#,
        1.0,
    );
    check("node_vmstat_pgmajfault", 12.0);
    check("node_vmstat_oom_kill", 1.0);
    check(
        r#"node_os_version{id="debian",id_like="",name="Debian GNU/Linux"}"#,
        12.0,
    );
    assert!(page.contains(r#"nodename="testhost""#));
    assert!(!page.contains("node_vmstat_nr_free_pages"));
    // The root is a folder that is there; the other mount is not.
    let root = r#"{device="/dev/sda1",fstype="ext4",mountpoint="/"}"#;
    check(&format!("node_filesystem_device_error{root}"), 0.0);
    check(&format!("node_filesystem_readonly{root}"), 0.0);
    assert!(samples[&*format!("node_filesystem_size_bytes{root}")] > 0.0);
    let gone = r#"{device="server:/x",fstype="nfs4",mountpoint="/my disk"}"#;
    check(&format!("node_filesystem_device_error{gone}"), 1.0);
    check(&format!("node_filesystem_readonly{gone}"), 1.0);
    assert!(!samples.contains_key(&*format!("node_filesystem_size_bytes{gone}")));
    assert_eq!(host.problems(), BTreeMap::new());
    for (name, _) in COLLECTORS {
        check(
            &format!(r#"node_scrape_collector_success{{collector="{name}"}}"#),
            1.0,
        );
    }
}

#[test]
fn every_family_has_a_head_and_comes_once() {
    let page = HostCollector::new(testdata()).collect().expect("a page");
    let mut seen = std::collections::BTreeSet::new();
    let mut family = "";
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().expect("a name");
            assert!(seen.insert(family), "{family} comes twice");
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().expect("a name");
            assert_eq!(name, family, "{line}");
        }
    }
}

#[test]
fn what_is_missing_or_malformed_fails_only_its_collector() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("loadavg"), "0.1 0.2 0.3 1/2 3\n").expect("it can be written");
    fs::write(
        dir.path().join("meminfo"),
        "MemTotal: 12 kB\nMemFree: many kB\n",
    )
    .expect("it too");
    fs::write(dir.path().join("stat"), "cpu0 1 2\n").expect("it too");
    let host = HostCollector::new(Config {
        proc: dir.path().to_owned(),
        sys: dir.path().join("no-sys"),
        root: dir.path().to_owned(),
    });
    let page = host.collect().expect("a page");
    let samples = samples(&page);
    assert_eq!(samples.get("node_load5"), Some(&0.2));
    assert_eq!(
        samples.get(r#"node_scrape_collector_success{collector="loadavg"}"#),
        Some(&1.0)
    );
    assert_eq!(
        samples.get(r#"node_scrape_collector_success{collector="meminfo"}"#),
        Some(&0.0)
    );
    assert!(!page.contains("node_memory_"), "half a page: {page}");
    let problems = host.problems();
    assert!(problems["meminfo"].ends_with("meminfo: \"many\" is not a number"));
    assert!(problems["cpu"].contains("cpu0 has 2 columns"));
    assert!(problems["vmstat"].contains("cannot read"));
    assert!(!problems.contains_key("loadavg"));
}

#[test]
fn a_machine_that_cannot_be_read_at_all_is_an_error() {
    let dir = tempfile::tempdir().expect("a folder");
    let host = HostCollector::new(Config {
        proc: dir.path().join("a"),
        sys: dir.path().join("b"),
        root: dir.path().join("c"),
    });
    let error = host.collect().expect_err("nothing there");
    assert!(
        error.contains("nothing can be read of this machine"),
        "{error}"
    );
}

#[test]
fn reads_the_machine_that_it_runs_on() {
    let page = HostCollector::new(Config::default())
        .collect()
        .expect("a page");
    for name in [
        "node_cpu_seconds_total",
        "node_memory_MemTotal_bytes",
        "node_load1",
    ] {
        assert!(page.contains(name), "{name}");
    }
}
