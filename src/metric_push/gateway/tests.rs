//! Pushes that replace, that do not fit, that find no room, and that come back.

use std::collections::BTreeMap;

use metric_scrape::exposition::Format;
use prometheus_client::registry::Registry;

use super::*;

/// A store in memory that can be told to fail.
#[derive(Default)]
struct Shelf {
    groups: Mutex<BTreeMap<String, Vec<u8>>>,
    is_full: Mutex<bool>,
}

impl GroupStore for Shelf {
    fn groups(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let groups = self.groups.lock();
        Ok(groups.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
    }

    fn put(&self, id: &str, document: &[u8]) -> Result<(), StoreError> {
        if *self.is_full.lock() {
            return Err(StoreError::NoSpace("the shelf is full".to_owned()));
        }
        self.groups.lock().insert(id.to_owned(), document.to_vec());
        Ok(())
    }

    fn remove(&self, id: &str) -> Result<(), StoreError> {
        self.groups.lock().remove(id);
        Ok(())
    }
}

fn open(shelf: &Arc<Shelf>, limits: Limits) -> Gateway {
    let metrics = Metrics::new(&mut Registry::default());
    Gateway::open(shelf.clone(), limits, metrics).expect("opens")
}

fn gateway() -> Gateway {
    open(&Arc::default(), Limits::default())
}

fn key(path: &str) -> GroupKey {
    GroupKey::of_path(path).expect("a good path")
}

fn push(g: &Gateway, path: &str, way: Way, text: &str, now_ms: i64) -> Result<(), String> {
    let families = family::read(text.as_bytes(), Format::Text).expect("good text");
    g.push(&key(path), way, families, now_ms)
        .map_err(|error| error.to_string())
}

/// Every metric on the page, `name{labels} value`; the times of pushes too.
fn page(g: &Gateway) -> Vec<String> {
    let families = g.groups().into_iter().flat_map(|group| group.families);
    let mut lines: Vec<String> = families
        .flat_map(|pushed| {
            let family = pushed.family;
            let (name, kind) = (family.name.clone(), family.kind);
            family.metrics.into_iter().map(move |metric| {
                let labels = metric.labels.iter();
                let labels: Vec<String> = labels.map(|(n, v)| format!("{n}={v}")).collect();
                let numbers = metric.numbers(kind).expect("numbers");
                let value = match numbers {
                    family::Numbers::Value(value) => value.to_string(),
                    other => format!("{other:?}"),
                };
                format!("{name}{{{}}} {value}", labels.join(","))
            })
        })
        .collect();
    lines.sort_unstable();
    lines
}

#[test]
fn put_replaces_the_group_and_post_the_names() {
    let g = gateway();
    push(&g, "job/a", Way::Group, "x 1\ny 2\n", 1_000).expect("new");
    push(&g, "job/a", Way::Names, "y 3\n", 2_000).expect("post");
    assert_eq!(
        page(&g),
        [
            "push_failure_time_seconds{instance=,job=a} 0",
            "push_time_seconds{instance=,job=a} 2",
            "x{instance=,job=a} 1",
            "y{instance=,job=a} 3",
        ]
    );
    push(&g, "job/a", Way::Group, "z 4\n", 3_000).expect("put");
    assert_eq!(page(&g)[2..], ["z{instance=,job=a} 4"]);
    push(&g, "job/a/instance/i", Way::Group, "z 5\n", 3_500).expect("another group");
    assert!(page(&g).contains(&"z{instance=i,job=a} 5".to_owned()));
    assert_eq!(g.delete(&key("job/a")).ok(), Some(true));
    assert_eq!(g.delete(&key("job/a")).ok(), Some(false));
    assert_eq!(page(&g).len(), 3);
    // An empty push says only that the job was there.
    push(&g, "job/a/instance/i", Way::Group, "", 4_000).expect("empty");
    assert_eq!(
        page(&g),
        [
            "push_failure_time_seconds{instance=i,job=a} 0",
            "push_time_seconds{instance=i,job=a} 4",
        ]
    );
}

#[test]
fn the_labels_of_the_group_win() {
    let g = gateway();
    let text = "m{job=\"x\",instance=\"own\",a=\"b\"} 1\n";
    push(&g, "job/j", Way::Group, text, 1).expect("pushed");
    assert!(page(&g).contains(&"m{a=b,instance=own,job=j} 1".to_owned()));
    push(&g, "job/j/instance/i", Way::Group, text, 1).expect("pushed");
    assert!(page(&g).contains(&"m{a=b,instance=i,job=j} 1".to_owned()));
}

#[test]
fn what_does_not_fit_is_refused_and_the_time_of_it_kept() {
    let g = gateway();
    let gauge = "# TYPE m gauge\nm 1\n";
    push(&g, "job/a", Way::Group, gauge, 1_000).expect("pushed");
    let check = |path: &str, text: &str, part: &str| {
        let error = push(&g, path, Way::Names, text, 9_000).expect_err(text);
        assert!(error.contains(part), "{text}: {error}");
    };
    check("job/a", "m2 1 123\n", "\"m2\" has a timestamp");
    check(
        "job/b",
        "# TYPE m counter\nm 1\n",
        "another group has it as gauge",
    );
    let twice = "n{job=\"1\"} 1\nn{job=\"2\"} 1\n";
    check("job/b", twice, "\"n\" is there twice");
    let parts = "# TYPE h histogram\nh_count 1\nh_sum 1\nh_bucket{le=\"+Inf\"} 1\n";
    push(&g, "job/h", Way::Group, parts, 1_000).expect("pushed");
    check("job/i", "# TYPE h_sum gauge\nh_sum 1\n", "a part of itself");
    push(
        &g,
        "job/t",
        Way::Group,
        "# TYPE t_sum gauge\nt_sum 1\n",
        1_000,
    )
    .expect("pushed");
    check("job/u", "# TYPE t summary\nt_sum 1\n", "a part of itself");
    push(&g, "job/s", Way::Group, "s{x=\"1\"} 1\n", 1_000).expect("pushed");
    check("job/s/x/1", "s 1\n", "in another group already");
    // The same group may change a type when nobody else has it.
    push(&g, "job/a", Way::Group, "# TYPE m counter\nm 1\n", 9_500).expect("its own");
    assert!(page(&g).contains(&"push_failure_time_seconds{instance=,job=a} 9".to_owned()));
    assert!(page(&g).contains(&"push_failure_time_seconds{instance=,job=b} 9".to_owned()));
    assert!(page(&g).contains(&"push_time_seconds{instance=,job=b} 0".to_owned()));
}

#[test]
fn there_is_an_end_to_groups_and_bytes() {
    let limits = Limits {
        groups_max: 2,
        bytes_max: 150,
    };
    let g = open(&Arc::default(), limits);
    push(&g, "job/a", Way::Group, "m 1\n", 1).expect("pushed");
    push(&g, "job/b", Way::Group, "m 1\n", 1).expect("pushed");
    let error = push(&g, "job/c", Way::Group, "m 1\n", 1).expect_err("a third");
    assert!(error.contains("2 groups are kept already"), "{error}");
    let large = format!("m{{x=\"{}\"}} 1\n", "y".repeat(150));
    let error = push(&g, "job/a", Way::Group, &large, 1).expect_err("too large");
    assert!(error.contains("the limit is 150 B"), "{error}");
    // What is there can be pushed again.
    push(&g, "job/a", Way::Group, "m 2\n", 2).expect("the same");
    g.delete(&key("job/b")).expect("deleted");
    push(&g, "job/c", Way::Group, "m 1\n", 1).expect("room again");
}

#[test]
fn groups_come_back_after_a_restart() {
    let shelf = Arc::default();
    let g = open(&shelf, Limits::default());
    let text = "# HELP m Words.\n# TYPE m counter\nm{a=\"b\"} 1\n\
        # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n";
    push(&g, "job/a/x@base64/=", Way::Group, text, 1_000).expect("pushed");
    push(&g, "job/gone", Way::Group, text, 1_000).expect("pushed");
    g.delete(&key("job/gone")).expect("deleted");
    let again = open(&shelf, Limits::default());
    assert_eq!(page(&again), page(&g));
    assert_eq!(again.page(), g.page());
    assert_eq!(again.groups.lock().bytes, g.groups.lock().bytes);
    // A damaged group does not keep the others away.
    shelf.groups.lock().insert("x".to_owned(), vec![0xff]);
    assert_eq!(page(&open(&shelf, Limits::default())), page(&g));
}

#[test]
fn a_push_that_cannot_be_kept_changes_nothing() {
    let shelf: Arc<Shelf> = Arc::default();
    let g = open(&shelf, Limits::default());
    push(&g, "job/a", Way::Group, "m 1\n", 1_000).expect("pushed");
    let before = page(&g);
    *shelf.is_full.lock() = true;
    let error = push(&g, "job/a", Way::Group, "m 2\n", 2_000).expect_err("full");
    assert!(error.contains("the shelf is full"), "{error}");
    assert_eq!(page(&g), before);
}
