//! Ways to take a search's lines along: downloads, and the commands that give the same lines.

use crate::request::Params;
use crate::shell::Shell;

/// A download.
pub(super) struct Way {
    pub(super) title: &'static str,
    pub(super) note: &'static str,
    pub(super) href: String,
    pub(super) file: &'static str,
}

/// A command to copy.
pub(super) struct Command {
    pub(super) title: &'static str,
    pub(super) text: String,
}

/// The downloads of a search. Times are absolute, so that a link copied now gives the same lines
/// later.
pub(super) fn ways(shell: &Shell, q: &str) -> Vec<Way> {
    let range = shell.range();
    let utc = model::time::rfc3339_ms;
    let href = |format: &str| {
        let query = Params::default().with(&[
            ("q", q),
            ("from", &utc(range.from_ms)),
            ("to", &utc(range.to_ms)),
            ("format", format),
        ]);
        format!("/api/v1/logs/export{query}")
    };
    vec![
        Way {
            title: "NDJSON",
            note: "every line of this search, an object each",
            href: href("ndjson"),
            file: "yagura-logs.ndjson",
        },
        Way {
            title: "Text",
            note: "the lines as they were written",
            href: href("raw"),
            file: "yagura-logs.log",
        },
    ]
}

/// The commands that give the same lines.
pub(super) fn commands(shell: &Shell, q: &str) -> Vec<Command> {
    let range = shell.range();
    let host = match shell.visit.host.as_str() {
        "" => "localhost:9849",
        host => host,
    };
    let mut curl = vec![format!("curl -sG http://{host}/api/v1/logs/export")];
    let pairs = [("q", q), ("from", &range.from), ("to", &range.to)];
    for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        curl.push("--data-urlencode".to_owned());
        curl.push(quoted(&format!("{name}={value}")));
    }
    let mut cli = vec!["yagura logs --all".to_owned()];
    let utc = model::time::rfc3339_ms;
    let (since, until) = match range.relative() {
        Some(span) => (span.to_owned(), None),
        None => (utc(range.from_ms), Some(utc(range.to_ms))),
    };
    cli.push(format!("--since {}", quoted(&since)));
    cli.extend(until.map(|until| format!("--until {}", quoted(&until))));
    if host != "localhost:9849" {
        cli.push(format!("--url http://{host}"));
    }
    if !q.is_empty() {
        // Behind the dashes a query may begin with a minus.
        cli.push(format!("-- {}", quoted(q)));
    }
    vec![
        Command {
            title: "with curl",
            text: curl.join(" "),
        },
        Command {
            title: "with Yagura's own command",
            text: cli.join(" "),
        },
    ]
}

/// A text as one word of a shell's command line.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_one_word() {
        assert_eq!(quoted("q=level:error"), "q=level:error");
        assert_eq!(quoted("it's; rm -rf $HOME"), r"'it'\''s; rm -rf $HOME'");
        assert_eq!(quoted("a\"b`c"), "'a\"b`c'");
        assert_eq!(quoted(""), "''");
    }
}
