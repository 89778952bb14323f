//! The credential file that the plugin reads.
//!
//! **Invariant:** the file says exactly what the integrator sent. A key that the file's format could
//! not carry unchanged is refused.

use provider_api::{
    Problem, RelationData,
    secrecy::{ExposeSecret, SecretString},
};

/// One half of the credentials.
pub(crate) fn key(data: &RelationData, field: &'static str) -> Result<SecretString, Problem> {
    let key = data.required_secret(field, "set the credentials in the S3 integrator")?;
    // The file is an INI file: a line ends a value, white space at the ends is lost, and white
    // space before `#` or `;` starts a comment. No store gives out keys with any of these.
    if key
        .expose_secret()
        .contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return Err(Problem::invalid(
            field,
            "contains white space or control characters",
            "set the credentials in the S3 integrator again",
        ));
    }
    // The SDK strips a pair of quotes around a value, and takes one quote alone for a pair.
    let key_text = key.expose_secret();
    if ['\'', '"']
        .iter()
        .any(|quote| key_text.starts_with(*quote) && key_text.ends_with(*quote))
    {
        return Err(Problem::invalid(
            field,
            "begins and ends with a quote",
            "set it without quotes in the S3 integrator",
        ));
    }
    Ok(key)
}

/// The file's content.
pub(crate) fn file(access_key: &SecretString, secret_key: &SecretString) -> SecretString {
    SecretString::from(format!(
        "[default]\naws_access_key_id={}\naws_secret_access_key={}\n",
        access_key.expose_secret(),
        secret_key.expose_secret(),
    ))
}
