//! `mdadm(8)`: mirrors over the replicas of a volume.

use std::path::Path;
use std::time::Duration;

use crate::error::Result;
use crate::host::Host;
use crate::host::act::runner::Command;
use crate::identifiers::DeviceName;

/// Stopping an array writes out what is dirty.
const STOP: Duration = Duration::from_secs(120);

fn names(legs: &[DeviceName]) -> Vec<String> {
    legs.iter().map(|leg| leg.dev_path().display().to_string()).collect()
}

/// `mdadm --examine LEG`: whether the device carries the metadata of an array.
pub fn is_leg(host: &Host, device: &DeviceName) -> Result<bool> {
    let path = device.dev_path().display().to_string();
    let output = host.runner.run(&Command::new("mdadm", ["--examine".to_owned(), path.clone()]).accept(&[0, 1]))?;
    Ok(output.stdout.lines().next().is_some_and(|line| line.trim_end() == format!("{path}:")))
}

/// `mdadm -C`: a mirror of legs that hold nothing, or all the same.
pub fn create(host: &Host, name: &str, legs: &[DeviceName]) -> Result<()> {
    let count = format!("--raid-devices={}", legs.len());
    let fixed = [
        "-C",
        name,
        "-R",
        "-N",
        name,
        "--level",
        "1",
        &count,
        "--bitmap=internal",
        "--homehost=any",
        "--failfast",
        "--assume-clean",
    ];
    let args = fixed.into_iter().map(str::to_owned).chain(names(legs));
    host.runner.run(&Command::new("mdadm", args)).map(drop)
}

/// `mdadm --assemble --run PATH LEG...`: also with fewer legs than the array has.
pub fn assemble(host: &Host, path: &Path, legs: &[DeviceName], read_only: bool) -> Result<()> {
    let mut args = vec!["--assemble".to_owned(), "--run".to_owned(), path.display().to_string()];
    if read_only {
        args.push("-o".to_owned());
    }
    args.extend(names(legs));
    host.runner.run(&Command::new("mdadm", args)).map(drop)
}

/// `mdadm --stop PATH`
pub fn stop(host: &Host, path: &Path) -> Result<()> {
    let args = ["--stop".to_owned(), path.display().to_string()];
    host.runner.run(&Command::new("mdadm", args).within(STOP)).map(drop)
}

/// `mdadm --grow --size max PATH`: as large as the smallest leg lets it be.
pub fn grow(host: &Host, path: &Path) -> Result<()> {
    let args = ["--grow".to_owned(), "--size".to_owned(), "max".to_owned(), path.display().to_string()];
    host.runner.run(&Command::new("mdadm", args)).map(drop)
}
