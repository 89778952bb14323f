//! Image references, as a container runtime parses them.

use provider_api::{ImageOption, Problem};

use crate::velero::{BUNDLED, DEFAULT_IMAGE, version};

/// Checks the form of an image reference.
pub(super) fn check_image(option: &str, image: &str, example: &str) -> Result<(), Problem> {
    if is_reference(image) {
        return Ok(());
    }
    let reason = if image.is_empty() {
        "is empty"
    } else {
        "is not an image reference"
    };
    Err(Problem::invalid(
        option,
        reason,
        format!("set `{option}` to an image such as `{example}`"),
    ))
}

/// The server must be of the CLI's minor version: the CLI brings the CRDs and the manifests. A tag
/// that is no version says nothing either way.
pub(super) fn check_minor(option: &str, image: &str) -> Result<(), Problem> {
    let Some(server) = tag(image).and_then(minor) else {
        return Ok(());
    };
    if Some(&server) == minor(BUNDLED).as_ref() {
        return Ok(());
    }
    let (major, minor) = server;
    let reason = format!("is Velero {major}.{minor}, but this charm brings Velero {BUNDLED}");
    Err(Problem::invalid(
        option,
        reason,
        format!("set `{option}` to `{DEFAULT_IMAGE}`"),
    ))
}

/// A plugin must be of the minor version that was made for the bundled Velero: that of its default.
pub(super) fn check_plugin(plugin: ImageOption, image: &str) -> Result<(), Problem> {
    let ImageOption { option, default } = plugin;
    let (Some(theirs), Some(ours)) = (tag(image).and_then(minor), tag(default).and_then(minor))
    else {
        return Ok(());
    };
    if theirs == ours {
        return Ok(());
    }
    let [theirs, ours] = [theirs, ours].map(|(major, minor)| format!("{major}.{minor}"));
    let reason = format!("is version {theirs}, but {ours} is the one for Velero {BUNDLED}");
    Err(Problem::invalid(
        option,
        reason,
        format!("set it to `{default}`"),
    ))
}

/// The server must know what an option uses, which came with this version. A tag that is no version says nothing
/// either way.
pub(super) fn check_since(
    option: &str,
    image: &str,
    since: &str,
    user: &str,
) -> Result<(), Problem> {
    let Some(tag) = tag(image).filter(|tag| minor(tag).is_some()) else {
        return Ok(());
    };
    if version::is_as_late(tag, since) {
        return Ok(());
    }
    Err(Problem::invalid(
        option,
        format!("is Velero {tag}, but `{user}` needs {since}"),
        format!("set `{option}` to `{DEFAULT_IMAGE}`, or reset `{user}`"),
    ))
}

fn is_reference(image: &str) -> bool {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let tag = tag(name);
    let path = tag.map_or(name, |tag| {
        name.strip_suffix(tag).unwrap_or(name).trim_end_matches(':')
    });
    digest.is_none_or(is_digest)
        && tag.is_none_or(|tag| {
            tag.len() <= 128
                && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && tag
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        })
        && path
            .split('/')
            .enumerate()
            .all(|(index, part)| is_component(part, index))
}

fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64
            && hex
                .chars()
                .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
    })
}

/// The first component may be a registry with a port. Within one, runs of lower-case letters and digits
/// are held together by a dot, by one or two underscores, or by dashes.
fn is_component(part: &str, index: usize) -> bool {
    let (name, number) = match part.split_once(':') {
        Some((name, number)) if index == 0 => (name, Some(number)),
        _ => (part, None),
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_joint =
        |joint: &str| matches!(joint, "" | "." | "_" | "__") || joint.chars().all(|c| c == '-');
    number.is_none_or(|number| number.parse::<u16>().is_ok())
        && name.starts_with(plain)
        && name.ends_with(plain)
        && name.split(plain).all(is_joint)
}

/// What follows the last colon, unless that is a registry's port.
fn tag(image: &str) -> Option<&str> {
    let name = image.split('@').next().unwrap_or(image);
    name.rsplit_once(':')
        .map(|(_, tag)| tag)
        .filter(|tag| !tag.contains('/'))
}

/// Major and minor of `v1.18.3` or `1.18.3-rc.1`.
fn minor(text: &str) -> Option<(u64, u64)> {
    let version = version::parse(text)?;
    Some((version.major, version.minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_that_is_too_old_for_an_option_is_refused() {
        let check = |image| check_since("velero-image", image, "1.18.3", "volume-policies");
        for fine in [
            "velero/velero:v1.18.3",
            "v:1.18.4",
            "v:main",
            "v",
            DEFAULT_IMAGE,
        ] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        let problem = check("velero/velero:v1.18.2").unwrap_err();
        assert!(problem.reason.contains("v1.18.2"), "{problem}");
    }

    #[test]
    fn references_are_told_from_other_text() {
        let digest = format!("velero/velero@sha256:{}", "a".repeat(64));
        for good in [
            "velero",
            "velero/velero:v1.18.3",
            "host:5000/a/b",
            "host:5000/a/b:t",
            "my-registry.example.com/a__b/c--d_e.f",
            &digest,
        ] {
            assert!(is_reference(good), "{good}");
        }
        for bad in [
            "",
            " ",
            "a b",
            "Velero/x",
            "a//b",
            "a:",
            "a:-t",
            "/a",
            "a/",
            "a@sha256:zz",
            "é",
            "velero/ve..lero:v1",
            "a/b._c",
            "a/b___c",
            "host:x/y:z",
            "host:/y",
            "host:70000/y",
            "a/b:5/c",
        ] {
            assert!(!is_reference(bad), "{bad}");
        }
    }

    #[test]
    fn minor_version_of_another_release_is_refused() {
        for fine in [
            "velero/velero:v1.18.0",
            "velero/velero:main",
            "velero/velero",
            "h:1/v:1.18.9",
        ] {
            assert_eq!(check_minor("velero-image", fine), Ok(()), "{fine}");
        }
        for off in [
            "velero/velero:v1.15.2",
            "velero/velero:v1.19.0-rc.1",
            "h:1/v:2.18",
        ] {
            let problem = check_minor("velero-image", off).unwrap_err();
            assert!(problem.to_string().contains(DEFAULT_IMAGE), "{problem}");
        }
    }

    #[test]
    fn plugin_of_another_minor_version_is_refused() {
        let plugin = |default| ImageOption {
            option: "velero-tape-plugin-image",
            default,
        };
        let pinned = plugin("tape/plugin:v1.14.3");
        for fine in [
            "tape/plugin:v1.14.3",
            "h:1/mirror/plugin:1.14.0-rc.1",
            "tape/plugin:main",
            "tape/plugin",
        ] {
            assert_eq!(check_plugin(pinned, fine), Ok(()), "{fine}");
        }
        for off in ["tape/plugin:v1.13.9", "h:1/plugin:v1.15.0", "p:v2.14.3"] {
            let problem = check_plugin(pinned, off).unwrap_err();
            assert_eq!(problem.field, "velero-tape-plugin-image");
            assert!(problem.hint.contains(pinned.default), "{problem}");
        }
        let unversioned = plugin("tape/plugin:latest");
        assert_eq!(check_plugin(unversioned, "tape/plugin:v9.9.9"), Ok(()));
    }
}
