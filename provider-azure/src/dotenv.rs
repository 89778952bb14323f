//! The form of the credential file.
//!
//! **Invariant:** a value that comes out as [`Quoted`] is read back to the byte by Velero's own reader
//! and by godotenv, which plugins and older releases of Velero have. The two agree on little: what a
//! backslash, a `$`, or a quote before a `#` means depends on who reads. So nothing is escaped but the
//! ends of lines, and each value is written in the first of three quoting styles in which none of these is special.

use provider_api::secrecy::{ExposeSecret as _, SecretString};

/// Both readers give up on longer lines (64 KiB).
const LONGEST: usize = 60_000;

/// A value as it stands in the file.
#[derive(Clone, Debug)]
pub(crate) struct Quoted(SecretString);

impl Quoted {
    /// Quotes a value so that it round-trips; `None` if no style can.
    pub(crate) fn new(value: &str) -> Option<Self> {
        let text = bare(value)
            .or_else(|| single(value))
            .or_else(|| double(value))?;
        (text.len() <= LONGEST).then(|| Self(text.into()))
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The file, of names and quoted values. Azure's own names need no quotes.
pub(crate) fn file(lines: &[(&str, &str)]) -> SecretString {
    let lines = lines
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"));
    lines.collect::<String>().into()
}

/// The values that a file gives these names to, without the quotes around them.
pub(crate) fn values_of(names: &[&str], file: &SecretString) -> Vec<SecretString> {
    let values = provider_api::values_of(names, file).into_iter();
    values
        .map(|value| unquoted(value.expose_secret()).into())
        .collect()
}

fn unquoted(value: &str) -> String {
    let within = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    match (within('\''), within('"')) {
        (Some(inner), _) => inner.to_owned(),
        (None, Some(inner)) => inner.replace("\\n", "\n").replace("\\r", "\r"),
        (None, None) => value.to_owned(),
    }
}

/// As it is. A quote at the start would be taken for one that has to end.
fn bare(value: &str) -> Option<String> {
    let means_nothing = !value.contains(['#', '$', '\n', '\r'])
        && !value.starts_with(['\'', '"'])
        && value.trim() == value;
    means_nothing.then(|| value.to_owned())
}

/// In single quotes, where nothing has a meaning but they themselves.
fn single(value: &str) -> Option<String> {
    let fits = !value.contains(['\'', '\n', '\r']) && keeps_hashes(value, '"');
    fits.then(|| format!("'{value}'"))
}

/// In double quotes, for the ends of lines and single quotes.
fn double(value: &str) -> Option<String> {
    let fits = !value.contains(['"', '\\', '$']) && keeps_hashes(value, '\'');
    fits.then(|| format!("\"{}\"", value.replace('\n', "\\n").replace('\r', "\\r")))
}

/// godotenv splits a line at each `#`, and takes any part with one quote of either kind in it for the
/// start or end of a quoted text. Only the first and the last part may have one, and they do.
fn keeps_hashes(value: &str, other_quote: char) -> bool {
    let inner = value
        .split_once('#')
        .and_then(|(_, rest)| rest.rsplit_once('#'))
        .map_or("", |(inner, _)| inner);
    !inner.contains(other_quote)
}
