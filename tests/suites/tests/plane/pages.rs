//! Tutorial and how-to guides: their commands are those of this charm, and those that need no pod are carried out.
//!
//! The tutorial is carried out on the node, from the page (`one_backup_lost_and_restored`).

use std::fs;
use std::path::PathBuf;

use kube_stack::S3Store;
use serde_json::{Value, json};
use worlds::documented::{self, Hand, Moment, SHOP};
use worlds::operator::{APP, UNIT, workspace};
use worlds::pages::{self, Block};
use worlds::plane::{LightWorld, Plane};
use worlds::store::Store;

const TUTORIAL: &str = "tutorial.md";
/// Carried out last, since nothing is left after it.
const LAST: &str = "how-to/remove.md";

/// The guides, by their place below `docs`.
fn guides() -> Vec<String> {
    let folder = workspace().join("docs/how-to");
    let mut guides: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| format!("how-to/{}", entry.unwrap().file_name().display()))
        .collect();
    guides.sort_by_key(|guide| (guide == LAST, guide.clone()));
    assert_eq!(guides.last().unwrap(), LAST);
    guides
}

fn blocks(page: &str) -> Vec<Block> {
    let path = workspace().join("docs").join(page);
    pages::blocks(&fs::read_to_string(path).unwrap())
        .unwrap_or_else(|error| panic!("{page}: {error}"))
}

fn charmcraft() -> Value {
    let path: PathBuf = workspace().join("charmcraft.yaml");
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What a line says of this charm that it does not have.
fn strange(line: &str, charm: &Value) -> Vec<String> {
    let words = shell_words::split(line).unwrap_or_default();
    let mut words = words.iter().map(String::as_str);
    let mut missing = Vec::new();
    let mut look = |section: &Value, name: &str, what: &str| {
        if section.get(name).is_none() {
            missing.push(format!("no {what} `{name}`"));
        }
    };
    let rest = match (words.next(), words.next(), words.next()) {
        (Some("juju"), Some("config"), Some(APP)) => {
            let options = &charm["config"]["options"];
            let mut reset = false;
            for word in words {
                let (name, _) = word.split_once('=').unwrap_or((word, ""));
                if reset || word.contains('=') {
                    look(options, name, "option");
                }
                reset = word == "--reset";
            }
            return missing;
        }
        (Some("juju"), Some("run"), Some(UNIT)) => words,
        _ => return missing,
    };
    let mut rest = rest;
    let action = rest.next().unwrap_or_default();
    look(&charm["actions"], action, "action");
    let params = &charm["actions"][action]["params"];
    for word in rest.filter(|word| !word.starts_with("--")) {
        let (name, _) = word.split_once('=').unwrap_or((word, ""));
        look(params, name, "parameter");
    }
    missing
}

/// Each block is carried out by a test, or says why not; and all of them speak of this charm.
#[test]
fn commands_of_pages_are_those_of_the_charm() {
    let charm = charmcraft();
    let (mut run, mut marked, mut wrong) = (0, Vec::new(), Vec::new());
    for page in guides().into_iter().chain([TUTORIAL.to_owned()]) {
        run += documented::lines_of_page(&page).unwrap().len();
        for block in blocks(&page) {
            for line in &block.commands {
                let strange = strange(line, &charm);
                wrong.extend(
                    strange
                        .into_iter()
                        .map(|what| format!("{page}: {what}: {line}")),
                );
            }
            if let Some(why) = block.not_run {
                marked.push(format!("{page}: {} ({why})", block.commands[0]));
            }
        }
    }
    println!(
        "{run} commands are carried out; {} blocks are not:\n{}",
        marked.len(),
        marked.join("\n")
    );
    assert!(run > 20, "only {run} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn commands_of_another_charm_are_found() {
    let charm = charmcraft();
    for (line, what) in [
        (
            "juju config velero-operator no-such=1",
            "no option `no-such`",
        ),
        (
            "juju config velero-operator --reset no-such",
            "no option `no-such`",
        ),
        ("juju run velero-operator/0 no-such", "no action `no-such`"),
        (
            "juju run velero-operator/0 run no-such=1",
            "no parameter `no-such`",
        ),
    ] {
        assert_eq!(strange(line, &charm), [what], "{line}");
    }
    assert!(strange("juju config s3-integrator bucket=b", &charm).is_empty());
}

/// One model goes through all guides, from where the tutorial begins to back up to the end of the charm.
#[tokio::test]
async fn guides_work_where_the_tutorial_has_led() {
    let plane = Plane::shared().await.unwrap();
    let mut world = plane.world("guides").await.unwrap();
    let settings = world.settings();
    let option = |name: &str| settings.options.get(name).cloned().unwrap_or_default();
    let store = Store::S3(S3Store {
        endpoint: option("endpoint"),
        access_key: settings.access_key.clone(),
        secret_key: settings.secret_key.clone(),
        region: option("region"),
    });
    let mut hand = Hand::new(world.charm().await.unwrap(), &store, &world.bucket);
    let shop = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SHOP}});
    world.apply(&shop).await.unwrap();
    let tutorial = documented::lines_of_page(TUTORIAL).unwrap();
    let set_up = tutorial
        .iter()
        .take_while(|line| line.moment() != Moment::BackUp);
    for line in set_up {
        hand.carry_out(&mut world.juju, line).await.unwrap();
    }
    world.expect_status("active: ").unwrap();
    for guide in guides() {
        for line in documented::lines_of_page(&guide).unwrap() {
            let carried_out = hand.carry_out(&mut world.juju, &line).await;
            carried_out.unwrap_or_else(|error| panic!("{guide}: {line}: {error:#}"));
        }
        if guide != LAST {
            works(&world, &guide);
        }
    }
    assert_eq!(world.belongings().await.unwrap(), "");
}

fn works(world: &LightWorld, guide: &str) {
    let status = world.status();
    assert!(status.starts_with("active: "), "after {guide}: {status}");
}
