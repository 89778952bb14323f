//! What a store of charms looks for: links, icon, names of commands, and a module for Terraform that fits the charm.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use serde_json::{Map, Value};
use worlds::operator::workspace;
use worlds::versions;

fn read(name: &str) -> String {
    fs::read_to_string(workspace().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn charmcraft() -> Value {
    serde_saphyr::from_str(&read("charmcraft.yaml")).unwrap()
}

fn parts() -> Map<String, Value> {
    charmcraft()["parts"].as_object().unwrap().clone()
}

#[test]
fn links_of_the_charm_lead_to_one_place() {
    let links = charmcraft()["links"].clone();
    let website = links["website"].as_str().unwrap();
    for link in ["documentation", "issues", "source", "contact"] {
        let to = links[link].as_str().unwrap();
        assert!(to.starts_with(website), "{link}: {to} is not at {website}");
    }
}

#[test]
fn icon_is_a_small_square_and_packed() {
    let icon = read("icon.svg");
    let svg = icon.split_once('>').unwrap().0;
    for said in ["width=\"100\"", "height=\"100\"", "viewBox=\"0 0 100 100\""] {
        assert!(svg.contains(said), "{said} is not in {svg}>");
    }
    let packs = |(name, part): (&String, &Value)| {
        let stage = part["stage"].as_array();
        name != "charm" && stage.is_some_and(|files| files.contains(&Value::from("icon.svg")))
    };
    assert!(
        parts().iter().any(packs),
        "no other part than `charm` packs it"
    );
}

/// Those that Charmcraft's own papers call supported, and snaps that do not change under us.
#[test]
fn parts_use_supported_plugins_and_pinned_snaps() {
    let mut snaps = 0;
    for (name, part) in parts() {
        let plugin = part["plugin"].as_str().unwrap();
        assert!(["dump", "nil"].contains(&plugin), "{name}: {plugin}");
        for snap in part["build-snaps"].as_array().into_iter().flatten() {
            let snap = snap.as_str().unwrap();
            assert_eq!(
                snap.matches('/').count(),
                2,
                "{name}: {snap} has no channel"
            );
            snaps += 1;
        }
    }
    assert!(snaps > 0);
}

/// A part that is built from a module takes the Go that this asks for.
#[test]
fn go_of_the_package_is_that_of_the_module() {
    let module = read("tests/worlds/modules/velero/go.mod");
    let wanted = module
        .lines()
        .find_map(|line| line.strip_prefix("go "))
        .unwrap();
    let minor = wanted.rsplit_once('.').unwrap().0;
    let snaps = parts()["velero"]["build-snaps"].clone();
    assert_eq!(snaps, serde_json::json!([format!("go/{minor}/stable")]));
}

#[test]
fn makefile_has_the_names_that_tools_look_for() {
    let makefile = read("Makefile");
    for target in ["format", "lint", "unit", "integration", "pack"] {
        assert!(makefile.contains(&format!("\n{target}:\n")), "{target}");
    }
}

#[test]
fn workflows_run_the_ci_script_alone() {
    let folder = workspace().join(".github/workflows");
    let mut runs = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let workflow: Value = serde_saphyr::from_str(&text).unwrap();
        for job in workflow["jobs"].as_object().unwrap().values() {
            let steps = job["steps"].as_array().unwrap();
            runs.extend(steps.iter().filter_map(|step| step.get("run")).cloned());
        }
    }
    assert_eq!(runs, [".ci/run"]);
}

#[test]
fn owners_are_named_for_paths_that_exist() {
    for line in read(".github/CODEOWNERS").lines() {
        let paths = line.split_whitespace().filter(|word| word.starts_with('/'));
        for path in paths {
            let pattern = workspace().join(path.trim_start_matches('/'));
            let found = glob::glob(&pattern.to_string_lossy()).unwrap().count();
            assert!(found > 0, "{path} is not there");
        }
    }
}

/// The endpoints that a caller of the module can name are those of the charm.
#[test]
fn terraform_outputs_are_the_endpoints_of_the_charm() {
    let module: hcl::Body = hcl::from_str(&read("terraform/outputs.tf")).unwrap();
    let outputs: BTreeMap<_, _> = module
        .blocks()
        .map(|block| (block.labels()[0].as_str(), block.body()))
        .collect();
    for side in ["provides", "requires"] {
        let value = outputs[side].attributes().find(|one| one.key() == "value");
        let hcl::Expression::Object(map) = value.unwrap().expr() else {
            panic!("{side} is no map");
        };
        let said: BTreeMap<_, _> = map
            .iter()
            .map(|(key, name)| (key.to_string(), name.to_string()))
            .collect();
        let charmcraft = charmcraft();
        let endpoints = charmcraft.get(side).and_then(Value::as_object);
        let declared: BTreeMap<_, _> = endpoints
            .into_iter()
            .flatten()
            .map(|(name, _)| (name.replace('-', "_"), format!("{name:?}")))
            .collect();
        assert_eq!(said, declared, "{side}");
    }
}

/// What may be set in the blocks of the Juju provider that the module has: the same in 1.0.0, 1.5.6 and 2.2.1, by its
/// reference pages of `juju_application` and `juju_offer`.
const SETTABLE: [(&str, &[&str]); 3] = [
    (
        "juju_application",
        &[
            "config",
            "constraints",
            "endpoint_bindings",
            "machines",
            "model_uuid",
            "name",
            "registry_credentials",
            "resources",
            "storage_directives",
            "trust",
            "units",
        ],
    ),
    ("charm", &["base", "channel", "name", "revision"]),
    (
        "juju_offer",
        &["application_name", "endpoints", "model_uuid", "name"],
    ),
];

/// Of any resource.
const FOR_EACH: &str = "for_each";

#[test]
fn terraform_module_sets_what_the_juju_provider_knows() {
    let module: hcl::Body = hcl::from_str(&read("terraform/main.tf")).unwrap();
    let mut blocks: Vec<_> = module
        .blocks()
        .map(|block| (block.labels()[0].as_str(), block.body()))
        .collect();
    let nested: Vec<_> = blocks
        .iter()
        .flat_map(|(_, body)| body.blocks())
        .map(|block| (block.identifier(), block.body()))
        .collect();
    blocks.extend(nested);
    for (name, body) in blocks {
        let known = SETTABLE.iter().find(|(block, _)| *block == name);
        let (_, known) = known.unwrap_or_else(|| panic!("block `{name}`"));
        let set = body.attributes().map(hcl::Attribute::key);
        let unknown: Vec<_> = set
            .filter(|key| *key != FOR_EACH && !known.contains(key))
            .collect();
        assert_eq!(unknown, [""; 0], "`{name}`");
    }
}

/// Each variable is used, each that is used is declared, and the charm is trusted.
#[test]
fn terraform_module_is_complete() {
    let used = read("terraform/main.tf");
    let module: hcl::Body = hcl::from_str(&used).unwrap();
    let application = module.blocks().find(|block| {
        let labels = block.labels();
        labels
            .first()
            .is_some_and(|label| label.as_str() == "juju_application")
    });
    let trust = application.unwrap().body().attributes();
    let trust = trust.into_iter().find(|one| one.key() == "trust").unwrap();
    assert_eq!(trust.expr(), &hcl::Expression::Bool(true));

    let declared: hcl::Body = hcl::from_str(&read("terraform/variables.tf")).unwrap();
    let mut declared: Vec<_> = declared
        .blocks()
        .map(|block| block.labels()[0].as_str().to_owned())
        .collect();
    let mut needed: Vec<_> = used
        .split("var.")
        .skip(1)
        .map(|rest| {
            let end = rest.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
            rest.split_at(end.unwrap_or(rest.len())).0.to_owned()
        })
        .collect();
    needed.sort();
    needed.dedup();
    declared.sort();
    assert_eq!(declared, needed);
}

/// With `UPDATE_DOCS=1` the page is written again instead of compared.
#[test]
fn versions_are_those_of_the_package() {
    let page = workspace().join("docs/reference/versions.md");
    let text = versions_page(&charmcraft());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(page, text).unwrap();
        return;
    }
    let committed = fs::read_to_string(page).unwrap_or_default();
    assert_eq!(committed, text, "UPDATE_DOCS=1 writes it again");
}

fn versions_page(charm: &Value) -> String {
    let words = |list: &Value| {
        let words = list.as_array().into_iter().flatten();
        let words = words.map(|word| format!("`{}`", word.as_str().unwrap()));
        words.collect::<Vec<_>>().join(", ")
    };
    let platforms = charm["platforms"].as_object().unwrap().keys();
    let platforms = platforms.map(|name| format!("`{name}`"));
    let platforms = platforms.collect::<Vec<_>>().join(", ");
    let mut text = format!(
        "# Versions\n\nA test makes this page from `charmcraft.yaml` and from what the tests run on.\n\n\
         | what | version |\n| --- | --- |\n\
         | this charm | {} |\n\
         | Velero, server and CLI | {} |\n\
         | assumed of the controller | {} |\n\
         | platforms | {platforms} |\n\
         | Kubernetes that the tests run on | {} |\n\
         | Juju that the tests are held to, by recordings | 4.0.15, and the differences of 3.6 |\n\n\
         ## Images\n\n| option | image | its minor version |\n| --- | --- | --- |\n",
        env!("CARGO_PKG_VERSION"),
        versions::VELERO,
        words(&charm["assumes"]),
        kube_stack::versions::KUBERNETES,
    );
    for (name, option) in charm["config"]["options"].as_object().unwrap() {
        let image = option["default"]
            .as_str()
            .filter(|_| name.ends_with("-image"));
        if let Some(image) = image {
            let (_, version) = image.rsplit_once(":v").unwrap();
            let (minor, _) = version.rsplit_once('.').unwrap();
            writeln!(text, "| `{name}` | `{image}` | must be {minor} |").unwrap();
        }
    }
    text
}
