//! Where the time of a hook went, by the charm's own log.
//!
//! Invariant: the stages of a run add up to it.

use std::time::SystemTime;

use juju_emulator::HookRun;
use kube_stack::AuditEvent;

use super::milliseconds;
use super::sheet::Samples;

/// The milliseconds of each stage in runs of one kind. What the charm does not tell of, its start and
/// end and the setting of the status, is the last.
pub(super) fn by_stage<'a>(runs: impl Iterator<Item = &'a HookRun>) -> Vec<(String, Samples)> {
    let mut all = Vec::<(String, Vec<f64>)>::new();
    for (stage, took) in runs.flat_map(stages) {
        match all.iter_mut().find(|(known, _)| *known == stage) {
            Some((_, samples)) => samples.push(took),
            None => all.push((stage, vec![took])),
        }
    }
    let all = all.into_iter();
    all.map(|(stage, took)| (stage, took.into_iter().collect()))
        .collect()
}

/// Everything in a hook that somebody has seen, in order, and its end.
pub(super) fn timeline(run: &HookRun, requests: &[AuditEvent]) -> Vec<(SystemTime, String)> {
    let lines = run.log.iter();
    let lines = lines.map(|line| (line.at, format!("log: {}", line.text)));
    let calls = run.tool_calls.iter();
    let calls = calls.map(|call| (call.at, format!("hook tool: {}", call.tool)));
    let requests = requests.iter().map(|request| {
        let AuditEvent {
            verb,
            resource,
            name,
            code,
            took,
            ..
        } = request;
        let text = format!(
            "API: {verb} {resource} {name} → {code} in {} ms",
            took.as_millis()
        );
        (SystemTime::from(request.at), text)
    });
    let end = run.at + run.duration;
    let ends = [(end, "the end".to_owned())];
    let mut all: Vec<_> = lines.chain(calls).chain(requests).chain(ends).collect();
    all.retain(|(at, _)| (run.at..=end).contains(at));
    all.sort_by_key(|(at, _)| *at);
    all
}

fn stages(run: &HookRun) -> Vec<(String, f64)> {
    let mut before = 0.0;
    let mut stages = Vec::new();
    for line in &run.log {
        if let Some((stage, after)) = stage(&line.text) {
            stages.push((format!("stage: {}", stage.to_lowercase()), after - before));
            before = after;
        }
    }
    let rest = milliseconds(run.duration) - before;
    stages.push(("start, status and end".to_owned(), rest));
    stages
}

fn stage(line: &str) -> Option<(&str, f64)> {
    let (stage, after) = line.split_once(" after ")?;
    Some((stage, after.strip_suffix(" ms.")?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_read_from_the_charms_log() {
        assert_eq!(
            stage("Carried out after 12.5 ms."),
            Some(("Carried out", 12.5))
        );
        assert_eq!(stage("Now active: all is well."), None);
        assert_eq!(stage("A change waits. It looks after 3 s."), None);
    }
}
