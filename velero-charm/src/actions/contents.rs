//! What a Backup holds, by the list that Velero keeps of it in the store, and what a Restore would take.

use std::collections::BTreeMap;

use kube::{api::ApiResource, core::GroupVersionKind};

/// What is told apart in the list by a name before a slash.
const CLUSTER: &str = "";

/// What a Restore lets through; empty lists let everything through.
#[derive(Debug, Default)]
pub(super) struct Filters {
    pub(super) namespaces: Vec<String>,
    pub(super) without_namespaces: Vec<String>,
    pub(super) resources: Vec<String>,
    pub(super) without_resources: Vec<String>,
}

/// Numbers of items by namespace and kind; what is outside of all namespaces has an empty name.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Contents(BTreeMap<String, BTreeMap<String, usize>>);

impl Contents {
    /// Of what `backup describe --details` prints; `None` without a list in it.
    pub(super) fn of(text: &str, filters: &Filters) -> Option<Self> {
        let mut lines = text.lines().skip_while(|line| *line != "Resource List:");
        lines.next()?;
        let mut found: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        let mut kind = String::new();
        for line in lines.take_while(|line| line.starts_with(' ')) {
            let line = line.trim();
            if let Some(item) = line.strip_prefix("- ") {
                let namespace = item
                    .split_once('/')
                    .map_or(CLUSTER, |(namespace, _)| namespace);
                if filters.let_through(namespace, &kind) {
                    let kinds = found.entry(namespace.to_owned()).or_default();
                    *kinds.entry(kind.clone()).or_default() += 1;
                }
            } else {
                line.trim_end_matches(':').clone_into(&mut kind);
            }
        }
        Some(Self(found))
    }

    /// A line for each namespace, under the name that it would have.
    pub(super) fn lines(&self, mapping: &BTreeMap<String, String>) -> Vec<String> {
        let lines = self.0.iter().map(|(namespace, kinds)| {
            let kinds = kinds.iter().map(|(kind, number)| {
                let kind = kind.rsplit('/').next().unwrap_or(kind);
                format!("{number} {kind}")
            });
            let place = match (namespace.as_str(), mapping.get(namespace)) {
                (CLUSTER, _) => "outside of namespaces".to_owned(),
                (from, Some(to)) => format!("{from} as {to}"),
                (from, None) => from.to_owned(),
            };
            format!("{place}: {}", kinds.collect::<Vec<_>>().join(", "))
        });
        lines.collect()
    }
}

impl Filters {
    fn let_through(&self, namespace: &str, kind: &str) -> bool {
        let is = |list: &[String]| list.iter().any(|one| one == "*" || one == namespace);
        let is_kind = |list: &[String]| list.iter().any(|one| one == "*" || names(kind, one));
        let place = namespace == CLUSTER
            || ((self.namespaces.is_empty() || is(&self.namespaces))
                && !is(&self.without_namespaces));
        place
            && (self.resources.is_empty() || is_kind(&self.resources))
            && !is_kind(&self.without_resources)
    }
}

/// A resource as people write it means a kind such as `apps/v1/Deployment`.
fn names(kind: &str, resource: &str) -> bool {
    let mut parts = kind.rsplitn(3, '/');
    let (name, version, group) = (parts.next(), parts.next(), parts.next());
    let gvk = GroupVersionKind::gvk(
        group.unwrap_or_default(),
        version.unwrap_or_default(),
        name.unwrap_or_default(),
    );
    let plural = ApiResource::from_gvk(&gvk).plural;
    let resource = resource.to_lowercase();
    resource == plural
        || resource == gvk.kind.to_lowercase()
        || resource == format!("{plural}.{}", gvk.group)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIBED: &str = "Name:  nightly\n\nResource List:\n  apps/v1/Deployment:\n    - bank/vault\n    - shop/cart\n  \
        v1/Namespace:\n    - bank\n    - shop\n  v1/Pod:\n    - shop/cart-1\n    - shop/cart-2\n\nBackup Volumes:\n  x:\n    - y/z\n";

    fn lines(filters: &Filters, mapping: &[(&str, &str)]) -> Vec<String> {
        let mapping = mapping
            .iter()
            .map(|(from, to)| ((*from).into(), (*to).into()));
        Contents::of(DESCRIBED, filters)
            .unwrap()
            .lines(&mapping.collect())
    }

    #[test]
    fn contents_are_counted_by_namespace() {
        assert_eq!(
            lines(&Filters::default(), &[("shop", "copy")]),
            [
                "outside of namespaces: 2 Namespace",
                "bank: 1 Deployment",
                "shop as copy: 1 Deployment, 2 Pod"
            ]
        );
        assert_eq!(Contents::of("Name: x", &Filters::default()), None);
    }

    #[test]
    fn filters_leave_out_namespaces_and_kinds() {
        let filters = Filters {
            without_namespaces: vec!["bank".into()],
            resources: vec!["pods".into(), "deployments.apps".into()],
            ..Filters::default()
        };
        assert_eq!(lines(&filters, &[]), ["shop: 1 Deployment, 2 Pod"]);
        let filters = Filters {
            namespaces: vec!["shop".into()],
            without_resources: vec!["Deployment".into(), "namespaces".into()],
            ..Filters::default()
        };
        assert_eq!(lines(&filters, &[]), ["shop: 2 Pod"]);
    }
}
