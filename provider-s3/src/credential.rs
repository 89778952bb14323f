//! The credential file that the plugin reads.
//!
//! **Invariant:** the file says exactly what the integrator sent. A key that the file's format could
//! not carry unchanged is refused.

use provider_api::{
    Problem, RelationData,
    secrecy::{ExposeSecret, SecretString},
};

const QUOTES: [char; 2] = ['\'', '"'];
/// What the keys are called in the file.
pub(crate) const NAMES: [&str; 2] = ["aws_access_key_id", "aws_secret_access_key"];

/// One half of the credentials.
pub(crate) fn key(data: &RelationData, field: &'static str) -> Result<SecretString, Problem> {
    let key = data.required_secret(field, "set the credentials in {s3-credentials}")?;
    // The file is an INI file: a line ends a value, white space at the ends is lost, and white
    // space before `#` or `;` starts a comment. No store gives out keys with any of these.
    if key
        .expose_secret()
        .contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return Err(Problem::invalid(
            field,
            "contains white space or control characters",
            "set the credentials in {s3-credentials} again",
        ));
    }
    // The reader takes quotes for its own, and panics at one alone.
    if key.expose_secret().starts_with(QUOTES) || key.expose_secret().ends_with(QUOTES) {
        return Err(Problem::invalid(
            field,
            "begins or ends with a quote",
            "set the credentials in {s3-credentials} again, without quotes",
        ));
    }
    Ok(key)
}

/// The file's content.
pub(crate) fn file(access_key: &SecretString, secret_key: &SecretString) -> SecretString {
    let [id, secret] = NAMES;
    SecretString::from(format!(
        "[default]\n{id}={}\n{secret}={}\n",
        access_key.expose_secret(),
        secret_key.expose_secret(),
    ))
}
