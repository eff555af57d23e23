//! Space on file systems: the mounts of process 1, and `statvfs` of each.
//!
//! A mount whose server is gone makes `statvfs` hang, and nothing can wake the thread that asked.
//! So a helper thread asks; when it does not come back in time, its mount is shown with
//! `device_error` and is not asked again until it has come back, and another helper takes the rest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use parking_lot::Mutex;

use crate::HostCollector;
use crate::files::{CollectError, Text};
use crate::text::Page;

/// A mount that takes longer is left alone.
const MOUNT_TIMEOUT: Duration = Duration::from_secs(2);

/// Helpers that may hang at the same time. Beyond that no mount is asked that could hang.
const HANGING_MAX: usize = 8;

/// Kinds that hold no data of their own; node_exporter's default.
const KINDS_LEFT_OUT: [&str; 27] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "erofs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
    "fuse.lxcfs",
    "fuse.gvfsd-fuse",
];

/// Mounts that are left out with all below them; node_exporter's default.
const POINTS_LEFT_OUT: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Folders of container engines: what is mounted below them shows up elsewhere too.
const PARENTS_LEFT_OUT: [&str; 3] = [
    "/run/credentials/",
    "/var/lib/docker/",
    "/var/lib/containers/storage/",
];

/// A line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    device: String,
    point: String,
    kind: String,
    numbers: String,
    is_readonly: bool,
}

/// What a file system says about itself.
#[derive(Debug, Clone, Copy)]
struct Space {
    size_bytes: u64,
    free_bytes: u64,
    avail_bytes: u64,
    files: u64,
    files_free: u64,
}

/// Asks mounts and remembers those that hang.
#[derive(Debug)]
pub(crate) struct MountProbe {
    root: PathBuf,
    hanging: Arc<Mutex<BTreeSet<String>>>,
}

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let file = host
        .files
        .proc("1/mountinfo")
        .or_else(|_| host.files.proc("self/mountinfo"))?;
    let mounts = mounts(&file)?;
    let points = mounts.iter().map(|mount| mount.point.clone()).collect();
    let answers = host.mounts.ask(points);
    let of = |pick: fn(&Space) -> u64| -> Vec<Option<f64>> {
        answers
            .iter()
            .map(|answer| answer.as_ref().map(|space| pick(space) as f64))
            .collect()
    };
    let flags = |flags: Vec<bool>| -> Vec<Option<f64>> {
        let values = flags.into_iter().map(|flag| f64::from(u8::from(flag)));
        values.map(Some).collect()
    };
    let families = [
        (
            "node_filesystem_avail_bytes",
            "Bytes that ordinary users can still fill",
            of(|space| space.avail_bytes),
        ),
        (
            "node_filesystem_device_error",
            "1 when the mount gave no figures, 0 when it did",
            flags(answers.iter().map(Option::is_none).collect()),
        ),
        (
            "node_filesystem_files",
            "Inodes there are, used or not",
            of(|space| space.files),
        ),
        (
            "node_filesystem_files_free",
            "Inodes still unused",
            of(|space| space.files_free),
        ),
        (
            "node_filesystem_free_bytes",
            "Unused bytes, with those reserved for root",
            of(|space| space.free_bytes),
        ),
        (
            "node_filesystem_readonly",
            "1 when nothing can be written to the mount, else 0",
            flags(mounts.iter().map(|mount| mount.is_readonly).collect()),
        ),
        (
            "node_filesystem_size_bytes",
            "Capacity in bytes",
            of(|space| space.size_bytes),
        ),
    ];
    for (name, help, values) in families {
        page.family(name, "gauge", help);
        for (mount, value) in mounts.iter().zip(values) {
            let labels = [
                ("device", &*mount.device),
                ("fstype", &mount.kind),
                ("mountpoint", &mount.point),
            ];
            if let Some(value) = value {
                page.sample(name, &labels, value);
            }
        }
    }
    let name = "node_filesystem_mount_info";
    page.family(
        name,
        "gauge",
        "Where a device is mounted, with its numbers, as labels; the number is a constant 1",
    );
    for mount in &mounts {
        let (major, minor) = mount.numbers.split_once(':').unwrap_or_default();
        let labels = [
            ("device", &*mount.device),
            ("major", major),
            ("minor", minor),
            ("mountpoint", &mount.point),
        ];
        page.sample(name, &labels, 1.0);
    }
    Ok(())
}

impl MountProbe {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            hanging: Arc::default(),
        }
    }

    /// Asks every mount; `None` where it fails, hangs, or hung before.
    fn ask(&self, points: Vec<String>) -> Vec<Option<Space>> {
        let mut answers = vec![None; points.len()];
        let mut todo: Vec<(usize, String, PathBuf)> = points
            .into_iter()
            .enumerate()
            .filter(|(_, point)| !self.hanging.lock().contains(point))
            .map(|(i, point)| {
                let path = self.root.join(point.trim_start_matches('/'));
                (i, point, path)
            })
            .collect();
        while !todo.is_empty() && self.hanging.lock().len() < HANGING_MAX {
            let (sender, receiver) = mpsc::channel();
            let batch = todo.clone();
            let hanging = self.hanging.clone();
            let helper = std::thread::Builder::new()
                .name("mounts".to_owned())
                .spawn(move || {
                    for (i, point, path) in batch {
                        let answer = space_at(&path);
                        // Should it have hung, it is back now.
                        let was_given_up = hanging.lock().remove(&point);
                        if sender.send((i, answer)).is_err() || was_given_up {
                            return;
                        }
                    }
                });
            if helper.is_err() {
                return answers;
            }
            let mut done = 0;
            loop {
                match receiver.recv_timeout(MOUNT_TIMEOUT) {
                    Ok((i, answer)) => {
                        done += 1;
                        if let Some(place) = answers.get_mut(i) {
                            *place = answer;
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        if let Some((_, point, _)) = todo.get(done) {
                            tracing::warn!(mount = point, "a mount does not answer");
                            self.hanging.lock().insert(point.clone());
                        }
                        // What comes after the one that hangs is for another helper.
                        done += 1;
                        break;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if done == todo.len() {
                    break;
                }
            }
            todo.drain(..done.clamp(1, todo.len()));
        }
        answers
    }
}

/// Asks the kernel, which may take for ever.
fn space_at(path: &Path) -> Option<Space> {
    let answer = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(answer.f_frsize);
    Some(Space {
        size_bytes: bytes(answer.f_blocks),
        free_bytes: bytes(answer.f_bfree),
        avail_bytes: bytes(answer.f_bavail),
        files: answer.f_files,
        files_free: answer.f_ffree,
    })
}

/// The mounts that count, each device and point once.
fn mounts(file: &Text) -> Result<Vec<Mount>, CollectError> {
    let mut mounts: Vec<Mount> = Vec::new();
    for line in file.text.lines() {
        let mount = parse(line).ok_or_else(|| file.malformed(format!("not a mount: {line:?}")))?;
        // Something mounted over it hides what was there before.
        mounts.retain(|known| known.point != mount.point);
        if is_shown(&mount) {
            mounts.push(mount);
        }
    }
    Ok(mounts)
}

/// `36 35 98:0 /part /mnt rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue`
fn parse(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(2);
    let (numbers, _part, point, options) = (left.next()?, left.next()?, left.next()?, left.next()?);
    let mut right = right.split(' ');
    let (kind, device) = (right.next()?, right.next()?);
    let more = right.next().unwrap_or_default();
    let mut options = options.split(',').chain(more.split(','));
    Some(Mount {
        device: unescape(device),
        point: unescape(point),
        kind: kind.to_owned(),
        numbers: numbers.to_owned(),
        is_readonly: options.any(|option| option == "ro"),
    })
}

fn is_shown(mount: &Mount) -> bool {
    let is_at_or_below = |parent: &str| {
        let rest = mount.point.strip_prefix(parent);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    !KINDS_LEFT_OUT.contains(&&*mount.kind)
        && !POINTS_LEFT_OUT.iter().any(|parent| is_at_or_below(parent))
        && !PARENTS_LEFT_OUT
            .iter()
            .any(|parent| mount.point.starts_with(parent))
}

/// Blanks, tabs, line breaks and backslashes are written as octal numbers.
fn unescape(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mounts() {
        let mount = parse("36 35 98:0 / /my\\040disk rw,noatime shared:1 - ext4 /dev/sda1 ro,x")
            .expect("a mount");
        assert_eq!(mount.point, "/my disk");
        assert_eq!(
            (&*mount.device, &*mount.kind, &*mount.numbers),
            ("/dev/sda1", "ext4", "98:0")
        );
        assert!(mount.is_readonly);
        assert_eq!(parse("36 35 98:0 / /x rw"), None);
    }

    #[test]
    fn leaves_out_what_is_no_disk() {
        let shown = |kind: &str, point: &str| {
            is_shown(&Mount {
                device: "d".to_owned(),
                point: point.to_owned(),
                kind: kind.to_owned(),
                numbers: "1:2".to_owned(),
                is_readonly: false,
            })
        };
        assert!(shown("ext4", "/"));
        assert!(shown("tmpfs", "/run"));
        assert!(shown("ext4", "/system"));
        assert!(!shown("tmpfs", "/dev/shm"));
        assert!(!shown("ext4", "/sys"));
        assert!(!shown("overlay", "/"));
        assert!(!shown("ext4", "/var/lib/docker/volumes/x"));
    }

    #[test]
    fn mounts_that_hang_are_not_asked_again() {
        let probe = MountProbe::new("/".into());
        probe.hanging.lock().insert("/tmp".to_owned());
        let answers = probe.ask(vec![
            "/tmp".to_owned(),
            "/".to_owned(),
            "/no/such".to_owned(),
        ]);
        let answered: Vec<bool> = answers.iter().map(Option::is_some).collect();
        assert_eq!(answered, [false, true, false]);
    }
}
