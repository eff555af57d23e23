//! Where are log files? Walks folders by the configured globs, or looks for itself.
//!
//! Looking for itself goes from the best source to the plainest: the kubelet's pods, else
//! Docker's json-files when they can be read, else the text files under `/var/log`. A source that
//! was found once stays (a node whose first pod comes later has both).

pub(crate) mod names;
pub(crate) mod origin;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use glob::Pattern;

use crate::config::{Config, Error};
pub(crate) use walk::{FILES_MAX, PATH_OPTIONS};
use walk::{Walk, WalkPattern};

/// Where the files that are followed come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceKind {
    /// The configured globs.
    Globs,
    /// The kubelet's folder.
    Pods,
    /// Docker's folder.
    Docker,
    /// Text files under `/var/log`.
    VarLog,
}

impl SourceKind {
    /// A few words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Globs => "configured files",
            Self::Pods => "pod logs",
            Self::Docker => "Docker container logs",
            Self::VarLog => "text files in /var/log",
        }
    }
}

/// What a look at the folders gave.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Paths to follow, each once, sorted.
    pub(crate) files: BTreeSet<PathBuf>,
    /// Folders in which files could appear.
    pub(crate) folders: BTreeSet<PathBuf>,
    /// How many files were left alone by their name, by reason.
    pub(crate) left_alone: BTreeMap<&'static str, usize>,
    /// Folders that could not be listed, with the reason.
    pub(crate) unreadable: Vec<(PathBuf, std::io::Error)>,
}

/// Looks for files.
#[derive(Debug)]
pub(crate) struct Finder {
    globs: Vec<WalkPattern>,
    exclude: Vec<Pattern>,
    pods: WalkPattern,
    docker: WalkPattern,
    var_log: PathBuf,
    kinds: BTreeSet<SourceKind>,
}

impl Finder {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let globs: Result<Vec<_>, Error> = config
            .globs
            .iter()
            .map(|text| WalkPattern::new(text))
            .collect();
        let exclude: Result<Vec<_>, Error> = config
            .exclude
            .iter()
            .map(|text| walk::pattern(text, text))
            .collect();
        let below = |folder: &Path, rest: &str| {
            WalkPattern::new(&format!(
                "{}/{rest}",
                Pattern::escape(&folder.to_string_lossy())
            ))
        };
        Ok(Self {
            globs: globs?,
            exclude: exclude?,
            pods: below(&config.places.pods, "*/*/*.log")?,
            docker: below(&config.places.docker, "*/*-json.log")?,
            var_log: config.places.var_log.clone(),
            kinds: BTreeSet::new(),
        })
    }

    /// Which kinds of sources were found so far.
    pub(crate) fn kinds(&self) -> &BTreeSet<SourceKind> {
        &self.kinds
    }

    /// Looks once.
    pub(crate) fn find(&mut self) -> Found {
        let mut walk = Walk::new(&self.exclude);
        if !self.globs.is_empty() {
            self.kinds.insert(SourceKind::Globs);
            for pattern in &self.globs {
                walk.pattern(pattern);
            }
            return walk.found;
        }
        let mut any = false;
        for (kind, pattern) in [
            (SourceKind::Pods, &self.pods),
            (SourceKind::Docker, &self.docker),
        ] {
            // A better source hides the plainer ones that were not there before it.
            if any && !self.kinds.contains(&kind) {
                continue;
            }
            let before = walk.found.files.len();
            walk.pattern(pattern);
            if walk.found.files.len() > before {
                self.kinds.insert(kind);
            }
            any |= self.kinds.contains(&kind);
        }
        if !any || self.kinds.contains(&SourceKind::VarLog) {
            let before = walk.found.files.len();
            walk.text_files(&self.var_log);
            if walk.found.files.len() > before {
                self.kinds.insert(SourceKind::VarLog);
            }
        }
        walk.found
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Places;

    fn places(root: &Path) -> Config {
        Config {
            places: Places {
                pods: root.join("log/pods"),
                docker: root.join("docker"),
                var_log: root.join("log"),
            },
            ..Config::default()
        }
    }

    fn touch(root: &Path, path: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, "x\n").expect("a file");
    }

    fn names(root: &Path, found: &Found) -> Vec<String> {
        (found.files.iter())
            .map(|path| {
                path.strip_prefix(root)
                    .expect("below")
                    .display()
                    .to_string()
            })
            .collect()
    }

    #[test]
    fn pods_come_before_docker_before_text_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        touch(root, "log/syslog");
        touch(root, "log/nginx/access.log");
        touch(root, "log/syslog.1");
        touch(root, "log/old.log.gz");
        touch(root, "log/wtmp");
        let mut finder = Finder::new(&places(root)).expect("good patterns");
        let found = finder.find();
        assert_eq!(names(root, &found), ["log/nginx/access.log", "log/syslog"]);
        assert_eq!(
            found.left_alone.values().sum::<usize>(),
            3,
            "{:?}",
            found.left_alone
        );
        assert!(found.folders.contains(&root.join("log/nginx")));
        assert!(finder.kinds().contains(&SourceKind::VarLog));

        touch(root, "docker/abc/abc-json.log");
        let mut finder = Finder::new(&places(root)).expect("good patterns");
        assert_eq!(names(root, &finder.find()), ["docker/abc/abc-json.log"]);

        touch(root, "log/pods/ns_pod_uid/app/0.log");
        touch(root, "log/pods/ns_pod_uid/app/0.log.20260101-000000");
        let mut finder = Finder::new(&places(root)).expect("good patterns");
        let found = finder.find();
        assert_eq!(names(root, &found), ["log/pods/ns_pod_uid/app/0.log"]);
        assert!(found.folders.contains(&root.join("log/pods")));
        assert!(
            found
                .folders
                .contains(&root.join("log/pods/ns_pod_uid/app"))
        );
    }

    #[test]
    fn what_was_followed_stays_when_something_better_comes() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        touch(root, "log/syslog");
        let mut finder = Finder::new(&places(root)).expect("good patterns");
        assert_eq!(names(root, &finder.find()), ["log/syslog"]);
        touch(root, "log/pods/ns_pod_uid/app/0.log");
        let found = finder.find();
        assert_eq!(
            names(root, &found),
            ["log/pods/ns_pod_uid/app/0.log", "log/syslog"]
        );
    }

    #[test]
    fn globs_and_exclusions_are_obeyed() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for path in ["a/x.log", "a/y.log", "a/x.txt", "b/c/d/z.log", "b/z.log.gz"] {
            touch(root, path);
        }
        let config = Config {
            globs: vec![
                format!("{}/a/*.log", root.display()),
                format!("{}/b/**/*.log*", root.display()),
            ],
            exclude: vec![format!("{}/a/y*", root.display())],
            ..Config::default()
        };
        let found = Finder::new(&config).expect("good patterns").find();
        assert_eq!(names(root, &found), ["a/x.log", "b/c/d/z.log"]);
        assert_eq!(found.left_alone.len(), 2, "{:?}", found.left_alone);
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let config = Config {
            globs: vec!["/var/log/[a".to_owned()],
            ..Config::default()
        };
        let error = Finder::new(&config).expect_err("a bad pattern").to_string();
        assert!(
            error.starts_with("bad file pattern /var/log/[a: "),
            "{error}"
        );
    }
}
