//! Walks folders by patterns and remembers which folders it saw, so that they can be watched.

use std::fs;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::{Found, names};
use crate::config::Error;

/// How deep text logs are looked for under `/var/log`, and what `**` spans at most.
const DEPTH_MAX: usize = 8;
/// More files than anyone follows on a machine; a pattern that matches more is a mistake.
pub(crate) const FILES_MAX: usize = 50_000;

/// Folders under `/var/log` whose files other sources read, or that hold no text.
const NO_TEXT_FOLDERS: &[&str] = &["pods", "containers", "journal"];

/// How paths match globs: `*` stays inside a folder.
pub(crate) const PATH_OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// Parses a part of a glob; errors name the whole of it.
pub(super) fn pattern(part: &str, whole: &str) -> Result<Pattern, Error> {
    Pattern::new(part).map_err(|source| Error::Pattern {
        pattern: whole.to_owned(),
        source,
    })
}

/// One step of a path.
#[derive(Debug)]
enum Step {
    /// A name without wildcards: not listed, only entered.
    Literal(String),
    Glob(Pattern),
    /// `**`: this folder and all below.
    Deep,
}

/// A glob, step by step.
#[derive(Debug)]
pub(super) struct WalkPattern {
    root: PathBuf,
    steps: Vec<Step>,
}

impl WalkPattern {
    pub(super) fn new(text: &str) -> Result<Self, Error> {
        // Checked as a whole first: an error's place counts from its beginning.
        pattern(text, text)?;
        let absolute = text.starts_with('/');
        let root = if absolute {
            PathBuf::from("/")
        } else {
            std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
        };
        let steps: Result<Vec<Step>, Error> = text
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .map(|part| {
                if part == "**" {
                    Ok(Step::Deep)
                } else if part.contains(['*', '?', '[']) {
                    pattern(part, text).map(Step::Glob)
                } else {
                    Ok(Step::Literal(part.to_owned()))
                }
            })
            .collect();
        Ok(Self {
            root,
            steps: steps?,
        })
    }
}

/// One look at the folders.
pub(super) struct Walk<'a> {
    exclude: &'a [Pattern],
    pub(super) found: Found,
}

impl<'a> Walk<'a> {
    pub(super) fn new(exclude: &'a [Pattern]) -> Self {
        Self {
            exclude,
            found: Found::default(),
        }
    }

    /// Adds the files that a glob matches.
    pub(super) fn pattern(&mut self, pattern: &WalkPattern) {
        self.step(&pattern.root, &pattern.steps, 0);
    }

    /// Adds the text files below a folder. Links to folders are not followed.
    pub(super) fn text_files(&mut self, folder: &Path) {
        self.text_files_below(folder, 0);
    }

    fn step(&mut self, folder: &Path, steps: &[Step], depth: usize) {
        match steps {
            [] => {}
            [Step::Literal(name)] => {
                self.found.folders.insert(folder.to_owned());
                let path = folder.join(name);
                if path.is_file() {
                    self.file(path, names::compressed(name));
                }
            }
            [Step::Literal(name), rest @ ..] => {
                let next = folder.join(name);
                if next.is_dir() {
                    self.step(&next, rest, depth);
                } else {
                    // The folder may come: its nearest one that exists is watched for it.
                    self.found.folders.insert(folder.to_owned());
                }
            }
            [Step::Glob(glob), rest @ ..] => {
                for (path, name) in self.list(folder) {
                    if !glob.matches_with(&name, PATH_OPTIONS) {
                        continue;
                    }
                    if rest.is_empty() {
                        if path.is_file() {
                            self.file(path, names::compressed(&name));
                        }
                    } else if path.is_dir() {
                        self.step(&path, rest, depth);
                    }
                }
            }
            [Step::Deep, rest @ ..] => {
                // A trailing `**` means every file below.
                let every = [Step::Glob(Pattern::new("*").expect("a valid pattern"))];
                self.step(folder, if rest.is_empty() { &every } else { rest }, depth);
                if depth < DEPTH_MAX {
                    for (path, _) in self.list(folder) {
                        if is_real_folder(&path) {
                            self.step(&path, steps, depth + 1);
                        }
                    }
                }
            }
        }
    }

    fn text_files_below(&mut self, folder: &Path, depth: usize) {
        for (path, name) in self.list(folder) {
            if is_real_folder(&path) {
                if depth + 1 < DEPTH_MAX && !(depth == 0 && NO_TEXT_FOLDERS.contains(&&*name)) {
                    self.text_files_below(&path, depth + 1);
                }
            } else if path.is_file() {
                self.file(path, names::not_a_text_log(&name));
            }
        }
    }

    fn file(&mut self, path: PathBuf, left_alone: Option<&'static str>) {
        let excluded = self
            .exclude
            .iter()
            .any(|p| p.matches_path_with(&path, PATH_OPTIONS));
        let reason = if excluded {
            Some("excluded")
        } else {
            left_alone
        };
        match reason {
            Some(reason) => *self.found.left_alone.entry(reason).or_default() += 1,
            None => {
                self.found.files.insert(path);
            }
        }
    }

    /// The entries of a folder with their names, as far as they can be read.
    fn list(&mut self, folder: &Path) -> Vec<(PathBuf, String)> {
        self.found.folders.insert(folder.to_owned());
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // Gone again, or not there yet: the folder above is watched for it.
                self.found.folders.remove(folder);
                self.found
                    .folders
                    .extend(folder.parent().map(Path::to_owned));
                return Vec::new();
            }
            Err(error) => {
                self.found.unreadable.push((folder.to_owned(), error));
                return Vec::new();
            }
        };
        entries
            .filter_map(Result::ok)
            .map(|entry| {
                (
                    entry.path(),
                    entry.file_name().to_string_lossy().into_owned(),
                )
            })
            .collect()
    }
}

fn is_real_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}
