//! What a file's path says about who writes it: the labels of its streams.
//!
//! Label sets are kept small, since each set is a stream of its own in the store:
//!
//! | file | labels |
//! |---|---|
//! | the kubelet's `<namespace>_<pod>_<uid>/<container>/<restart>.log` | `namespace`, `pod`, `container`, `node`, `stream` |
//! | Docker's `<id>/<id>-json.log` | `container` (its name, else the short id), `container_id` (short), `host`, `stream` |
//! | any other | `file` (its path), `host` |
//!
//! A pod's uid is no label: with most workloads a new pod has a new name anyway, and Kubernetes'
//! own conventions for logs do without it. Neither is the restart count: the lines of a restarted
//! container belong to the same story.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use model::Labels;
use serde::Deserialize;

/// Docker's description of a container; a larger one is not read.
const DOCKER_CONFIG_BYTES_MAX: u64 = 1 << 20;
/// As many digits of a container's id as Docker shows.
const SHORT_ID: usize = 12;

/// The labels of a file's streams, without `stream`.
pub(crate) fn labels(path: &Path, host: Option<&str>) -> Labels {
    let host = host.unwrap_or_default();
    if let Some((namespace, pod, container)) = pod_parts(path) {
        return Labels::from_pairs([
            ("namespace", namespace),
            ("pod", pod),
            ("container", container),
            ("node", host),
        ]);
    }
    if let Some(id) = docker_id(path) {
        let short = id.get(..SHORT_ID).unwrap_or(id);
        let name = docker_name(path);
        return Labels::from_pairs([
            ("container", name.as_deref().unwrap_or(short)),
            ("container_id", short),
            ("host", host),
        ]);
    }
    let file = path.to_string_lossy();
    Labels::from_pairs([("file", &*file), ("host", host)])
}

/// Whether a path is that of a container's log in the kubelet's folder.
pub(crate) fn is_pod_log(path: &Path) -> bool {
    pod_parts(path).is_some()
}

/// Namespace, pod and container of `<namespace>_<pod>_<uid>/<container>/<restart>.log`. None of
/// the names can hold an underscore.
fn pod_parts(path: &Path) -> Option<(&str, &str, &str)> {
    let file = path.file_name()?.to_str()?;
    let (restart, ending) = file.split_once('.')?;
    let numbered = !restart.is_empty() && restart.bytes().all(|byte| byte.is_ascii_digit());
    if !numbered || !ending.starts_with("log") {
        return None;
    }
    let folder = path.parent()?;
    let container = folder.file_name()?.to_str()?;
    let mut parts = folder.parent()?.file_name()?.to_str()?.split('_');
    let (namespace, pod, uid) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = parts.next().is_none() && ![namespace, pod, uid].contains(&"");
    whole.then_some((namespace, pod, container))
}

/// The id of `<id>/<id>-json.log`.
fn docker_id(path: &Path) -> Option<&str> {
    let id = path.file_name()?.to_str()?.strip_suffix("-json.log")?;
    let folder = path.parent()?.file_name()?.to_str()?;
    (id == folder && id.len() >= SHORT_ID && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then_some(id)
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(rename = "Name")]
    name: String,
}

/// The container's name from Docker's description beside the log, where it can be read.
fn docker_name(path: &Path) -> Option<String> {
    let file = File::open(path.parent()?.join("config.v2.json")).ok()?;
    let mut text = Vec::new();
    file.take(DOCKER_CONFIG_BYTES_MAX)
        .read_to_end(&mut text)
        .ok()?;
    let config: DockerConfig = serde_json::from_slice(&text).ok()?;
    let name = config.name.trim_start_matches('/');
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_say_who_writes() {
        let check = |path: &str, expected: &str| {
            assert_eq!(
                labels(Path::new(path), Some("n1")).to_string(),
                expected,
                "{path}"
            );
        };
        check(
            "/var/log/pods/kube-system_coredns-7d_1-2-3/coredns/2.log",
            r#"{container="coredns", namespace="kube-system", node="n1", pod="coredns-7d"}"#,
        );
        check(
            "/var/lib/docker/containers/0123456789abcdef/0123456789abcdef-json.log",
            r#"{container="0123456789ab", container_id="0123456789ab", host="n1"}"#,
        );
        check("/var/log/syslog", r#"{file="/var/log/syslog", host="n1"}"#);
        check("/a_b_c/d/x.log", r#"{file="/a_b_c/d/x.log", host="n1"}"#);
        check("/a__c/d/1.log", r#"{file="/a__c/d/1.log", host="n1"}"#);
        assert_eq!(
            labels(Path::new("/var/log/a"), None).to_string(),
            r#"{file="/var/log/a"}"#
        );
    }

    #[test]
    fn a_docker_container_has_its_name_where_it_can_be_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let id = "0123456789abcdef";
        let container = folder.path().join(id);
        std::fs::create_dir(&container).expect("a folder");
        std::fs::write(
            container.join("config.v2.json"),
            r#"{"ID":"x","Name":"/web"}"#,
        )
        .expect("a file");
        let labels = labels(&container.join(format!("{id}-json.log")), None);
        assert_eq!(labels.get("container"), Some("web"));
    }
}
