//! The lines in which two texts differ, as `diff -u` shows them.

use std::fmt::Write as _;

/// Lines shown around what differs.
const CONTEXT: usize = 3;
/// Beyond this many lines texts are shown whole: the table of the comparison would be larger than either.
const MAX_LINES: usize = 4000;

/// One line of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Gone(&'a str),
    New(&'a str),
}

/// The differing lines with those around them; nothing if there are none. Hunks are kept apart by a line `@@`.
pub fn unified(before: &str, after: &str) -> String {
    let lines = compare(&before.lines().collect::<Vec<_>>(), &after.lines().collect::<Vec<_>>());
    let near = |at: usize| {
        let around = at.saturating_sub(CONTEXT)..lines.len().min(at + CONTEXT + 1);
        lines[around].iter().any(|line| !matches!(line, Line::Same(_)))
    };
    let mut text = String::new();
    let mut skipped = true;
    for (at, line) in lines.iter().enumerate() {
        if !near(at) {
            skipped = true;
            continue;
        }
        if std::mem::take(&mut skipped) {
            text.push_str("@@\n");
        }
        let (mark, line) = match line {
            Line::Same(line) => (' ', line),
            Line::Gone(line) => ('-', line),
            Line::New(line) => ('+', line),
        };
        // Writing to a String can't fail.
        let _ = writeln!(text, "{mark}{line}");
    }
    text
}

/// By the longest common subsequence.
fn compare<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<Line<'a>> {
    if before.len().max(after.len()) > MAX_LINES {
        let gone = before.iter().map(|line| Line::Gone(line));
        return gone.chain(after.iter().map(|line| Line::New(line))).collect();
    }
    // For each pair of places, how long the longest one from there on is.
    let width = after.len() + 1;
    let mut longest = vec![0_u16; (before.len() + 1) * width];
    for i in (0..before.len()).rev() {
        for j in (0..after.len()).rev() {
            longest[i * width + j] = if before[i] == after[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < before.len() || j < after.len() {
        if i < before.len() && j < after.len() && before[i] == after[j] {
            lines.push(Line::Same(before[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == after.len() || (i < before.len() && longest[(i + 1) * width + j] >= longest[i * width + j + 1]) {
            lines.push(Line::Gone(before[i]));
            i += 1;
        } else {
            lines.push(Line::New(after[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_not_shown() {
        assert_eq!(unified("a\nb\n", "a\nb\n"), "");
        assert_eq!(unified("", ""), "");
    }

    #[test]
    fn changes_are_shown_with_what_is_around_them() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";
        let after = "1\n2\n3\n4\n5\nsix\n7\n8\n9\n10\n11\n12\n";
        assert_eq!(unified(before, after), "@@\n 3\n 4\n 5\n-6\n+six\n 7\n 8\n 9\n");
        let twice = "one\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n";
        assert_eq!(unified(before, twice), "@@\n-1\n+one\n 2\n 3\n 4\n@@\n 9\n 10\n 11\n-12\n");
    }

    #[test]
    fn lines_that_come_and_go_are_told_from_those_that_stay() {
        assert_eq!(unified("a\nb\nc\n", "a\nx\nb\nc\n"), "@@\n a\n+x\n b\n c\n");
        assert_eq!(unified("a\nb\nc\n", ""), "@@\n-a\n-b\n-c\n");
        assert_eq!(unified("", "a\n"), "@@\n+a\n");
    }
}
