//! The recordings: what was called, with what, and what came back.
//!
//! Invariant: what the recorded line does not tell is said here and nowhere else.

use std::fs;
use std::path::Path;
use std::str::Chars;

use super::BASE;

/// Arguments that the recording's joined line does not tell apart: file, line, arguments.
pub(crate) const ARGUMENTS: [(&str, usize, &[&str]); 8] = [
    ("t1", 70, &["-r", "3", " sp = v "]),
    ("t4", 9, &["a=b", "c.d=1", "c.e=x y", "arr=[1,2]"]),
    ("t4", 40, &["bad thing"]),
    ("t7", 42, &["waiting", "é \"q\" <x>"]),
    ("t7", 45, &["active", " sp "]),
    ("t7", 49, &["--", "v1 <x>"]),
    ("t7", 73, &["b= sp "]),
    ("t3", 33, &["%s %d a%"]),
];

/// Standard input, as far as what the hook committed tells: file, line, text.
pub(crate) const INPUT: [(&str, usize, &str); 16] = [
    ("t1", 58, r#"{"y": "line1\nline2", "t": true}"#),
    ("t1", 59, r#"{"e": null}"#),
    ("t1", 60, r#"{"n": {"a": "b"}}"#),
    ("t1", 61, "{}"),
    ("t1", 62, "x: file\n"),
    ("t1", 63, ""),
    ("t1", 64, "[1, 2]"),
    ("t3", 51, "k: ⟨v×65537⟩"),
    ("t5", 9, "{}"),
    ("t7", 30, "keep: ' sp '\n"),
    ("t7", 31, "n: 1.50\nbig: 12345678901\n"),
    ("t7", 32, r#"{"bad": "\u0000"}"#),
    ("t7", 34, "dup: 1\ndup: 2\n"),
    ("t7", 35, "[1, 2"),
    ("t7", 36, "just a scalar"),
    ("t7", 51, "j: 'x: y'\n"),
];

/// One recorded call.
pub(crate) struct Call {
    pub(crate) line: usize,
    pub(crate) command: String,
    pub(crate) code: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn transcript(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../juju-emulator/transcripts/{file}.txt"));
    fs::read_to_string(path).unwrap()
}

pub(crate) fn recorded(file: &str, (first, last): (usize, usize)) -> Vec<Call> {
    let text = transcript(file);
    let numbered = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line));
    numbered
        .filter(|(number, line)| (first..=last).contains(number) && line.starts_with("$ "))
        .map(|(number, line)| read_call(number, &line[2..]))
        .collect()
}

pub(crate) fn read_call(line: usize, text: &str) -> Call {
    let (command, rest) = literal(text);
    let rest = rest.strip_prefix(" rc=").unwrap();
    let (code, rest) = rest.split_once(" out=").unwrap();
    let (stdout, rest) = literal(rest);
    let stderr = rest
        .strip_prefix(" err=")
        .map(|rest| literal(rest).0)
        .unwrap_or_default();
    Call {
        line,
        command: runs(&command),
        code: code.to_owned(),
        stdout,
        stderr,
    }
}

/// A Python literal at the beginning of a text, and what follows it.
pub(crate) fn literal(text: &str) -> (String, &str) {
    let mut chars = text.chars();
    let quote = chars.next().unwrap();
    let mut out = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(escaped(&mut chars)),
            c if c == quote => return (out, chars.as_str()),
            c => out.push(c),
        }
    }
    panic!("no end of the literal: {text}");
}

pub(crate) fn escaped(chars: &mut Chars<'_>) -> char {
    let digits = match chars.next().unwrap() {
        'x' => 2,
        'u' => 4,
        'n' => return '\n',
        't' => return '\t',
        'r' => return '\r',
        other => return other,
    };
    let hex: String = chars.take(digits).collect();
    char::from_u32(u32::from_str_radix(&hex, 16).unwrap()).unwrap()
}

/// Runs of one character, as they were.
pub(crate) fn runs(text: &str) -> String {
    let Some((before, rest)) = text.split_once('⟨') else {
        return text.to_owned();
    };
    let (run, after) = rest.split_once('⟩').unwrap();
    let (letter, count) = run.split_once('×').unwrap();
    format!(
        "{before}{}{}",
        letter.repeat(count.parse().unwrap()),
        runs(after)
    )
}

impl Call {
    /// The words of the command.
    pub(crate) fn words(&self, file: &str) -> Vec<String> {
        let words: Vec<String> = self
            .command
            .replace("BASE", BASE)
            .split(' ')
            .map(str::to_owned)
            .collect();
        match ARGUMENTS
            .iter()
            .find(|(f, line, _)| *f == file && *line == self.line)
        {
            None => words,
            Some((_, _, arguments)) => {
                let arguments = arguments.iter().map(|arg| (*arg).to_owned());
                words.into_iter().take(1).chain(arguments).collect()
            }
        }
    }

    pub(crate) fn tool(&self) -> &str {
        self.command
            .split(' ')
            .find(|word| *word != "env" && !word.contains('='))
            .unwrap()
    }
}

pub(crate) fn input(file: &str, line: usize) -> Option<String> {
    INPUT
        .iter()
        .find(|(f, l, _)| *f == file && *l == line)
        .map(|(_, _, text)| runs(text))
}

#[test]
fn python_literals_are_read() {
    let (text, rest) = literal(r"'a\\u003c\n\'\x41\u00e9' rc=0");
    assert_eq!((&*text, rest), ("a\\u003c\n'Aé", " rc=0"));
    assert_eq!(runs("a=⟨x×3⟩!"), "a=xxx!");
}
