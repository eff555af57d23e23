//! What people asked to be quiet about: silences, as Alertmanager keeps them.
//!
//! A silence has matchers, a beginning and an end. It is never deleted: it expires, and is
//! forgotten [`RETENTION_MS`] later. Changing one in place is possible only where that does not
//! rewrite history; otherwise the old one expires and a new one begins.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};

use model::{Labels, MatchOp, Matcher};
use serde::{Deserialize, Serialize};

/// Expired silences are kept for so long, as Alertmanager's `data.retention`.
pub const RETENTION_MS: i64 = 120 * 3_600_000;

/// The most silences, expired ones included.
pub const SILENCES_MAX: usize = 10_000;

/// The most matchers in a silence.
const MATCHERS_MAX: usize = 100;

/// The longest comment and the longest name of an author, bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// A silence.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// A UUID; empty for one that is new.
    pub id: String,
    /// All of them must hold for an alert to be silent.
    pub matchers: Vec<Matcher>,
    /// From when on, milliseconds since 1970-01-01 UTC.
    pub starts_at_ms: i64,
    /// Until when, this moment excluded.
    pub ends_at_ms: i64,
    /// When it was last changed.
    pub updated_at_ms: i64,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// Where a silence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SilenceState {
    /// It has not begun.
    Pending,
    /// It is in force.
    Active,
    /// It is over.
    Expired,
}

impl SilenceState {
    /// The word of Alertmanager's API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
        }
    }
}

impl Silence {
    /// Where it stands at a moment.
    pub fn state_at(&self, now_ms: i64) -> SilenceState {
        if now_ms < self.starts_at_ms {
            SilenceState::Pending
        } else if now_ms < self.ends_at_ms {
            SilenceState::Active
        } else {
            SilenceState::Expired
        }
    }

    /// Whether an alert with these labels is among those that it means.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|m| m.matches_labels(labels))
    }

    fn check(&self) -> Result<(), SilenceError> {
        let invalid = |text: &str| Err(SilenceError::Invalid(text.to_owned()));
        if self.matchers.is_empty() {
            return invalid("at least one matcher is needed");
        }
        if self.matchers.len() > MATCHERS_MAX {
            return invalid("there are more than 100 matchers");
        }
        if self.matchers.iter().all(Matcher::matches_empty) {
            return invalid(
                "at least one matcher must not match the empty text, or all alerts would be silent",
            );
        }
        if self.matchers.iter().any(|matcher| matcher.name.is_empty()) {
            return invalid("a matcher has no label name");
        }
        if self.ends_at_ms < self.starts_at_ms {
            return invalid("the end must not be before the start");
        }
        if self.comment.len() > TEXT_BYTES_MAX || self.created_by.len() > TEXT_BYTES_MAX {
            return invalid("comment or author is longer than 16 KiB");
        }
        Ok(())
    }
}

/// Why a silence cannot be made or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// It says something that cannot be.
    #[error("invalid silence: {0}")]
    Invalid(String),
    /// There is none with that id.
    #[error("silence {0} not found")]
    NotFound(String),
    /// It is over already.
    #[error("silence {0} already expired")]
    AlreadyExpired(String),
    /// There are too many.
    #[error("there are {SILENCES_MAX} silences already: expired ones are forgotten after 5 days")]
    TooMany,
    /// It could not be written down; nothing was changed.
    #[error("cannot keep the silence: {0}")]
    NotKept(String),
}

/// All silences.
#[derive(Debug, Default)]
pub(crate) struct Silences {
    by_id: BTreeMap<String, Silence>,
    /// Grows with each change: tells whether an answer from before still holds.
    version: u64,
    /// Which of the active and pending ones match an alert, as of a version.
    matching: HashMap<Labels, (u64, Vec<String>)>,
}

/// What a change does: silences as they are afterwards, the one that was asked for last.
pub(crate) type Change = Vec<Silence>;

impl Silences {
    /// What [`Silences::take`] must be given to make or change a silence.
    pub(crate) fn plan_set(&self, mut new: Silence, now_ms: i64) -> Result<Change, SilenceError> {
        new.check()?;
        if new.ends_at_ms <= now_ms {
            return Err(SilenceError::Invalid("the end is in the past".to_owned()));
        }
        let mut change = Vec::new();
        if !new.id.is_empty() {
            let old = self.get(&new.id)?;
            new.updated_at_ms = now_ms;
            if can_update(old, &new, now_ms) {
                return Ok(vec![new]);
            }
            change.extend(expired(old, now_ms));
        }
        if self.by_id.len() >= SILENCES_MAX {
            return Err(SilenceError::TooMany);
        }
        new.id = uuid();
        new.starts_at_ms = new.starts_at_ms.max(now_ms);
        new.updated_at_ms = now_ms;
        change.push(new);
        Ok(change)
    }

    /// What [`Silences::take`] must be given to end a silence.
    pub(crate) fn plan_expire(&self, id: &str, now_ms: i64) -> Result<Change, SilenceError> {
        let old = self.get(id)?;
        let change = expired(old, now_ms);
        match change {
            Some(silence) => Ok(vec![silence]),
            None => Err(SilenceError::AlreadyExpired(id.to_owned())),
        }
    }

    /// Puts silences into force, new or changed.
    pub(crate) fn take(&mut self, change: Change) {
        self.version += 1;
        for silence in change {
            self.by_id.insert(silence.id.clone(), silence);
        }
    }

    /// One by its id.
    pub(crate) fn get(&self, id: &str) -> Result<&Silence, SilenceError> {
        let found = self.by_id.get(id);
        found.ok_or_else(|| SilenceError::NotFound(id.to_owned()))
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Silence> {
        self.by_id.values()
    }

    /// The ids of those in force that match an alert.
    pub(crate) fn active_for(&mut self, labels: &Labels, now_ms: i64) -> Vec<String> {
        if self.by_id.is_empty() {
            return Vec::new();
        }
        let known = self.matching.get(labels);
        if known.is_none_or(|(version, _)| *version != self.version) {
            let live = self.by_id.values().filter(|s| s.ends_at_ms > now_ms);
            let ids = live.filter(|s| s.matches(labels)).map(|s| s.id.clone());
            let entry = (self.version, ids.collect());
            self.matching.insert(labels.clone(), entry);
        }
        let ids = self.matching.get(labels).map(|(_, ids)| ids.as_slice());
        let is_active = |id: &&String| {
            let silence = self.by_id.get(*id);
            silence.is_some_and(|s| s.state_at(now_ms) == SilenceState::Active)
        };
        let ids = ids.unwrap_or_default().iter().filter(is_active);
        ids.cloned().collect()
    }

    /// Forgets what was found out about an alert that is gone.
    pub(crate) fn forget_alert(&mut self, labels: &Labels) {
        self.matching.remove(labels);
    }

    /// Forgets those that have been over for long; their ids.
    pub(crate) fn forget(&mut self, now_ms: i64) -> Vec<String> {
        let old = |s: &Silence| s.ends_at_ms.saturating_add(RETENTION_MS) <= now_ms;
        let ids: Vec<String> = self
            .by_id
            .values()
            .filter(|s| old(s))
            .map(|s| s.id.clone())
            .collect();
        for id in &ids {
            self.by_id.remove(id);
        }
        ids
    }
}

/// Whether a silence may take the place of another with the same id.
fn can_update(old: &Silence, new: &Silence, now_ms: i64) -> bool {
    let sorted = |silence: &Silence| crate::matchers::display(&silence.matchers);
    if sorted(old) != sorted(new) {
        return false;
    }
    match old.state_at(now_ms) {
        SilenceState::Active => {
            new.starts_at_ms.div_euclid(1000) == old.starts_at_ms.div_euclid(1000)
                && new.ends_at_ms >= now_ms
        }
        SilenceState::Pending => new.starts_at_ms >= now_ms,
        SilenceState::Expired => false,
    }
}

/// A silence, ended now; `None` where it is over already.
fn expired(old: &Silence, now_ms: i64) -> Option<Silence> {
    let mut ended = old.clone();
    ended.updated_at_ms = now_ms;
    match old.state_at(now_ms) {
        SilenceState::Expired => return None,
        SilenceState::Active => ended.ends_at_ms = now_ms,
        SilenceState::Pending => {
            ended.starts_at_ms = now_ms;
            ended.ends_at_ms = now_ms;
        }
    }
    Some(ended)
}

/// A random UUID (version 4). Nothing secret hangs on it; it must only never come twice.
fn uuid() -> String {
    let random = || RandomState::new().build_hasher().finish();
    let (a, b) = (random(), random());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        0x8000 | ((b >> 48) & 0x3fff),
        b & 0xffff_ffff_ffff
    )
}

/// A silence as it is kept (docs/formats/state.md).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeptSilence {
    matchers: Vec<(String, String, String)>,
    starts_at_ms: i64,
    ends_at_ms: i64,
    updated_at_ms: i64,
    created_by: String,
    comment: String,
}

impl KeptSilence {
    pub(crate) fn of(silence: &Silence) -> Self {
        let matcher = |m: &Matcher| {
            (
                m.name.to_string(),
                m.op.as_str().to_owned(),
                m.value.to_string(),
            )
        };
        Self {
            matchers: silence.matchers.iter().map(matcher).collect(),
            starts_at_ms: silence.starts_at_ms,
            ends_at_ms: silence.ends_at_ms,
            updated_at_ms: silence.updated_at_ms,
            created_by: silence.created_by.clone(),
            comment: silence.comment.clone(),
        }
    }

    pub(crate) fn read(self, id: String) -> Result<Silence, String> {
        let matcher = |(name, op, value): (String, String, String)| {
            let op = match op.as_str() {
                "=" => MatchOp::Equal,
                "!=" => MatchOp::NotEqual,
                "=~" => MatchOp::Regex,
                "!~" => MatchOp::NotRegex,
                op => return Err(format!("unknown operator {op}")),
            };
            Matcher::new(name, op, value).map_err(|error| error.to_string())
        };
        Ok(Silence {
            id,
            matchers: self
                .matchers
                .into_iter()
                .map(matcher)
                .collect::<Result<_, _>>()?,
            starts_at_ms: self.starts_at_ms,
            ends_at_ms: self.ends_at_ms,
            updated_at_ms: self.updated_at_ms,
            created_by: self.created_by,
            comment: self.comment,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence(matcher: &str, from: i64, to: i64) -> Silence {
        Silence {
            id: String::new(),
            matchers: crate::matchers::parse(matcher).expect(matcher),
            starts_at_ms: from,
            ends_at_ms: to,
            updated_at_ms: 0,
            created_by: "me".to_owned(),
            comment: "works on it".to_owned(),
        }
    }

    fn set(silences: &mut Silences, new: Silence, now_ms: i64) -> Result<String, SilenceError> {
        let change = silences.plan_set(new, now_ms)?;
        let id = change.last().expect("one").id.clone();
        silences.take(change);
        Ok(id)
    }

    #[test]
    fn a_silence_holds_from_its_start_to_its_end() {
        let mut silences = Silences::default();
        let id = set(&mut silences, silence("a=b", 10_000, 20_000), 5_000).expect("made");
        let labels = Labels::from_pairs([("a", "b")]);
        assert!(silences.active_for(&labels, 9_999).is_empty());
        assert_eq!(silences.active_for(&labels, 10_000), [id]);
        assert!(silences.active_for(&labels, 20_000).is_empty());
        assert!(silences.active_for(&Labels::empty(), 15_000).is_empty());
        assert!(silences.forget(20_000 + RETENTION_MS - 1).is_empty());
        assert_eq!(silences.forget(20_000 + RETENTION_MS).len(), 1);
    }

    #[test]
    fn a_change_keeps_the_id_only_where_history_stays_true() {
        let mut silences = Silences::default();
        let first = set(&mut silences, silence("a=b", 0, 20_000), 5_000).expect("made");
        assert_eq!(silences.get(&first).expect("there").starts_at_ms, 5_000);
        // Longer, in the same second: the same one.
        let mut longer = silence("a=b", 5_300, 60_000);
        longer.id.clone_from(&first);
        assert_eq!(set(&mut silences, longer, 6_000), Ok(first.clone()));
        assert_eq!(silences.get(&first).expect("there").ends_at_ms, 60_000);
        // Other matchers: the old one ends, a new one begins.
        let mut other = silence("a=c", 0, 60_000);
        other.id.clone_from(&first);
        let second = set(&mut silences, other, 7_000).expect("made");
        assert_ne!(first, second);
        assert_eq!(silences.get(&first).expect("there").ends_at_ms, 7_000);
        let labels = Labels::from_pairs([("a", "c")]);
        assert_eq!(
            silences.active_for(&labels, 7_000),
            std::slice::from_ref(&second)
        );
        silences.take(silences.plan_expire(&second, 8_000).expect("it ends"));
        assert!(silences.active_for(&labels, 8_000).is_empty());
        assert!(matches!(
            silences.plan_expire(&second, 9_000),
            Err(SilenceError::AlreadyExpired(_))
        ));
        assert!(matches!(
            silences.plan_expire("no", 9_000),
            Err(SilenceError::NotFound(_))
        ));
    }

    #[test]
    fn nonsense_is_refused() {
        let silences = Silences::default();
        let check = |new: Silence, expected: &str| {
            let error = silences.plan_set(new, 10).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(silence("a=~\".*\"", 0, 100), "must not match the empty");
        check(silence("a=b", 100, 50), "before the start");
        check(silence("a=b", 0, 5), "in the past");
        let mut none = silence("a=b", 0, 100);
        none.matchers.clear();
        check(none, "at least one");
        let mut unknown = silence("a=b", 0, 100);
        unknown.id = "x".to_owned();
        check(unknown, "not found");
    }

    #[test]
    fn what_is_kept_reads_back_and_ids_are_uuids() {
        let mut before = silence("a=~\"b|c\",d!=\"\"", 1, 2);
        before.id = uuid();
        assert_eq!(before.id.len(), 36);
        assert_ne!(uuid(), before.id);
        let kept = KeptSilence::of(&before);
        assert_eq!(kept.read(before.id.clone()), Ok(before));
    }
}
