//! How the API server names a kind, and where the kind's objects are.

use std::ops::Deref;

use kube::{
    Resource,
    api::{ApiResource, DynamicObject},
    core::{ClusterResourceScope, GroupVersionKind, NamespaceResourceScope},
};

/// A kind of objects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Kind {
    pub(super) resource: ApiResource,
    pub(super) scope: Scope,
}

/// Where the objects of a kind are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scope {
    Namespace,
    Cluster,
}

/// Types of Kubernetes' own kinds tell where their objects are.
pub(crate) trait Scoped {
    const SCOPE: Scope;
}

impl Scoped for NamespaceResourceScope {
    const SCOPE: Scope = Scope::Namespace;
}

impl Scoped for ClusterResourceScope {
    const SCOPE: Scope = Scope::Cluster;
}

impl Kind {
    /// One of Kubernetes' own.
    pub(crate) fn of<K>() -> Self
    where
        K: Resource<DynamicType = (), Scope: Scoped>,
    {
        Self {
            resource: ApiResource::erase::<K>(&()),
            scope: <K::Scope as Scoped>::SCOPE,
        }
    }

    /// A kind of custom resources that are in namespaces.
    pub(crate) fn custom(group: &str, version: &str, kind: &str) -> Self {
        Self {
            resource: ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)),
            scope: Scope::Namespace,
        }
    }

    /// That of an object, which is outside of all namespaces if it names none.
    pub(crate) fn of_object(object: &DynamicObject) -> Self {
        let types = object.types.clone().unwrap_or_default();
        let (group, version) = types
            .api_version
            .split_once('/')
            .unwrap_or(("", &types.api_version));
        let scope = match object.metadata.namespace {
            Some(_) => Scope::Namespace,
            None => Scope::Cluster,
        };
        Self {
            scope,
            ..Self::custom(group, version, &types.kind)
        }
    }
}

impl Deref for Kind {
    type Target = ApiResource;

    fn deref(&self) -> &ApiResource {
        &self.resource
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{apps::v1::DaemonSet, rbac::v1::ClusterRoleBinding};

    use super::*;

    #[test]
    fn kind_of_an_object_is_that_of_its_type() {
        let object = |kind: &Kind, namespace: Option<&str>| {
            let mut object = DynamicObject::new("x", kind);
            object.metadata.namespace = namespace.map(Into::into);
            object
        };
        for (kind, namespace) in [
            (Kind::of::<DaemonSet>(), Some("m")),
            (Kind::of::<ClusterRoleBinding>(), None),
            (Kind::custom("tapes.io", "v2alpha1", "Reel"), Some("m")),
        ] {
            assert_eq!(Kind::of_object(&object(&kind, namespace)), kind);
        }
    }
}
