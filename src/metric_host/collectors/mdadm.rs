//! Software RAID: /proc/mdstat.

use crate::HostCollector;
use crate::files::CollectError;
use crate::text::Page;

/// An array as /proc/mdstat tells it in two or three lines.
#[derive(Debug, Default)]
struct Array<'a> {
    name: &'a str,
    state: &'static str,
    required: f64,
    active: f64,
    failed: f64,
    spare: f64,
    blocks: f64,
    blocks_synced: f64,
}

/// Picks a figure of an array.
type Column = fn(&Array<'_>) -> f64;

const STATES: [&str; 5] = ["active", "inactive", "recovering", "resync", "check"];

pub(super) fn collect(host: &HostCollector, page: &mut Page) -> Result<(), CollectError> {
    let Ok(file) = host.files.proc("mdstat") else {
        return Err(CollectError::Absent("software RAID"));
    };
    let arrays = arrays(&file.text);
    if arrays.is_empty() {
        // The file is there, so the answer is: no arrays.
        return Ok(());
    }
    let name = "node_md_state";
    page.family(
        name,
        "gauge",
        "1 for the state a RAID array is in, 0 for the others",
    );
    for array in &arrays {
        for state in STATES {
            let value = f64::from(u8::from(array.state == state));
            page.sample(name, &[("device", array.name), ("state", state)], value);
        }
    }
    let name = "node_md_disks";
    page.family(name, "gauge", "Disks of a RAID array by how they are doing");
    for array in &arrays {
        for (state, value) in [
            ("active", array.active),
            ("failed", array.failed),
            ("spare", array.spare),
        ] {
            page.sample(name, &[("device", array.name), ("state", state)], value);
        }
    }
    let columns: [(&str, &str, Column); 3] = [
        (
            "node_md_disks_required",
            "Disks a RAID array needs to be complete",
            |a| a.required,
        ),
        (
            "node_md_blocks",
            "Size of a RAID array in blocks of 1 KiB",
            |a| a.blocks,
        ),
        (
            "node_md_blocks_synced",
            "Blocks a running sync has done; all of them when none runs",
            |a| a.blocks_synced,
        ),
    ];
    for (name, help, column) in columns {
        page.gauges(
            name,
            help,
            "device",
            arrays.iter().map(|a| (a.name, column(a))),
        );
    }
    Ok(())
}

fn arrays(text: &str) -> Vec<Array<'_>> {
    let mut arrays: Vec<Array<'_>> = Vec::new();
    for line in text.lines() {
        // `md0 : active raid1 sdb1[1] sda1[0](F)`
        if let Some((name, rest)) = line.split_once(" : ")
            && name.starts_with("md")
        {
            let members: Vec<&str> = rest.split(' ').filter(|word| word.contains('[')).collect();
            let marked = |mark| members.iter().filter(|m| m.ends_with(mark)).count() as f64;
            let (failed, spare) = (marked("(F)"), marked("(S)"));
            let active = members.len() as f64 - failed - spare;
            arrays.push(Array {
                name,
                state: if rest.starts_with("active") {
                    "active"
                } else {
                    "inactive"
                },
                required: active,
                active,
                failed,
                spare,
                ..Array::default()
            });
            continue;
        }
        let Some(array) = arrays.last_mut() else {
            continue;
        };
        if let Some((blocks, rest)) = line.split_once(" blocks") {
            array.blocks = blocks.trim().parse().unwrap_or(0.0);
            array.blocks_synced = array.blocks;
            // `[2/1]`: two disks wanted, one works.
            let counts = rest.split('[').nth(1).and_then(|r| r.split(']').next());
            if let Some((required, active)) = counts.and_then(|c| c.split_once('/'))
                && let (Ok(required), Ok(active)) = (required.parse(), active.parse())
            {
                (array.required, array.active) = (required, active);
            }
        } else if let Some(state) = ["recover", "resync", "check"]
            .into_iter()
            .find(|w| line.contains(w))
        {
            array.state = match state {
                "recover" => "recovering",
                other => other,
            };
            // `recovery = 12.6% (3380992/26791168) finish=…`
            let synced = line
                .split('(')
                .nth(1)
                .and_then(|rest| rest.split('/').next());
            array.blocks_synced = synced.and_then(|s| s.parse().ok()).unwrap_or(0.0);
        }
    }
    arrays
}
