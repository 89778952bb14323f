//! Fields of the integrator that the plugin has little use for: used where it has, else remarked on.

use std::collections::BTreeMap;

use provider_api::{Problem, RelationData};

use crate::settings::{ENCRYPTION, KMS_KEY, TAGGING, is_valid};

pub(crate) const ATTRIBUTES: &str = "attributes";
const STORAGE_CLASS: &str = "storage-class";
const API_VERSION: &str = "s3-api-version";
const RETENTION: [&str; 2] = [
    "delete-older-than-days",
    "experimental-delete-older-than-days",
];

/// The headers of an upload that the plugin has a setting for.
const HEADERS: [(&str, &str); 3] = [
    ("x-amz-server-side-encryption", ENCRYPTION),
    ("x-amz-server-side-encryption-aws-kms-key-id", KMS_KEY),
    ("x-amz-tagging", TAGGING),
];

/// Headers that uploads are to carry, as far as they can.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    pub(crate) settings: BTreeMap<&'static str, String>,
    /// Some have no setting.
    pub(crate) remark: Option<String>,
}

/// Reads a JSON list or a text of `header=value` or `header: value`, separated by commas or lines.
pub(crate) fn attributes(data: &RelationData) -> Result<Option<Attributes>, Problem> {
    let Some(text) = data.plain(ATTRIBUTES) else {
        return Ok(None);
    };
    let items: Vec<String> = serde_json::from_str(text)
        .unwrap_or_else(|_| text.split([',', '\n']).map(str::to_owned).collect());
    let mut attributes = Attributes::default();
    for item in items
        .iter()
        .map(|item| item.trim())
        .filter(|item| !item.is_empty())
    {
        let (header, value) = item.split_once(['=', ':']).unwrap_or((item, ""));
        let (header, value) = (header.trim().to_ascii_lowercase(), value.trim());
        let Some((_, setting)) = HEADERS.iter().find(|(known, _)| *known == header) else {
            let names = HEADERS.map(|(header, _)| format!("`{header}`")).join(", ");
            attributes.remark = Some(format!(
                "Of `{ATTRIBUTES}` only {names} are used: Velero's plugin can send no other headers."
            ));
            continue;
        };
        if !is_valid(setting, value) {
            let reason = format!("has a value for `{header}` that Velero's plugin does not take");
            let hint = format!("correct `{ATTRIBUTES}` in {{s3-credentials}}");
            return Err(Problem::invalid(ATTRIBUTES, reason, hint));
        }
        attributes.settings.insert(setting, value.to_owned());
    }
    Ok(Some(attributes))
}

/// What to say of fields that change nothing.
pub(crate) fn remarks(data: &RelationData) -> Vec<String> {
    let class = data.plain(STORAGE_CLASS);
    let class = class.filter(|class| !class.eq_ignore_ascii_case("STANDARD")).map(|_| {
        format!(
            "`{STORAGE_CLASS}` is not used: Velero's plugin leaves the class to the bucket, where a rule for \
             its lifecycle can change it."
        )
    });
    let version = data
        .plain(API_VERSION)
        .filter(|version| !version.contains('4'))
        .map(|_| {
            format!("`{API_VERSION}` is not used: Velero's plugin always signs with version 4.")
        });
    let mut retention = RETENTION.iter().filter(|field| data.plain(field).is_some());
    let retention = retention.next().map(|field| {
        format!(
            "`{field}` is not used: backups are deleted by the `--ttl` that they were made with."
        )
    });
    [class, version, retention].into_iter().flatten().collect()
}
