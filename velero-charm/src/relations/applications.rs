//! Applications by the names that the user gave them, in what providers say.

use provider_api::{Answer, Descriptor, Inputs, Problem, Problems, StorageProvider};

use super::storage::StorageRelation;

/// Which applications are related, by endpoint.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Applications(Vec<(&'static str, String)>);

impl Applications {
    pub(crate) fn related(relations: &[StorageRelation]) -> Self {
        let all = relations.iter().flat_map(|relation| {
            let own = (relation.provider.descriptor().endpoint.name, &relation.own);
            let optional = relation.optional.iter();
            let optional = optional.map(|(endpoint, relation)| (endpoint.name, relation));
            std::iter::once(own).chain(optional)
        });
        Self(
            all.map(|(endpoint, relation)| (endpoint, relation.integrator()))
                .collect(),
        )
    }

    /// All of them, as they stand in a list.
    pub(crate) fn list(&self) -> String {
        let names = self.0.iter().map(|(_, name)| format!("`{name}`"));
        names.collect::<Vec<_>>().join(", ")
    }

    /// What a provider makes of its inputs, said with the names of these applications.
    ///
    /// # Errors
    /// All problems that the provider finds.
    pub(crate) fn resolve(
        &self,
        provider: &dyn StorageProvider,
        inputs: &Inputs,
    ) -> Result<Answer, Problems> {
        let descriptor = provider.descriptor();
        let named = |text: &str| self.name(descriptor, text);
        let problem = |problem: Problem| Problem {
            hint: named(&problem.hint),
            ..problem
        };
        match provider.resolve(inputs) {
            Ok(Answer::Ready(mut storage)) => {
                for remark in &mut storage.remarks {
                    *remark = named(remark);
                }
                for gap in &mut storage.gaps {
                    gap.problem = problem(gap.problem.clone());
                }
                Ok(Answer::Ready(storage))
            }
            Ok(Answer::Waiting(what)) => Ok(Answer::Waiting(named(&what))),
            Err(problems) => Err(problems.map(problem)),
        }
    }

    /// What to do about a message of Velero's, if the provider knows it.
    pub(crate) fn advice(&self, descriptor: &Descriptor, message: &str) -> Option<String> {
        let advice = descriptor.advice_for(message)?;
        Some(self.name(descriptor, advice))
    }

    fn name(&self, descriptor: &Descriptor, text: &str) -> String {
        descriptor
            .endpoints()
            .fold(text.to_owned(), |text, endpoint| {
                text.replace(&endpoint.in_texts(), &self.at(endpoint.name, descriptor))
            })
    }

    fn at(&self, endpoint: &str, descriptor: &Descriptor) -> String {
        let here = self.0.iter().filter(|(at, _)| *at == endpoint);
        let names: Vec<_> = here.map(|(_, name)| format!("`{name}`")).collect();
        match names.as_slice() {
            [] if endpoint == descriptor.endpoint.name => format!("`{}`", descriptor.integrator),
            [] => format!("the integrator at `{endpoint}`"),
            names => names.join(" or "),
        }
    }
}

#[cfg(test)]
mod tests {
    use provider_api::Endpoint;
    use provider_testkit::TAPE;

    use super::*;

    static ROBOT: Descriptor = Descriptor {
        optional_endpoints: &[Endpoint {
            name: "tape-robot",
            ..TAPE.endpoint
        }],
        ..TAPE
    };

    #[test]
    fn applications_have_the_names_that_the_user_gave_them() {
        let text = "set `reel` in {tape-credentials}, or ask {tape-robot}, not {others}";
        let name = |related: &[(&'static str, &str)]| {
            let related = related.iter().map(|(at, name)| (*at, (*name).to_owned()));
            Applications(related.collect()).name(&ROBOT, text)
        };

        assert_eq!(
            name(&[("tape-credentials", "my-tape"), ("tape-robot", "arm")]),
            "set `reel` in `my-tape`, or ask `arm`, not {others}"
        );
        assert_eq!(
            name(&[("tape-credentials", "one"), ("tape-credentials", "two")]),
            "set `reel` in `one` or `two`, or ask the integrator at `tape-robot`, not {others}"
        );
        assert_eq!(
            name(&[]),
            "set `reel` in `tape-integrator`, or ask the integrator at `tape-robot`, not {others}"
        );
    }
}
