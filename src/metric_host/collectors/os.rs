//! The distribution: /etc/os-release.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

const KEYS: [(&str, &str); 11] = [
    ("build_id", "BUILD_ID"),
    ("id", "ID"),
    ("id_like", "ID_LIKE"),
    ("image_id", "IMAGE_ID"),
    ("image_version", "IMAGE_VERSION"),
    ("name", "NAME"),
    ("pretty_name", "PRETTY_NAME"),
    ("variant", "VARIANT"),
    ("variant_id", "VARIANT_ID"),
    ("version", "VERSION"),
    ("version_codename", "VERSION_CODENAME"),
];

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let file = host
        .files
        .root("etc/os-release")
        .or_else(|_| host.files.root("usr/lib/os-release"))?;
    let value = |key: &str| {
        let line = file.text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == key).then_some(value.trim())
        });
        line.unwrap_or_default().trim_matches(['"', '\''])
    };
    let version_id = value("VERSION_ID");
    let mut labels: Vec<(&str, &str)> = KEYS
        .iter()
        .map(|(label, key)| (*label, value(key)))
        .collect();
    labels.push(("version_id", version_id));
    let info = "node_os_info";
    page.family(
        info,
        "gauge",
        "What os-release says of the distribution, as labels; the number is a constant 1",
    );
    page.sample(info, &labels, 1.0);
    // `22.04.1` and the like: major and minor.
    let number: String = version_id
        .splitn(3, '.')
        .take(2)
        .collect::<Vec<_>>()
        .join(".");
    if let Ok(number) = number.parse() {
        let name = "node_os_version";
        page.family(
            name,
            "gauge",
            "Version of the distribution as a number, no finer than its second part",
        );
        let labels = [
            ("id", value("ID")),
            ("id_like", value("ID_LIKE")),
            ("name", value("NAME")),
        ];
        page.sample(name, &labels, number);
    }
    Ok(())
}
