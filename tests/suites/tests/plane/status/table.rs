//! Rows of the page.

use std::fmt::{self, Display};

use worlds::operator::UNIT;
use worlds::plane::LightWorld;

/// As much as is shown of a message.
const LONGEST: usize = 500;

/// Where on the page a row stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Setup,
    Config,
    Store,
    S3,
    Azure,
    Gcs,
    Backups,
    Velero,
    Cluster,
    Passing,
}

pub(crate) struct Row {
    section: Section,
    situation: &'static str,
    level: String,
    message: String,
    /// What the status says to do was done, and helped.
    is_healed: bool,
}

/// The rows of one group.
#[derive(Default)]
pub(crate) struct Rows(Vec<Row>);

impl Section {
    pub(crate) const ALL: [Self; 10] = [
        Self::Setup,
        Self::Config,
        Self::Store,
        Self::S3,
        Self::Azure,
        Self::Gcs,
        Self::Backups,
        Self::Velero,
        Self::Cluster,
        Self::Passing,
    ];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Setup => "Setting up",
            Self::Config => "Options",
            Self::Store => "The object store",
            Self::S3 => "An S3 store",
            Self::Azure => "Azure Blob Storage",
            Self::Gcs => "Google Cloud Storage",
            Self::Backups => "Who is backed up, and who watches",
            Self::Velero => "Velero's pods",
            Self::Cluster => "The cluster and the charm",
            Self::Passing => "In passing",
        }
    }
}

impl Rows {
    pub(crate) fn of(&self, section: Section) -> impl Iterator<Item = &Row> {
        self.0.iter().filter(move |row| row.section == section)
    }

    /// Takes what the first unit shows now, which must be of this level.
    pub(crate) fn take(
        &mut self,
        world: &LightWorld,
        section: Section,
        level: &str,
        situation: &'static str,
    ) {
        self.take_of(world, UNIT, section, level, situation);
    }

    /// The same for another unit.
    pub(crate) fn take_of(
        &mut self,
        world: &LightWorld,
        unit: &str,
        section: Section,
        level: &str,
        situation: &'static str,
    ) {
        let status = world.juju.unit_status(unit).unwrap();
        let failed = world.juju.hook_runs().iter().find(|r| !r.exit.is_success());
        let hooks = failed.map(|run| run.hook.as_str());
        assert_eq!(
            hooks,
            None,
            "{situation}: a hook has failed\n{}",
            world.log()
        );
        assert_eq!(
            status.level,
            level,
            "{situation}: {}\n{}",
            status.message,
            world.log()
        );
        self.push(world, section, level, &status.message, situation);
    }

    /// Takes what some hook said on its way.
    pub(crate) fn take_said(&mut self, world: &LightWorld, message: &str, situation: &'static str) {
        let runs = world.juju.hook_runs().iter();
        let mut said = runs.flat_map(|run| &run.statuses);
        let found = said.find(|status| status.message == message);
        let found = found.unwrap_or_else(|| panic!("`{message}` was never said\n{}", world.log()));
        assert_eq!(found.level, "maintenance");
        self.push(world, Section::Passing, "maintenance", message, situation);
    }

    /// What the rows since the last such call say was done, one after the other, and now all is well.
    pub(crate) fn healed(&mut self, world: &LightWorld) {
        let rows = self.0.iter_mut().rev().take_while(|row| !row.is_healed);
        for row in rows {
            let (status, situation) = (world.status(), row.situation);
            let log = world.log();
            // With what there is to be glad of, and nothing to be done.
            let is_well =
                status == "active: " || status.starts_with("active: last good backup after ");
            assert!(is_well, "{situation} does not heal: {status}\n{log}");
            row.is_healed = true;
        }
    }

    /// The situations that say what to do, which nobody has tried.
    pub(crate) fn untried(&self) -> impl Iterator<Item = &'static str> {
        let untried = self
            .0
            .iter()
            .filter(|row| row.level == "blocked" && !row.is_healed);
        untried.map(|row| row.situation)
    }

    fn push(
        &mut self,
        world: &LightWorld,
        section: Section,
        level: &str,
        message: &str,
        situation: &'static str,
    ) {
        assert!(message.chars().count() <= LONGEST, "{situation}: {message}");
        assert!(
            !message.contains(char::is_control),
            "{situation}: {message:?}"
        );
        let settings = world.settings();
        for secret in [&settings.access_key, &settings.secret_key] {
            assert!(!message.contains(secret.as_str()), "{situation}: {message}");
        }
        self.0.push(Row {
            section,
            situation,
            level: level.to_owned(),
            message: timeless(&message.replace(&world.namespace, "my-model")),
            is_healed: false,
        });
    }
}

/// The message with another moment in the place of each, since the page must not change with the clock.
fn timeless(message: &str) -> String {
    const MOMENT: &str = "2026-11-28 14:05Z";
    const SHAPE: &str = "0000-00-00 00:00Z";
    let is_moment = |text: &str| {
        let shape = |c: char| if c.is_ascii_digit() { '0' } else { c };
        text.chars().map(shape).eq(SHAPE.chars())
    };
    let mut kept = String::new();
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        let moment = rest.split_at_checked(SHAPE.len());
        let moment = moment.filter(|(text, _)| is_moment(text));
        let (text, after) = moment.map_or_else(
            || rest.split_at(first.len_utf8()),
            |(_, after)| (MOMENT, after),
        );
        kept.push_str(text);
        rest = after;
    }
    kept
}

impl Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.replace('|', "\\|").replace('<', "&lt;");
        let Self {
            situation, level, ..
        } = self;
        write!(formatter, "| {situation} | {level} | {message} |")
    }
}
