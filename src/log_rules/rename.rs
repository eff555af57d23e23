//! Gives labels and JSON fields other names. Values stay as they are; a value that has the new name
//! already goes aside (`original_NAME`).

use memchr::memmem;
use model::Labels;

use crate::object::{Object, aside};

/// Old names and new ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rename {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) fields: Vec<(String, String)>,
}

impl Rename {
    /// The text with new field names; `None` when it has none of the old ones.
    pub(crate) fn text(&self, text: &[u8]) -> Option<Vec<u8>> {
        // Fast path: a key stands in the text as it is, unless an escape hides it.
        let may_have = |name: &str| {
            let last = name.rsplit('.').next().unwrap_or(name);
            memmem::find(text, last.as_bytes()).is_some()
        };
        let escaped = memchr::memchr(b'\\', text).is_some();
        if !self
            .fields
            .iter()
            .any(|(from, _)| escaped || may_have(from))
        {
            return None;
        }
        let mut object = Object::parse(text)?;
        let mut changed = false;
        for (from, to) in &self.fields {
            changed |= rename_field(&mut object, from, to);
        }
        changed.then(|| object.write())
    }

    /// The labels with new names; `None` when there are none of the old ones.
    pub(crate) fn labels(&self, labels: &Labels) -> Option<Labels> {
        let mut changed = None;
        for (from, to) in &self.labels {
            let now = changed.as_ref().unwrap_or(labels);
            if let Some(value) = now.get_shared(from).cloned() {
                let without = now.filtered(|name| name != from);
                changed = Some(with_label(&without, to, &value));
            }
        }
        changed
    }
}

/// The labels with one more; another value of that name goes aside.
pub(crate) fn with_label(labels: &Labels, name: &str, value: &str) -> Labels {
    let mut builder = labels.to_builder();
    if let Some(original) = labels.get_shared(name)
        && **original != *value
    {
        let aside = aside(name, |name| labels.get(name).is_some());
        builder.set(aside, original.clone());
    }
    builder.set(name, value);
    builder.build()
}

/// At the top the renamed value stays in its place; out of a nested object it goes to the end.
fn rename_field(object: &mut Object, from: &str, to: &str) -> bool {
    if object.place(from).is_some() {
        object.make_room(to);
        let place = object.place(from);
        if let Some((name, _)) = place.and_then(|place| object.pairs.get_mut(place)) {
            to.clone_into(name);
        }
        return true;
    }
    let Some(value) = take_nested(object, from) else {
        return false;
    };
    object.make_room(to);
    object.pairs.push((to.to_owned(), value));
    true
}

fn take_nested(object: &mut Object, name: &str) -> Option<String> {
    let (head, rest) = name.split_once('.')?;
    let place = object.place(head)?;
    let (_, raw) = object.pairs.get_mut(place)?;
    let mut inner = Object::parse(raw.as_bytes())?;
    let value = match inner.take(rest) {
        Some(value) => value,
        None => take_nested(&mut inner, rest)?,
    };
    if inner.pairs.is_empty() {
        object.pairs.remove(place);
    } else {
        *raw = String::from_utf8(inner.write()).ok()?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rename(fields: &[(&str, &str)]) -> Rename {
        let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        Rename {
            labels: fields.iter().map(own).collect(),
            fields: fields.iter().map(own).collect(),
        }
    }

    fn check(fields: &[(&str, &str)], text: &str, expected: Option<&str>) {
        let found = rename(fields).text(text.as_bytes());
        let found = found.map(|t| String::from_utf8(t).expect("UTF-8"));
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn fields_keep_value_and_place() {
        let lvl = &[("lvl", "level")];
        check(
            lvl,
            r#"{"a": 1.0, "lvl": "info", "b": 2}"#,
            Some(r#"{"a":1.0,"level":"info","b":2}"#),
        );
        check(
            lvl,
            r#"{"level":"x","lvl":"info"}"#,
            Some(r#"{"original_level":"x","level":"info"}"#),
        );
        check(lvl, r#"{"a":"lvl"}"#, None);
        check(lvl, "lvl=info", None);
        check(
            &[("http.status", "status")],
            r#"{"http":{"status":500,"path":"/"},"n":1}"#,
            Some(r#"{"http":{"path":"/"},"n":1,"status":500}"#),
        );
        check(
            &[("http.status", "status")],
            r#"{"http":{"status":500},"http.status":501}"#,
            Some(r#"{"http":{"status":500},"status":501}"#),
        );
        check(
            &[("a", "b"), ("b", "c")],
            r#"{"a":1,"b":2}"#,
            Some(r#"{"c":1,"original_b":2}"#),
        );
    }

    #[test]
    fn labels_make_room_as_fields_do() {
        let labels = Labels::from_pairs([("app", "web"), ("service", "x")]);
        let renamed = rename(&[("app", "service")]).labels(&labels);
        assert_eq!(
            renamed,
            Some(Labels::from_pairs([
                ("original_service", "x"),
                ("service", "web")
            ]))
        );
        assert_eq!(rename(&[("nope", "service")]).labels(&labels), None);
        assert_eq!(with_label(&labels, "app", "web"), labels);
    }
}
