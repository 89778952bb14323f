use super::*;

fn refusal(command: &str) -> String {
    match Command::parse(command) {
        Ok(command) => panic!("{:?} passed", command.arguments()),
        Err(failure) => failure.to_string(),
    }
}

fn arguments(command: &str) -> Vec<String> {
    match Command::parse(command) {
        Ok(command) => command.arguments(),
        Err(failure) => panic!("`{command}`: {failure}"),
    }
}

#[test]
fn a_command_is_split_as_a_shell_does() {
    assert_eq!(
        arguments("backup create 'my backup' --selector app=\"a b\""),
        ["backup", "create", "my backup", "--selector=app=a b"]
    );
    assert_eq!(arguments("velero backup get"), ["backup", "get"]);
}

#[test]
fn text_of_a_command_is_never_expanded() {
    for text in [
        "$HOME", "${HOME}", "$(id)", "`id`", "~", "*", "a;b", "a|b", "a&&b",
    ] {
        let command = format!("backup describe '{text}'");
        assert_eq!(arguments(&command), ["backup", "describe", text]);
    }
    for word in ["$HOME", "~", "*"] {
        let command = format!("backup describe {word}");
        assert_eq!(arguments(&command), ["backup", "describe", word]);
    }
}

#[test]
fn flags_are_read_as_the_cli_reads_them() {
    for (words, wanted) in [
        ("--ttl 24h", vec!["--ttl=24h"]),
        ("--ttl=24h", vec!["--ttl=24h"]),
        ("--ttl=", vec!["--ttl="]),
        ("--wait x", vec!["x", "--wait"]),
        ("--wait=false", vec!["--wait=false"]),
        ("-w x", vec!["x", "--wait"]),
        ("-w=false", vec!["--wait=false"]),
        ("-wl app=x", vec!["--wait", "--selector=app=x"]),
        ("-wlapp=x", vec!["--wait", "--selector=app=x"]),
        ("-l=app=x", vec!["--selector=app=x"]),
        ("-ojson", vec!["--output=json"]),
        ("-o=json", vec!["--output=json"]),
        ("-o json", vec!["--output=json"]),
        ("-La -L b", vec!["--label-columns=a", "--label-columns=b"]),
        // What looks like a flag is a value where one is due.
        ("--selector --log_file=/x", vec!["--selector=--log_file=/x"]),
        ("--selector=-n", vec!["--selector=-n"]),
        ("-l -n x", vec!["x", "--selector=-n"]),
        ("--labels -- x", vec!["x", "--labels=--"]),
        ("-ov9", vec!["--output=v9"]),
        ("--snapshot-volumes x", vec!["x", "--snapshot-volumes"]),
        (
            "--include-namespaces n -",
            vec!["-", "--include-namespaces=n"],
        ),
        ("''", vec![""]),
        ("--help -h", vec!["--help", "--help"]),
    ] {
        let wanted: Vec<_> = ["backup", "create"].into_iter().chain(wanted).collect();
        assert_eq!(
            arguments(&format!("backup create {words}")),
            wanted,
            "{words}"
        );
    }
    let restore = "restore create --from-backup a --namespace-mappings a:b";
    assert_eq!(
        arguments(restore)[2..],
        ["--from-backup=a", "--namespace-mappings=a:b"]
    );
}

#[test]
fn programs_of_others_are_not_run() {
    assert!(refusal("  ").contains("is empty"));
    assert!(refusal("velero").contains("is empty"));
    assert!(refusal("backup 'x").contains("quote"));
    assert!(refusal("backup get a\0b").contains("NUL"));
    assert!(refusal(&format!("backup get {}", "x".repeat(70_000))).contains("64 KiB"));
    for command in [
        "install",
        "uninstall",
        "plugin add x",
        "--help",
        "-w backup get",
        "--ttl backup get",
        "-o x backup download left",
        "velero velero backup get",
        "'' backup get",
        "BACKUP get",
        "backups get",
        "get backup",
        "backup-location get",
        "__complete backup",
        "debug",
        "-- backup get",
    ] {
        assert!(refusal(command).contains("use `backup`"), "{command}");
    }
}

#[test]
fn the_verb_is_the_second_word_and_one_of_the_table() {
    for (command, told) in [
        (
            "backup",
            "follow it with `create`, `delete`, `describe`, `get`, `logs`",
        ),
        ("schedule ''", "follow it with `create`"),
        (
            "backup destroy x",
            "`backup destroy` is not for this action",
        ),
        ("backup Create x", "is not for this action"),
        ("backup pause x", "is not for this action"),
        ("restore download x", "is not for this action"),
        ("backup --help", "`backup --help` is not for this action"),
        (
            "backup -o x download left --output=/etc/passwd --force",
            "`backup -o` is not",
        ),
        (
            "backup --selector x download y",
            "`backup --selector` is not",
        ),
        ("backup --wait download y", "is not for this action"),
        ("backup - download", "is not for this action"),
        (
            "backup download x",
            "`backup download` is not allowed: the file would stay",
        ),
        (
            "backup download x --output=/x --force",
            "`backup download` is not allowed",
        ),
    ] {
        assert!(
            refusal(command).contains(told),
            "{command}: {}",
            refusal(command)
        );
    }
    arguments("backup create download");
    arguments("backup get delete");
}

#[test]
fn flags_never_lead_elsewhere() {
    for flag in [
        "-n x",
        "-nx",
        "-n=x",
        "-n",
        "-ln -n x",
        "-hn x",
        "-hnx",
        "--namespace x",
        "--namespace=x",
        "--namespace=",
        "--kubeconfig=/x",
        "--kubeconfig /x",
        "--kubecontext x",
        "--log_file=/x",
        "--log_file /x",
        "--log_dir=/x",
        "--alsologtostderr",
        "--alsologtostderr=true",
        "--logtostderr=false",
        "--vmodule=*=9",
        "--log_backtrace_at=x:1",
        "-v=9",
        "-v9",
        "-v 9",
        "--v=9",
        "--v 9",
        "-hv9",
        "--stderrthreshold=0",
        "--features=EnableCSI",
        "--colorized",
        "--colorized=true",
        "--",
        "-- x",
        "x -- --log_file=/x",
        "--=x",
        "---",
        "---log_file=/x",
        "--log-file=/x",
        "--Log_File=/x",
        "--names x",
        "-x",
        "-é",
        "-test.v",
        "--kubeconfig\n=/x",
        "--output",
        "-o",
    ] {
        let fault = refusal(&format!("backup get {flag}"));
        let is_told = ["is not allowed", "is not a flag", "needs a value"]
            .iter()
            .any(|words| fault.contains(words));
        assert!(is_told, "{flag}: {fault}");
    }
}

#[test]
fn flags_of_other_verbs_and_files_are_refused() {
    for (command, told) in [
        (
            "backup get --wait",
            "`--wait` is not a flag that `backup get` may have",
        ),
        ("backup create x --from-backup y", "is not a flag"),
        ("schedule create x --wait", "is not a flag"),
        ("backup create x --output-file=/x", "is not a flag"),
        (
            "backup describe x --cacert /etc/shadow",
            "`--cacert` is not allowed: it would be a file",
        ),
        (
            "backup logs x --cacert=/etc/shadow",
            "`--cacert` is not allowed",
        ),
        (
            "restore describe x --insecure-skip-tls-verify",
            "certificate is always checked",
        ),
        (
            "restore logs x --insecure-skip-tls-verify=true",
            "certificate is always checked",
        ),
        (
            "schedule pause --all",
            "`--all` is not allowed: it would reach the schedules of every",
        ),
        ("schedule unpause -l a=b", "`-l` is not allowed"),
    ] {
        assert!(
            refusal(command).contains(told),
            "{command}: {}",
            refusal(command)
        );
    }
    arguments("backup create x --resource-policies-configmap policies");
    arguments("restore create --from-backup x --resource-modifier-configmap changes");
    arguments("schedule pause daily");
}

#[test]
fn faults_are_told_all_at_once() {
    let fault = refusal("backup delete x -n other --log_file=/x --bogus -n other");
    assert_eq!(
        fault,
        "`-n` is not allowed: the charm works in the namespace of its model; `--log_file` is not \
         allowed: the CLI's own log is not for actions: it writes files in the charm's pod, and \
         shows addresses from which anybody can download the backup; `--bogus` is not a flag that \
         `backup delete` may have: leave it out; `delete` asks for confirmation, which an action \
         cannot give: add `--confirm`"
    );
    let many: Vec<_> = (0..40).map(|number| format!("--x{number}")).collect();
    let fault = refusal(&format!("backup get {}", many.join(" ")));
    assert!(fault.ends_with("; and 30 more"), "{fault}");
}

#[test]
fn delete_needs_its_confirmation() {
    for words in [
        "",
        "--confirm=false",
        "--confirm=0",
        "--confirm=maybe",
        "--confirm --confirm=false",
        "--selector --confirm",
        "--confirm=",
    ] {
        for kind in KINDS {
            let fault = refusal(&format!("{kind} delete x {words}"));
            assert!(fault.contains("add `--confirm`"), "{words}: {fault}");
        }
    }
    for words in [
        "--confirm",
        "--confirm=true",
        "--confirm=1",
        "--confirm=false --confirm=T",
    ] {
        arguments(&format!("backup delete x {words}"));
    }
}

#[test]
fn command_names_what_it_makes() {
    let creates = |command: &str| Command::parse(command).unwrap().creates("backup");
    assert!(creates("backup create a --wait"));
    assert!(creates("backup create --from-schedule daily"));
    assert!(creates("backup create a -o ''"));
    for command in [
        "backup create a -o json",
        "backup create a --help",
        "restore create --from-backup a",
        "backup get",
    ] {
        assert!(!creates(command), "{command}");
    }

    let described = |command: &str| {
        let command = Command::parse(command).unwrap();
        command.described_backup().map(ToOwned::to_owned)
    };
    assert_eq!(
        described("backup describe a --details").as_deref(),
        Some("a")
    );
    assert_eq!(described("backup describe a b"), None);
    assert_eq!(described("backup describe a -o json"), None);
    assert_eq!(described("restore describe a"), None);
}
