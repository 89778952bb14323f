//! Actions: what a user asks for once.
//!
//! **Invariant:** an expected failure is said with `action-fail` and ends with exit code 0, since any
//! other code replaces what was said by a number.

mod allowed;
mod attend;
mod backup;
mod command;
mod contents;
mod create_backup;
mod delete_backup;
mod follow;
mod list_backups;
mod output;
mod params;
mod ready;
mod restore;
mod results;
mod run;
mod status_detail;
mod volumes;
mod words;

use tracing::warn;

use crate::{
    cluster::ClusterError, context::Context, error::Error, juju::JujuError, reconcile::report,
    velero::cli::CliError,
};

/// Why an action did not do what was asked; the text is for the user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Charm(#[from] Error),
}

/// Runs an action by its name.
pub(crate) async fn run(ctx: &Context, name: &str) -> Result<(), Error> {
    let outcome = match name {
        "create-backup" => create_backup::run(ctx).await,
        "delete-backup" => delete_backup::run(ctx).await,
        "list-backups" => list_backups::run(ctx).await,
        "restore" => restore::run(ctx).await,
        "status-detail" => status_detail::run(ctx).await,
        "run" | "run-cli" => run::run(ctx).await,
        other => Err(Failure::Refused(format!(
            "this charm has no action `{other}`"
        ))),
    };
    let failure = match outcome {
        Ok(()) => return Ok(()),
        Err(failure) => failure,
    };
    let text = match failure {
        Failure::Refused(text) => text,
        Failure::Charm(error) => {
            if let Some(status) = report::of_error(&error, &ctx.unit) {
                ctx.tools.presentable(&status).message
            } else {
                warn!("{error}");
                error.to_string()
            }
        }
    };
    // A command's words may be in it.
    ctx.tools.action_fail(&output::plain(&text)).await?;
    Ok(())
}

impl From<JujuError> for Failure {
    fn from(error: JujuError) -> Self {
        Self::Charm(error.into())
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        Self::Charm(error.into())
    }
}

impl From<CliError> for Failure {
    fn from(error: CliError) -> Self {
        Self::Charm(error.into())
    }
}
