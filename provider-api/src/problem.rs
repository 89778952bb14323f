//! What can be wrong with relation data or config, in words for a person.
//!
//! **Invariant:** a problem never carries the value of a secret, and a list of problems is never
//! empty.

use std::fmt;

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{field}` {reason}: {hint}")]
pub struct Problem {
    /// The field or option, as the user knows it.
    pub field: String,
    /// What kind of problem it is.
    pub kind: ProblemKind,
    /// What is wrong, to be read after the field's name.
    pub reason: String,
    /// What the user can do.
    pub hint: String,
}

/// Kinds of problems; they decide whether waiting can help.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A required field is absent or blank.
    Missing,
    /// A field has a value that cannot work.
    Invalid,
    /// A field was promised but cannot be read (yet).
    Unreadable,
}

/// Everything that is wrong with one set of inputs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problems {
    first: Problem,
    others: Vec<Problem>,
}

impl Problem {
    /// A required field is missing.
    pub fn missing(field: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            kind: ProblemKind::Missing,
            reason: "is missing".into(),
            hint: hint.into(),
        }
    }

    /// A field's value cannot work.
    pub fn invalid(
        field: impl Into<String>,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            kind: ProblemKind::Invalid,
            reason: reason.into(),
            hint: hint.into(),
        }
    }

    /// A promised field cannot be read.
    pub fn unreadable(field: impl Into<String>, reason: &str, hint: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            kind: ProblemKind::Unreadable,
            reason: format!("cannot be read ({reason})"),
            hint: hint.into(),
        }
    }

    /// Whether the same inputs may be fine later, without the user doing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind == ProblemKind::Unreadable
    }
}

impl Problems {
    /// Both values, or everything that is wrong with either.
    ///
    /// # Errors
    /// If one of them has a problem.
    pub fn both<A, B>(
        a: Result<A, impl Into<Self>>,
        b: Result<B, impl Into<Self>>,
    ) -> Result<(A, B), Self> {
        match (a.map_err(Into::into), b.map_err(Into::into)) {
            (Ok(a), Ok(b)) => Ok((a, b)),
            (Err(mut first), Err(second)) => {
                first.others.extend(second.iter().cloned());
                Err(first)
            }
            (Err(problems), Ok(_)) | (Ok(_), Err(problems)) => Err(problems),
        }
    }

    /// These and more.
    #[must_use]
    pub fn and(mut self, more: impl IntoIterator<Item = Problem>) -> Self {
        self.others.extend(more);
        self
    }

    /// The value, unless something was wrong with it.
    ///
    /// # Errors
    /// If `problems` holds anything.
    pub fn or<T>(problems: Vec<Problem>, value: T) -> Result<T, Self> {
        match Self::from_vec(problems) {
            Some(problems) => Err(problems),
            None => Ok(value),
        }
    }

    /// Problems, if there are any.
    #[must_use]
    pub fn from_vec(problems: Vec<Problem>) -> Option<Self> {
        let mut problems = problems.into_iter();
        let first = problems.next()?;
        Some(Self {
            first,
            others: problems.collect(),
        })
    }

    /// The first that was found.
    #[must_use]
    pub fn first(&self) -> &Problem {
        &self.first
    }

    /// All of them, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl From<Problem> for Problems {
    fn from(first: Problem) -> Self {
        Self {
            first,
            others: Vec::new(),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        self.others
            .iter()
            .try_for_each(|problem| write!(f, "; {problem}"))
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_said_at_once() {
        let problems = Problems::from_vec(vec![
            Problem::missing("bucket", "set it"),
            Problem::invalid("endpoint", "is not a URL", "use `https://host`"),
        ])
        .unwrap();

        assert_eq!(
            problems.to_string(),
            "`bucket` is missing: set it; `endpoint` is not a URL: use `https://host`"
        );
        assert!(Problems::from_vec(Vec::new()).is_none());
    }

    #[test]
    fn nothing_that_is_wrong_with_either_is_lost() {
        let bad = |field: &str| Problem::missing(field, "set it");
        let all = |result: Result<(u8, u8), Problems>| {
            let problems = result.unwrap_err();
            let fields: Vec<_> = problems.iter().map(|p| p.field.clone()).collect();
            fields.join(" ")
        };

        assert_eq!(
            Problems::both::<_, u8>(Ok::<_, Problem>(1), Ok::<_, Problem>(2)),
            Ok((1, 2))
        );
        assert_eq!(all(Problems::both(Err(bad("a")), Ok::<_, Problem>(2))), "a");
        assert_eq!(all(Problems::both(Ok::<_, Problem>(1), Err(bad("b")))), "b");
        let first = Problems::both::<u8, u8>(Err(bad("a")), Err(bad("b"))).unwrap_err();
        assert_eq!(all(Problems::both(Err(first), Err(bad("c")))), "a b c");
    }
}
