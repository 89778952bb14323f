//! What the proxy is to do at which request, and what came of each.
//!
//! Invariant: a request is judged once, when it comes in, by the first rule that fits; its number is
//! its place among those that came since the script began, from 1.

use std::fmt::{self, Debug, Display};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::header::AUTHORIZATION;
use hyper::{Method, Request};
use serde_json::Value;

use super::Refusal;

/// Stops the client, for good and at once.
pub type Kill = Arc<dyn Fn() + Send + Sync>;

/// A request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: String,
    /// Its query, without the question mark; may be empty.
    pub query: String,
    /// Whose token it carries; may be empty.
    pub user: String,
}

/// What happens to a request instead of passing through.
#[derive(Clone)]
pub enum Fault {
    /// The client is killed before the request is sent on; it is not sent on.
    KillBefore(Kill),
    /// The client is killed after the API server has done what was asked and before it hears of it.
    KillAfter(Kill),
    /// It is answered so, and not sent on.
    Refuse(Refusal),
    /// The API server does what was asked; the connection ends in the middle of its answer.
    Cut,
    /// It is not sent on and never answered.
    Hang,
    /// It is sent on after this pause.
    Slow(Duration),
}

/// One rule of a script.
pub struct Rule {
    when: When,
    fault: Fault,
    skip: usize,
    left: Option<usize>,
}

enum When {
    Number(usize),
    Matches(Box<dyn Fn(&Asked) -> bool + Send>),
}

/// A request, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Its place among all, from 1.
    pub number: usize,
    /// What was asked.
    pub asked: Asked,
    /// The status of the answer, if one was begun.
    pub answer: Option<u16>,
}

impl Asked {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            user: user(request).unwrap_or_default(),
        }
    }

    /// Whether its answer lasts as long as things happen.
    #[must_use]
    pub fn is_watch(&self) -> bool {
        url::form_urlencoded::parse(self.query.as_bytes())
            .any(|(key, value)| key == "watch" && matches!(&*value, "" | "1" | "true"))
    }
}

/// Whom the bearer token names.
fn user<B>(request: &Request<B>) -> Option<String> {
    let token = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Some(claims.get("sub")?.as_str()?.to_owned())
}

impl Rule {
    /// For the request of this number, from 1.
    #[must_use]
    pub const fn at(number: usize, fault: Fault) -> Self {
        Self {
            when: When::Number(number),
            fault,
            skip: 0,
            left: None,
        }
    }

    /// For the first request that matches.
    pub fn first(matches: impl Fn(&Asked) -> bool + Send + 'static, fault: Fault) -> Self {
        Self {
            when: When::Matches(Box::new(matches)),
            fault,
            skip: 0,
            left: Some(1),
        }
    }

    /// For every request that matches.
    pub fn every(matches: impl Fn(&Asked) -> bool + Send + 'static, fault: Fault) -> Self {
        Self {
            left: None,
            ..Self::first(matches, fault)
        }
    }

    /// The same, but for as many of those that it would fit first.
    #[must_use]
    pub fn after(self, skip: usize) -> Self {
        Self { skip, ..self }
    }

    fn takes(&mut self, number: usize, asked: &Asked) -> bool {
        let fits = match &self.when {
            When::Number(wanted) => *wanted == number,
            When::Matches(matches) => matches(asked),
        };
        if !fits || self.left == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.left = self.left.map(|left| left - 1);
        true
    }
}

/// The rules and the record.
#[derive(Debug, Default)]
pub(super) struct Script(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    record: Vec<Exchange>,
}

impl Script {
    pub(super) fn begin(&self, rules: Vec<Rule>) {
        *self.state() = State {
            rules,
            record: Vec::new(),
        };
    }

    pub(super) fn record(&self) -> Vec<Exchange> {
        self.state().record.clone()
    }

    /// The number of a request that came in, and what is to happen to it.
    pub(super) fn next(&self, asked: &Asked) -> (usize, Option<Fault>) {
        let mut state = self.state();
        let number = state.record.len() + 1;
        state.record.push(Exchange {
            number,
            asked: asked.clone(),
            answer: None,
        });
        let mut rules = state.rules.iter_mut();
        let rule = rules.find_map(|rule| rule.takes(number, asked).then(|| rule.fault.clone()));
        (number, rule)
    }

    pub(super) fn answered(&self, number: usize, status: u16) {
        // A late answer to a request of an earlier script is nobody's.
        if let Some(exchange) = self.state().record.get_mut(number - 1) {
            exchange.answer = Some(status);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Display for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)?;
        if self.query.is_empty() {
            return Ok(());
        }
        write!(formatter, "?{}", self.query)
    }
}

impl Display for Exchange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, asked, .. } = self;
        match self.answer {
            Some(status) => write!(formatter, "{number} {asked} → {status}"),
            None => write!(formatter, "{number} {asked} → nothing"),
        }
    }
}

impl Debug for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, formatter)
    }
}

impl Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillBefore(_) => formatter.write_str("killed before"),
            Self::KillAfter(_) => formatter.write_str("killed after"),
            Self::Refuse(refusal) => write!(formatter, "{}", refusal.code()),
            Self::Cut => formatter.write_str("cut"),
            Self::Hang => formatter.write_str("hang"),
            Self::Slow(pause) => write!(formatter, "{} s slow", pause.as_secs()),
        }
    }
}

impl Debug for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(&self.fault, formatter)
    }
}
