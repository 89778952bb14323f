//! Releases of the plugin that are known to spoil backups.

use provider_api::{ImageOption, Problem};

/// One release.
pub(crate) struct Faulty {
    pub(crate) version: &'static str,
    /// What it does in stores that are not Amazon's.
    pub(crate) elsewhere: &'static str,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the page of the table shows it")
    )]
    pub(crate) source: &'static str,
}

pub(crate) const FAULTY: [Faulty; 1] = [Faulty {
    version: "1.14.2",
    elsewhere: "writes checksums into the files of backups in stores other than Amazon's, which then \
                cannot be read",
    source: "https://github.com/velero-io/velero/issues/9951",
}];

/// Refuses a release that spoils backups in a store that is not Amazon's.
pub(crate) fn check_elsewhere(option: ImageOption, image: &str) -> Result<(), Problem> {
    let is_it = |faulty: &&Faulty| version(image) == Some(faulty.version);
    let Some(faulty) = FAULTY.iter().find(is_it) else {
        return Ok(());
    };
    let hint = format!("set it to `{}`", option.default);
    Err(Problem::invalid(option.option, faulty.elsewhere, hint))
}

/// What the tag says, if there is one.
fn version(image: &str) -> Option<&str> {
    let name = image.split('@').next()?;
    let (_, tag) = name.rsplit_once(':')?;
    Some(tag.strip_prefix('v').unwrap_or(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTION: ImageOption = ImageOption {
        option: "velero-aws-plugin-image",
        default: "velero/velero-plugin-for-aws:v1.14.3",
    };

    #[test]
    fn faulty_release_is_known_by_its_tag() {
        let digest = "a".repeat(64);
        for faulty in [
            "velero/velero-plugin-for-aws:v1.14.2",
            "registry:5000/mirror/plugin:1.14.2",
            &format!("velero/velero-plugin-for-aws:v1.14.2@sha256:{digest}"),
        ] {
            let problem = check_elsewhere(OPTION, faulty).unwrap_err();
            assert_eq!(problem.field, OPTION.option);
            assert!(problem.hint.contains(OPTION.default), "{problem}");
        }
        for fine in [
            OPTION.default,
            "velero/velero-plugin-for-aws:v1.14.1",
            "registry:5000/1.14.2",
            &format!("velero/velero-plugin-for-aws@sha256:{digest}"),
        ] {
            assert_eq!(check_elsewhere(OPTION, fine), Ok(()), "{fine}");
        }
    }
}
