//! How the engine itself runs programs: deadlines, outputs, failures that tell the whole story.

use std::time::{Duration, Instant};

use os_brick_engine::error::{CommandFailure, Error, Result};
use os_brick_engine::host::act::runner::{Command, Direct, Output, Runner};
use os_brick_engine::host::wait;
use os_brick_engine::identifiers::Secret;

use crate::check::timed;

/// Much longer than anything here takes on a machine that is very busy, and shorter than what never ends.
const AGES: Duration = Duration::from_secs(120);

fn shell(script: &str) -> Command {
    Command::new("sh", ["-c", script]).within(AGES)
}

fn run(command: &Command) -> Result<Output> {
    Direct.run(command)
}

/// A script that says who it is and does not end.  It is ended, and nothing is left of it.
#[track_caller]
fn check_ended(script: &str) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let file = directory.path().join("pid");
    let script = format!("{script} echo $$ > {}; exec sleep 600", file.display());
    let limit = Duration::from_secs(5);
    let (outcome, took) = timed(|| run(&shell(&script).within(limit)));
    assert_eq!(outcome, Err(Error::CommandTimeout { argv: format!("sh -c {script}"), after: limit }));
    assert!(took.own < AGES, "{took:?}");
    let pid = std::fs::read_to_string(file).expect("it ran");
    let is_gone = || !std::path::Path::new("/proc").join(pid.trim()).exists();
    assert!(wait::until_true(Instant::now() + AGES, is_gone), "{pid} is still there");
}

#[test]
fn px_03_a_program_that_does_not_end_is_ended() {
    check_ended("");
}

#[test]
fn px_03_a_program_that_ignores_the_signal_is_killed() {
    check_ended("trap '' TERM;");
}

#[test]
fn se_07_a_timeout_does_not_tell_the_secret() {
    let command = Command::new("sh", ["-c", "exec sleep 600", "sh"]).secret(&Secret::new("hunter2"));
    let error = run(&command.within(Duration::from_millis(200))).expect_err("it does not end");
    assert_eq!(error.to_string(), "sh -c exec sleep 600 sh *** did not finish within 200ms");
}

/// ID-12 and all others that name what a program said.
#[test]
fn a_failure_tells_arguments_code_and_both_outputs() {
    let failure = CommandFailure {
        argv: "sh -c echo out; echo err >&2; exit 3".to_owned(),
        code: Some(3),
        stdout: "out\n".to_owned(),
        stderr: "err\n".to_owned(),
    };
    let command = shell("echo out; echo err >&2; exit 3");
    assert_eq!(run(&command), Err(Error::Command(Box::new(failure.clone()))));
    let accepted = Output { code: Some(3), stdout: failure.stdout, stderr: failure.stderr };
    assert_eq!(run(&command.accept(&[0, 3])), Ok(accepted));
}

#[test]
fn se_07_a_failure_does_not_tell_the_secret() {
    let command = Command::new("sh", ["-c", "echo got $1; echo bad $1 >&2; exit 1", "sh"]);
    let error = run(&command.secret(&Secret::new("hunter2"))).expect_err("it failed");
    let Error::Command(failure) = &error else { panic!("{error:?}") };
    assert_eq!((failure.stdout.as_str(), failure.stderr.as_str()), ("got ***\n", "bad ***\n"));
    assert!(failure.argv.ends_with(" sh ***"), "{failure:?}");
    assert!(!format!("{error:?} {error} {}", error.describe()).contains("hunter2"));
}

#[test]
fn px_02_a_program_that_is_not_there_is_a_failed_command() {
    let error = run(&Command::new("os-brick-has-no-such-program", ["-x"])).expect_err("it is not there");
    let Error::Command(failure) = &error else { panic!("{error:?}") };
    assert_eq!((failure.argv.as_str(), failure.code), ("os-brick-has-no-such-program -x", None));
    assert!(failure.stderr.starts_with("cannot start: "), "{failure:?}");
}

#[test]
fn a_program_that_was_killed_is_a_failed_command() {
    let error = run(&shell("kill -9 $$")).expect_err("it was killed");
    assert_eq!(error.exit_code(), Some(-9));
}

/// More than a pipe holds, on both, and nothing to read.
#[test]
fn px_06_outputs_of_every_size_and_kind_are_taken() {
    let output = run(&shell("seq 1 100000; seq 1 100000 >&2; cat; printf '\\377'")).expect("it succeeds");
    assert_eq!(output.stdout.lines().count(), 100_001);
    assert_eq!(output.stderr.lines().last(), Some("100000"));
    assert!(output.stdout.ends_with('\u{fffd}'));
}
