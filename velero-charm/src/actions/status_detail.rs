//! `status-detail`: everything that a status would have to say, of which `juju status` shows the worst.

use super::Failure;
use crate::{context::Context, reconcile::stages};

/// Looks as a hook does, and changes nothing.
pub(super) async fn run(ctx: &Context) -> Result<(), Failure> {
    let findings = stages(ctx)
        .await
        .map_err(|error| Failure::Charm(error.cause))?;
    let lines = findings.lines();
    let results = [
        ("number", lines.len().to_string()),
        (
            "findings",
            if lines.is_empty() {
                "active: all is well".into()
            } else {
                lines.join("\n")
            },
        ),
    ];
    Ok(ctx.tools.action_set_all(&results).await?)
}
