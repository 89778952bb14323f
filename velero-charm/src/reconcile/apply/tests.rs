use super::*;
use crate::{
    ours::credential::Readings,
    reconcile::plan::tests::{owner, place, readings},
};

fn new(name: &str, file: &str) -> Credential {
    Credential {
        name: name.into(),
        content: Body::New(Some(file.into())),
        readings: readings("one", "v/0"),
    }
}

#[test]
fn secret_is_made_with_its_file_and_our_labels() {
    let owner = owner();
    let secret = secret(&new("s", "file"), &[], place(&owner)).unwrap();

    assert!(owner.owns(&secret) && secret.immutable == Some(true));
    assert_eq!(secret.metadata.namespace.as_deref(), Some("ns"));
    let data = secret.data.unwrap();
    assert_eq!(data[credential::KEY].0, b"file");
}

#[test]
fn secret_whose_notes_change_keeps_its_content() {
    let owner = owner();
    let live = secret(&new("s", "file"), &[], place(&owner)).unwrap();
    let noted = Credential {
        name: "s".into(),
        content: Body::AsItIs,
        readings: Readings::new(),
    };
    let after = secret(&noted, std::slice::from_ref(&live), place(&owner)).unwrap();

    assert!(owner.owns(&after) && after.data == live.data);
    assert!(credential::has_notes(&live) && !credential::has_notes(&after));
    assert!(
        secret(&noted, &[], place(&owner)).is_err(),
        "nothing is written in place of a Secret that was not seen"
    );
}
