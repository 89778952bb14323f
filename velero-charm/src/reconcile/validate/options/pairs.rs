//! Options with keys and values: labels of Velero's pods, annotations of their ServiceAccount.

use serde_json::{Map, Value};

use super::{
    table::Pairs,
    texts::{is_key, is_value, parts},
};

/// By these Velero and this charm find pods, or each other's marks.
const RESERVED_LABELS: Reserved = Reserved {
    keys: &["component", "deploy", "name", "role"],
    domains: &["app.kubernetes.io", "velero.io", OURS],
};

const RESERVED_ANNOTATIONS: Reserved = Reserved {
    keys: &[],
    domains: &[OURS],
};

const OURS: &str = "velero-operator";

/// Keys that are not the user's to set.
struct Reserved {
    keys: &'static [&'static str],
    /// All keys behind these.
    domains: &'static [&'static str],
}

pub(super) const POD_LABELS: Pairs = Pairs {
    shape: "labels such as `team=storage,stage=live`",
    read: |text| {
        pairs(text, |key, value| {
            if !is_key(key) || !is_value(value) {
                return Some(format!("has `{key}={value}`, which is no label"));
            }
            RESERVED_LABELS.fault(key)
        })
    },
};

pub(super) const ANNOTATIONS: Pairs = Pairs {
    shape: "annotations such as `example.com/role=backup,stage=live`",
    read: |text| {
        pairs(text, |key, _| {
            if !is_key(key) {
                return Some(format!("has `{key}`, which is no key of an annotation"));
            }
            RESERVED_ANNOTATIONS.fault(key)
        })
    },
};

impl Reserved {
    fn fault(&self, key: &str) -> Option<String> {
        let domain = key.split_once('/').map(|(domain, _)| domain);
        let is_reserved =
            self.keys.contains(&key) || domain.is_some_and(|one| self.domains.contains(&one));
        is_reserved.then(|| format!("has `{key}`, which is reserved"))
    }
}

/// All of them, or what is wrong with each.
fn pairs(text: &str, fault: fn(&str, &str) -> Option<String>) -> Result<Value, Vec<String>> {
    let mut pairs = Map::new();
    let mut faults = Vec::new();
    for part in parts(text) {
        let Some((key, value)) = part.split_once('=') else {
            faults.push(format!("has no `=` in `{part}`"));
            continue;
        };
        faults.extend(fault(key, value));
        if pairs.insert(key.to_owned(), value.into()).is_some() {
            faults.push(format!("has `{key}` twice"));
        }
    }
    if faults.is_empty() {
        Ok(pairs.into())
    } else {
        Err(faults)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(option: Pairs, text: &str) -> Vec<String> {
        (option.read)(text).unwrap_err()
    }

    #[test]
    fn pairs_are_read_as_they_stand() {
        let labels = (POD_LABELS.read)("a.example/use=true, team=x.y").unwrap();
        assert_eq!(labels, json!({"a.example/use": "true", "team": "x.y"}));
        let annotations = (ANNOTATIONS.read)("a.example/role=arn:x::1:role/a=b, empty=").unwrap();
        let wanted = json!({"a.example/role": "arn:x::1:role/a=b", "empty": ""});
        assert_eq!(annotations, wanted);
    }

    #[test]
    fn each_pair_that_is_wrong_is_named() {
        assert_eq!(
            faults(POD_LABELS, "team,a=b c,x=1,x=2,-=y"),
            [
                "has no `=` in `team`",
                "has `a=b c`, which is no label",
                "has `x` twice",
                "has `-=y`, which is no label",
            ]
        );
        assert_eq!(
            faults(ANNOTATIONS, "role,a b=c"),
            [
                "has no `=` in `role`",
                "has `a b`, which is no key of an annotation"
            ]
        );
    }

    #[test]
    fn labels_that_find_pods_are_refused() {
        let text = "component=a,deploy=b,name=c,role=d,app.kubernetes.io/name=e,velero.io/f=g,\
                    velero-operator/application=h";
        assert_eq!(faults(POD_LABELS, text).len(), 7);
        assert_eq!(faults(ANNOTATIONS, "velero-operator/read=x").len(), 1);
        let others = "app=a,a.example/name=b,eu.velero.io/c=d";
        assert!((POD_LABELS.read)(others).is_ok());
    }
}
