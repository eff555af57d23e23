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
    let href = |format: &str| {
        let range = shell.range();
        let utc = model::time::rfc3339_ms;
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
            note: "every line of this search as a JSON object",
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
    let mut curl = format!("curl -sG http://{host}/api/v1/logs/export");
    let mut cli = "yagura logs".to_owned();
    if !q.is_empty() {
        curl.push_str(&format!(" --data-urlencode {}", quoted(&format!("q={q}"))));
        cli.push_str(&format!(" {}", quoted(q)));
    }
    for (name, value) in [("from", &range.from), ("to", &range.to)] {
        curl.push_str(&format!(
            " --data-urlencode {}",
            quoted(&format!("{name}={value}"))
        ));
    }
    match range.relative() {
        Some(span) => cli.push_str(&format!(" --since {}", quoted(span))),
        None => {
            let utc = model::time::rfc3339_ms;
            cli.push_str(&format!(
                " --from {} --to {}",
                utc(range.from_ms),
                utc(range.to_ms)
            ));
        }
    }
    if host != "localhost:9849" {
        cli.push_str(&format!(" --url http://{host}"));
    }
    vec![
        Command {
            title: "with curl",
            text: curl,
        },
        Command {
            title: "with Yagura's command",
            text: cli,
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
