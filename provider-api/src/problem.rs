//! What can be wrong with relation data or config, in words for a person.
//!
//! A list of problems is never empty. That no problem carries the value of a secret, the testkit holds.

use std::fmt;

/// One thing that is wrong, and what to do about it, which is said first.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{hint}: `{field}` {reason}")]
pub struct Problem {
    /// The field or option, as the user knows it.
    pub field: String,
    /// What kind of problem it is.
    pub kind: ProblemKind,
    /// What is wrong, to be read after the field's name.
    pub reason: String,
    /// What the user can do; [`Endpoint::in_texts`](crate::Endpoint::in_texts) for an application.
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

    /// A required field was sent with nothing in it.
    pub(crate) fn blank(field: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            reason: "is blank".into(),
            ..Self::missing(field, hint)
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
    fn both<A, B>(
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

    /// Each of them as the function makes it.
    #[must_use]
    pub fn map(self, mut change: impl FnMut(Problem) -> Problem) -> Self {
        Self {
            first: change(self.first),
            others: self.others.into_iter().map(change).collect(),
        }
    }

    /// Continues only if nothing was wrong.
    ///
    /// # Errors
    /// If `problems` holds anything.
    pub fn raise(problems: Vec<Problem>) -> Result<(), Self> {
        Self::from_vec(problems).map_or(Ok(()), Err)
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

/// All values as one flat tuple, or everything that is wrong with any of them.
///
/// Takes up to eight results with a [`Problem`] or [`Problems`] as their error, and tries all of them:
///
/// ```
/// use provider_api::{Problem, Problems, all};
///
/// let (a, b, c) = all!(Ok::<_, Problem>(1), Ok::<_, Problems>("two"), Ok::<_, Problem>('3'))?;
/// assert_eq!((a, b, c), (1, "two", '3'));
///
/// let bucket: Result<u8, _> = Err(Problem::missing("bucket", "set it"));
/// let region: Result<u8, _> = Err(Problem::invalid("region", "is blue", "change it"));
/// let both = all!(bucket, Ok::<_, Problem>(1), region).unwrap_err();
/// assert_eq!(both.to_string(), "set it: `bucket` is missing; change it: `region` is blue");
/// # Ok::<(), Problems>(())
/// ```
#[macro_export]
macro_rules! all {
    ($($result:expr),+ $(,)?) => {
        $crate::AllOf::all(($($result,)+))
    };
}

/// What [`all!`] does with a tuple of results.
#[doc(hidden)]
pub trait AllOf {
    /// The tuple of their values.
    type Values;

    /// All values, or all problems.
    fn all(self) -> Result<Self::Values, Problems>;
}

impl AllOf for () {
    type Values = ();

    fn all(self) -> Result<(), Problems> {
        Ok(())
    }
}

/// For this many results and for any number below.
macro_rules! all_of {
    () => {};
    ($first:ident $first_error:ident $($other:ident $other_error:ident)*) => {
        impl<$first, $first_error, $($other, $other_error,)*> AllOf
            for (Result<$first, $first_error>, $(Result<$other, $other_error>,)*)
        where
            $first_error: Into<Problems>,
            $($other_error: Into<Problems>,)*
        {
            type Values = ($first, $($other,)*);

            #[allow(non_snake_case, reason = "a value is called as its type")]
            fn all(self) -> Result<Self::Values, Problems> {
                let ($first, $($other,)*) = self;
                let ($first, ($($other,)*)) = Problems::both($first, AllOf::all(($($other,)*)))?;
                Ok(($first, $($other,)*))
            }
        }

        all_of! { $($other $other_error)* }
    };
}

all_of! { A AE B BE C CE D DE E EE F FE G GE H HE }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_all_said_at_once() {
        let problems = Problems::from_vec(vec![
            Problem::missing("bucket", "set it"),
            Problem::invalid("endpoint", "is not a URL", "use `https://host`"),
        ])
        .unwrap();

        assert_eq!(
            problems.to_string(),
            "set it: `bucket` is missing; use `https://host`: `endpoint` is not a URL"
        );
        assert!(Problems::from_vec(Vec::new()).is_none());
    }

    #[test]
    fn problem_of_any_result_is_kept() {
        let bad = |field: &str| Problem::missing(field, "set it");
        let all = |result: Result<(u8, u8), Problems>| {
            let problems = result.unwrap_err();
            let fields: Vec<_> = problems.iter().map(|p| p.field.clone()).collect();
            fields.join(" ")
        };
        let good = |value| Ok::<u8, Problem>(value);

        assert_eq!(crate::all!(good(1), good(2)), Ok((1, 2)));
        assert_eq!(crate::all!(good(1)), Ok((1,)));
        assert_eq!(all(crate::all!(Err(bad("a")), good(2))), "a");
        assert_eq!(all(crate::all!(good(1), Err(bad("b")))), "b");
        let first = crate::all!(Err::<u8, _>(bad("a")), Err::<u8, _>(bad("b"))).unwrap_err();
        assert_eq!(all(crate::all!(Err(first), Err(bad("c")))), "a b c");
        let many = crate::all!(
            good(1),
            good(2),
            good(3),
            good(4),
            good(5),
            good(6),
            good(7)
        );
        assert_eq!(many, Ok((1, 2, 3, 4, 5, 6, 7)));
    }

    #[test]
    fn raise_stops_at_problems_alone() {
        assert_eq!(Problems::raise(Vec::new()), Ok(()));
        let problem = Problem::missing("bucket", "set it");
        assert_eq!(Problems::raise(vec![problem.clone()]), Err(problem.into()));
    }
}
