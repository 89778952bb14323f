//! What Azure and Velero let names be.

use provider_api::{Problem, RelationData};

use crate::{CONTAINER, PATH, RESOURCE_GROUP, STORAGE_ACCOUNT, SUBSCRIPTION_ID, nodes::is_name};

/// Of an account's name.
const ACCOUNT: std::ops::RangeInclusive<usize> = 3..=24;

/// Of a container's name.
const CONTAINER_NAME: std::ops::RangeInclusive<usize> = 3..=63;

/// Hexadecimal digits in groups.
const CLIENT_ID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

pub(crate) fn is_client_id(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    let is_of_ids = |c: char| c.is_ascii_hexdigit() || c == '-';
    groups == CLIENT_ID_GROUPS && text.chars().all(is_of_ids)
}

pub(crate) fn container(data: &RelationData) -> Result<String, Problem> {
    let container = data.required(CONTAINER, "set `container` in {azure-storage}")?;
    let invalid = |reason: &str, hint: &str| Err(Problem::invalid(CONTAINER, reason, hint));
    if container.starts_with('$') {
        let reason = "is reserved by Azure";
        let hint = "create a container for Velero and set that in {azure-storage}";
        return invalid(reason, hint);
    }
    if container.contains('/') {
        let hint = "put the folder into `path` of {azure-storage}";
        return invalid("contains a `/`", hint);
    }
    let is_part = |part: &str| !part.is_empty() && part.chars().all(is_of_names);
    if !CONTAINER_NAME.contains(&container.len()) || !container.split('-').all(is_part) {
        let reason = "must be 3 to 63 lower-case letters and digits, with single `-` between them";
        return invalid(reason, "correct `container` in {azure-storage}");
    }
    Ok(container.into())
}

pub(crate) fn account(data: &RelationData) -> Result<String, Problem> {
    let hint = "set `storage-account` in {azure-storage} to the account's name";
    let account = data.required(STORAGE_ACCOUNT, hint)?;
    if !ACCOUNT.contains(&account.len()) || !account.chars().all(is_of_names) {
        let reason = "must be 3 to 24 lower-case letters and digits";
        return Err(Problem::invalid(STORAGE_ACCOUNT, reason, hint));
    }
    Ok(account.into())
}

/// Azure takes `\` for `/`, and loses a dot that ends a part.
pub(crate) fn folder(data: &RelationData) -> Result<Option<String>, Problem> {
    let hint = "correct `path` in {azure-storage}";
    let folder = data.folder(PATH, hint)?;
    let is_kept = |part: &str| !part.contains('\\') && !part.ends_with('.');
    if folder
        .as_deref()
        .is_some_and(|folder| !folder.split('/').all(is_kept))
    {
        let reason = "has a part that contains a `\\` or ends with a dot";
        return Err(Problem::invalid(PATH, reason, hint));
    }
    Ok(folder)
}

pub(crate) fn resource_group(data: &RelationData) -> Result<Option<String>, Problem> {
    let hint = "correct `resource-group` in {azure-storage}";
    optional(
        data,
        RESOURCE_GROUP,
        "is not the name of a resource group",
        hint,
    )
}

/// Of a service principal.
pub(crate) fn subscription(data: &RelationData) -> Result<Option<String>, Problem> {
    let hint = "correct `subscription-id` in {azure-service-principal}";
    optional(data, SUBSCRIPTION_ID, "is not an Azure ID", hint)
}

fn optional(
    data: &RelationData,
    field: &str,
    reason: &str,
    hint: &str,
) -> Result<Option<String>, Problem> {
    match data.plain(field) {
        Some(name) if !is_name(name) => Err(Problem::invalid(field, reason, hint)),
        name => Ok(name.map(str::to_owned)),
    }
}

fn is_of_names(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}
