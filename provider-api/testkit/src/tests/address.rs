//! Secrets that are in one relation: an address that leads nowhere takes all of them.

use super::*;

const TWO: Descriptor = Descriptor {
    endpoint: Endpoint {
        handshake: Handshake {
            requested_secrets: &["pin", "spare"],
            ..TAPE.endpoint.handshake
        },
        ..TAPE.endpoint
    },
    ..TAPE
};

fn with_spare(inputs: &Inputs) -> Result<Answer, Problems> {
    if let Some(waiting) = unanswered(inputs) {
        return Ok(waiting);
    }
    let spare = inputs.own.required_secret("spare", "set it");
    let (read, spare) = provider_api::all!(read(inputs), spare)?;
    let mut storage = store(read);
    let mut all: Vec<String> =
        serde_json::from_str(storage.credential.file().unwrap().expose_secret()).unwrap();
    all.push(spare.expose_secret().to_owned());
    storage.credential = Credential::Keys(serde_json::to_string(&all).unwrap().into());
    Ok(Answer::Ready(Box::new(storage)))
}

fn by_two(resolve: Resolve) -> Vec<(Rule, String)> {
    let tape = Tape {
        descriptor: Box::leak(Box::new(TWO)),
        resolve,
        inside: listed,
    };
    let mut example = example();
    example.relations[0].1.push(("spare", canary("spare")));
    example.required = &["reel", "pin", "code", "spare"];
    found(check(&subject_of(tape, vec![example])))
}

#[test]
fn secret_that_is_missed_with_its_neighbour_is_named() {
    assert_eq!(by_two(with_spare), []);
    let broken = by_two(|inputs| {
        with_spare(inputs).map_err(|problems| match inputs.own.unreadable("pin") {
            Some(_) => problems.first().clone().into(),
            None => problems,
        })
    });
    assert_eq!(broken, only(Rule::Unreadable, &["spare"]));
}
