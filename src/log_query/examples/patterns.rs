//! Shows the patterns of the lines of files: `cargo run -p log_query --example patterns -- FILES`.
//! With many files only how many there are of each; with one, the patterns with their counts.

#![allow(clippy::print_stdout, reason = "what an example is for")]

use std::collections::HashMap;

use log_query::pattern_of;

fn main() {
    let files: Vec<String> = std::env::args().skip(1).collect();
    for file in &files {
        let bytes = std::fs::read(file).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let mut counts: HashMap<String, usize> = HashMap::new();
        for line in text.lines() {
            *counts.entry(pattern_of(line)).or_default() += 1;
        }
        println!(
            "{file}: {} lines, {} patterns",
            text.lines().count(),
            counts.len()
        );
        if files.len() == 1 {
            let mut counts: Vec<_> = counts.into_iter().collect();
            counts.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
            for (pattern, count) in counts {
                println!("{count:6} {pattern}");
            }
        }
    }
}
