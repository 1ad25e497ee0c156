// SPDX-License-Identifier: Apache-2.0
//! The fast simulated host.  Called as `simhost` it is the simulator; under another name it is that fake program.
//!
//! It must run in its own mount and network namespace, with nothing but tmpfs under /sys, /dev and /run: `enter.py`
//! prepares that.

mod client;
mod commands;
mod controls;
mod daemon;
mod device_mapper;
mod fabric;
mod fabrics;
mod floor;
mod fuse;
mod host;
mod iscsiadm;
mod kernel;
mod model;
mod multipath;
mod nvme;
mod records;
mod scale;
mod tree;
mod wwids;

use std::io::{self, Write};
use std::process::ExitCode;

use model::{Config, Kind};
use tree::Tree;

pub const WWIDS_HEAD: &str = "# Multipath wwids, Version : 1.0\n# NOTE: This file is automatically maintained by multipath and multipathd.\n# You should not need to edit this file in normal circumstances.\n#\n# Valid WWIDs:\n";

const USAGE: &str = "simhost daemon | tree --root DIR | floor | programs
  --kind iscsi|fc|nvme (iscsi)
  --portals N (4)     portals 127.0.1.1 to 127.0.1.N; ports of the array (fc), of each subsystem of a tree (nvme)
  --targets N (1)     targets iqn.2010-10.org.example:target-1 ...; subsystems (nvme)
  --volumes N (8)     LUNs of the daemon's targets; volumes of the tree or the floor
  --program-ms N (5)  --disk-ms N (20)  --map-ms N (50)  --join-ms N (10)
  --find-multipaths no|yes (no)   --single   the floor without multipath\n";

/// The value after `name` on the command line.
fn value(arguments: &[String], name: &str) -> Option<String> {
    let at = arguments.iter().position(|word| word == name)?;
    arguments.get(at + 1).cloned()
}

fn number(arguments: &[String], name: &str, default: u64) -> u64 {
    value(arguments, name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn config(arguments: &[String]) -> io::Result<Config> {
    let kind = value(arguments, "--kind").unwrap_or_else(|| "iscsi".to_owned());
    let kind = Kind::named(&kind).ok_or_else(|| io::Error::other(format!("--kind {kind} is not known")))?;
    let ms = |name, default| number(arguments, name, default) * 1_000_000;
    Ok(Config {
        portals: (1..=number(arguments, "--portals", 4)).map(|at| format!("127.0.1.{at}")).collect(),
        targets: (1..=number(arguments, "--targets", 1))
            .map(|at| format!("iqn.2010-10.org.example:target-{at}"))
            .collect(),
        last_lun: number(arguments, "--volumes", 8),
        program_ns: ms("--program-ms", 5),
        disk_ns: ms("--disk-ms", 20),
        map_ns: ms("--map-ms", 50),
        join_ns: ms("--join-ms", 10),
        kind,
        greedy: value(arguments, "--find-multipaths").is_none_or(|mode| mode == "no"),
        size: 1 << 30,
    })
}

fn simulator(arguments: &[String]) -> io::Result<ExitCode> {
    let config = config(arguments)?;
    match arguments.first().map_or("", String::as_str) {
        "daemon" => {
            let host = host::Host::new(config, Tree::new("/"));
            let mut daemon = daemon::Daemon::start(host)?;
            println_flushed("ready")?;
            daemon.serve()?;
        }
        "tree" => {
            let root = value(arguments, "--root").ok_or_else(|| io::Error::other("--root DIR is needed"))?;
            let shape = scale::Shape {
                volumes: config.last_lun as u32,
                portals: config.portals,
                targets: config.targets,
                size: config.size,
            };
            scale::generate(root.as_ref(), config.kind, &shape)?;
        }
        "floor" => {
            let single = arguments.iter().any(|word| word == "--single");
            let work = floor::Work {
                iqn: config.targets[0].clone(),
                kind: config.kind,
                portals: config.portals,
                volumes: config.last_lun,
                multipath: !single,
            };
            let (connect, disconnect) = floor::measure(&work)?;
            println_flushed(&format!("{connect:.6} {disconnect:.6}"))?;
        }
        "programs" => println_flushed(&commands::PROGRAMS.join("\n"))?,
        _ => {
            io::stderr().write_all(USAGE.as_bytes())?;
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn println_flushed(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

fn main() -> ExitCode {
    let argv: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let called = argv.first().map_or("", String::as_str);
    let name = called.rsplit('/').next().unwrap_or(called);
    if name != "simhost" {
        return client::run(name, &argv[1..]);
    }
    match simulator(&argv[1..]) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "simhost: {error}");
            ExitCode::FAILURE
        }
    }
}
