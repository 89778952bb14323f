//! The user's words for the Velero CLI.
//!
//! **Invariant:** what passes acts on this namespace only, asks nothing back and reads no
//! configuration of its own.

use super::Failure;

/// What may be run.
const COMMANDS: [&str; 3] = ["backup", "restore", "schedule"];

/// Flags that would aim the CLI elsewhere.
const AIMING: [&str; 3] = ["namespace", "kubeconfig", "kubecontext"];

/// One-letter flags that take a value: what follows in the same word is that value.
const WITH_VALUE: [char; 3] = ['l', 'o', 'v'];

/// Words that the CLI may be started with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Words(Vec<String>);

impl Words {
    /// Splits a command as a shell does, and refuses what is not for an action.
    pub(crate) fn parse(command: &str) -> Result<Self, Failure> {
        let mut words = shell_words::split(command)
            .map_err(|_| refused("`command` has an opening quote without a closing one"))?;
        if words.first().is_some_and(|word| word == "velero") {
            words.remove(0);
        }
        let Some(first) = words.first() else {
            return Err(refused(
                "`command` is empty: give a Velero command such as `backup get`",
            ));
        };
        if !COMMANDS.contains(&first.as_str()) {
            return Err(refused(format!(
                "`{first}` is not for this action: use `{}`",
                COMMANDS.join("`, `")
            )));
        }
        words.iter().try_for_each(|word| check_flag(word))?;
        check_subcommand(&words)?;
        Ok(Self(words))
    }

    pub(crate) fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// The command that shows how the thing that was started is doing, if it has a name.
    pub(crate) fn follow_up(&self) -> Option<String> {
        let mut plain = self.0.iter().filter(|word| !word.starts_with('-'));
        let (kind, verb, name) = (plain.next()?, plain.next()?, plain.next()?);
        (verb == "create").then(|| format!("{kind} describe {name}"))
    }
}

fn check_flag(word: &str) -> Result<(), Failure> {
    if word == "--" {
        return Err(refused(
            "`--` is not allowed: it would end the flags that the charm adds",
        ));
    }
    if let Some(long) = word.strip_prefix("--") {
        let name = long.split('=').next().unwrap_or(long);
        if AIMING.contains(&name) {
            return Err(elsewhere(&format!("--{name}")));
        }
        return Ok(());
    }
    let Some(cluster) = word.strip_prefix('-') else {
        return Ok(());
    };
    let flags = cluster.chars().take_while(|letter| *letter != '=');
    for letter in flags {
        if letter == 'n' {
            return Err(elsewhere("-n"));
        }
        if WITH_VALUE.contains(&letter) {
            break;
        }
    }
    Ok(())
}

fn check_subcommand(words: &[String]) -> Result<(), Failure> {
    let mut plain = words
        .iter()
        .filter(|word| !word.starts_with('-'))
        .map(String::as_str);
    match (plain.next(), plain.next()) {
        (Some("backup"), Some("download")) => Err(refused(
            "`backup download` is not allowed: the file would stay in the charm's pod",
        )),
        (_, Some("delete")) if !words.iter().any(|word| is_confirmation(word)) => Err(refused(
            "`delete` asks for confirmation, which an action cannot give: add `--confirm`",
        )),
        _ => Ok(()),
    }
}

fn is_confirmation(word: &str) -> bool {
    matches!(word, "--confirm" | "--confirm=true")
}

fn elsewhere(flag: &str) -> Failure {
    refused(format!(
        "`{flag}` is not allowed: the charm works in the namespace of its model"
    ))
}

fn refused(text: impl Into<String>) -> Failure {
    Failure::Refused(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(command: &str) -> String {
        match Words::parse(command) {
            Ok(words) => panic!("{words:?} passed"),
            Err(failure) => failure.to_string(),
        }
    }

    fn words(command: &str) -> Vec<String> {
        Words::parse(command).unwrap().0
    }

    #[test]
    fn a_command_is_split_as_a_shell_does() {
        assert_eq!(
            words("backup create 'my backup' --selector app=\"a b\""),
            ["backup", "create", "my backup", "--selector", "app=a b"]
        );
        assert_eq!(words("velero backup get"), ["backup", "get"]);
    }

    #[test]
    fn nothing_else_is_run() {
        assert!(refusal("  ").contains("is empty"));
        assert!(refusal("backup 'x").contains("quote"));
        for command in [
            "install",
            "uninstall",
            "plugin add x",
            "--help",
            "-w backup get",
        ] {
            assert!(refusal(command).contains("use `backup`"), "{command}");
        }
    }

    #[test]
    fn no_flag_leads_elsewhere() {
        for flag in [
            "-n x",
            "-nx",
            "-n=x",
            "-wn x",
            "-wnx",
            "--namespace x",
            "--namespace=x",
            "--kubeconfig=/x",
            "--kubecontext x",
            "--",
            "-hn",
        ] {
            assert!(
                refusal(&format!("backup get {flag}")).contains("not allowed"),
                "{flag}"
            );
        }
    }

    #[test]
    fn flags_that_only_look_alike_pass() {
        for flag in [
            "--namespace-mappings a:b",
            "--include-namespaces n",
            "-lapp=nginx",
            "-l n=n",
            "-ojson",
            "-w",
            "--selector=-n",
        ] {
            words(&format!("restore create {flag}"));
        }
    }

    #[test]
    fn what_asks_back_or_leaves_files_is_refused() {
        assert!(refusal("backup delete x").contains("--confirm"));
        assert!(refusal("schedule delete x --confirm=false").contains("--confirm"));
        assert!(refusal("backup --x download y").contains("download"));
        words("backup delete x --confirm");
        words("backup create download");
    }

    #[test]
    fn what_was_created_can_be_followed() {
        let follow_up = |command| Words::parse(command).unwrap().follow_up();

        assert_eq!(
            follow_up("backup create a --wait").unwrap(),
            "backup describe a"
        );
        assert_eq!(
            follow_up("restore --wait create b").unwrap(),
            "restore describe b"
        );
        assert_eq!(follow_up("backup logs a"), None);
        assert_eq!(follow_up("restore create --from-backup=a"), None);
    }
}
