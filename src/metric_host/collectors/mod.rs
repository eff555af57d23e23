//! One file per corner of the system, named like node_exporter's collectors.

mod arp;
mod conntrack;
mod cpu;
mod cpufreq;
mod diskstats;
mod entropy;
mod filefd;
pub(crate) mod filesystem;
mod hwmon;
mod loadavg;
mod mdadm;
mod meminfo;
mod netclass;
mod netdev;
mod netstat;
mod os;
mod pressure;
mod schedstat;
mod sockstat;
mod softnet;
mod stat;
mod thermal_zone;
mod time;
mod udp_queues;
mod uname;
mod vmstat;

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

/// Reads something of the machine onto a page.
pub(crate) type Collect = fn(&HostCollector, &mut Page) -> Result<(), CollectError>;

/// All collectors by name.
pub(crate) const COLLECTORS: &[(&str, Collect)] = &[
    ("arp", arp::collect),
    ("conntrack", conntrack::collect),
    ("cpu", cpu::collect),
    ("cpufreq", cpufreq::collect),
    ("diskstats", diskstats::collect),
    ("entropy", entropy::collect),
    ("filefd", filefd::collect),
    ("filesystem", filesystem::collect),
    ("hwmon", hwmon::collect),
    ("loadavg", loadavg::collect),
    ("mdadm", mdadm::collect),
    ("meminfo", meminfo::collect),
    ("netclass", netclass::collect),
    ("netdev", netdev::collect),
    ("netstat", netstat::collect),
    ("os", os::collect),
    ("pressure", pressure::collect),
    ("schedstat", schedstat::collect),
    ("sockstat", sockstat::collect),
    ("softnet", softnet::collect),
    ("stat", stat::collect),
    ("thermal_zone", thermal_zone::collect),
    ("time", time::collect),
    ("udp_queues", udp_queues::collect),
    ("uname", uname::collect),
    ("vmstat", vmstat::collect),
];
