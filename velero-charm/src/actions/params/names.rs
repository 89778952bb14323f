//! What Kubernetes and Juju take for names.

use std::collections::BTreeMap;

use super::{shortened, split};

/// The longest name of which Velero's labels hold the whole.
const LONGEST: usize = 63;

/// A name that an object may have, and that is one word to a shell.
pub(in crate::actions) fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !text.is_empty()
        && text.len() <= LONGEST
        && text.starts_with(plain)
        && text.ends_with(plain)
        && text.chars().all(|c| plain(c) || matches!(c, '-' | '.'))
}

/// A namespace, or several by `*`, `?` or a set.
pub(super) fn is_namespace_pattern(text: &str) -> bool {
    let fits = |c: char| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '*' | '?' | '[' | ']')
    };
    text.len() <= LONGEST && text.chars().all(fits) && !text.starts_with('-')
}

/// `from:to`, separated by commas.
pub(super) fn mapping(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    for pair in split(text, ',') {
        let names = pair.split_once(':');
        let names = names.map(|(from, to)| (from.trim(), to.trim()));
        let is_namespace = |name: &str| is_name(name) && !name.contains('.');
        let Some((from, to)) = names.filter(|(from, to)| is_namespace(from) && is_namespace(to))
        else {
            let pair = shortened(pair);
            return Err(format!(
                "has `{pair}`: give pairs such as `shop:shop-copy`, separated by commas"
            ));
        };
        if found.insert(from.to_owned(), to.to_owned()).is_some() {
            return Err(format!("maps `{from}` twice: leave one out"));
        }
    }
    Ok(found)
}

/// `app:endpoint`.
pub(in crate::actions) fn target(text: &str) -> Result<(String, String), String> {
    let fault = || {
        let text = shortened(text);
        format!(
            "is `{text}`: give an application and its endpoint, such as `minio:velero-backup-config`"
        )
    };
    let (app, endpoint) = text.split_once(':').ok_or_else(fault)?;
    match (label_value(app.trim()), label_value(endpoint.trim())) {
        (Ok(app), Ok(endpoint)) => Ok((app, endpoint)),
        _ => Err(fault()),
    }
}

/// What can stand in a selector without being taken for more of it.
pub(in crate::actions) fn label_value(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && text.len() <= 63 && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    let text = shortened(text);
    Err(format!("is `{text}`: give a name of Juju's"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapping_has_pairs_of_namespaces() {
        let pairs = mapping("shop:copy, bank:vault").unwrap();
        assert_eq!(pairs["shop"], "copy");
        assert_eq!(pairs["bank"], "vault");
        for text in [
            "shop",
            "shop:",
            ":copy",
            "shop:a:b",
            "Shop:copy",
            "shop:*",
            "shop:a,shop:b",
        ] {
            assert!(mapping(text).is_err(), "{text}");
        }
    }

    #[test]
    fn name_is_one_that_kubernetes_takes() {
        for (name, fits) in [
            ("nightly-2.1", true),
            ("a", true),
            ("", false),
            ("Nightly", false),
            ("-x", false),
            ("x-", false),
            ("a b", false),
            ("a;b", false),
        ] {
            assert_eq!(is_name(name), fits, "{name}");
        }
        assert!(!is_name(&"x".repeat(64)));
    }
}
