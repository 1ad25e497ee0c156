// SPDX-License-Identifier: Apache-2.0
//! `multipathd`'s command language (the same on its socket and its command line) and `multipath`.

use std::fs;

use crate::commands::Reply;
use crate::host::Host;
use crate::model::{Disk, Map};
use crate::wwids::{add_wwid, remove_wwid};

/// Words of a command; quotes keep spaces together.
pub fn words(command: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut quoted = false;
    let mut open = false;
    for letter in command.trim().chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                if quoted && !open {
                    words.push(String::new());
                    open = true;
                }
            }
            ' ' | '\t' if !quoted => open = false,
            _ => {
                if !open {
                    words.push(String::new());
                    open = true;
                }
                if let Some(word) = words.last_mut() {
                    word.push(letter);
                }
            }
        }
    }
    words
}

/// What multipathd answers to a command.
pub fn answer(host: &mut Host, words: &[String]) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let short: Vec<&str> = words
        .iter()
        .map(|word| match *word {
            "list" => "show",
            "remove" => "del",
            other => other,
        })
        .collect();
    match short.as_slice() {
        ["show", "status"] => status(host),
        ["show", "daemon"] => "pid 700 idle\n".to_owned(),
        ["show", "config", ..] => config(host),
        ["show", "paths", rest @ ..] => show_paths(host, rest),
        ["show", "maps" | "multipaths", rest @ ..] => show_maps(host, rest, None),
        ["show", "map" | "multipath", name, rest @ ..] => show_maps(host, rest, Some(name)),
        ["show", "topology"] => host.maps.values().map(|map| topology(host, map)).collect(),
        ["add", "path", name] => add_path(host, name),
        ["del", "path", name] => result(host.disks.contains_key(name.trim_start_matches("/dev/"))),
        ["add", "map", name] => result(host.find_map(name).is_some()),
        ["del", "map", name] => del_map(host, name),
        ["resize", "map", name] => match host.find_map(name).map(|map| map.wwid.clone()) {
            Some(wwid) => result(host.resize_map(&wwid).is_ok()),
            None => result(false),
        },
        ["reconfigure", ..] | ["reset", ..] => result(true),
        ["disablequeueing" | "restorequeueing", ..] => result(true),
        _ => result(false),
    }
}

fn result(done: bool) -> String {
    String::from(if done { "ok\n" } else { "fail\n" })
}

fn or_ok(text: String) -> String {
    if text.is_empty() { result(true) } else { text }
}

fn status(host: &Host) -> String {
    format!(
        "path checker states:\nup                  {}\n\npaths: {}\nbusy: False\n",
        host.disks.len(),
        host.disks.len()
    )
}

fn config(host: &Host) -> String {
    let find = if host.config.greedy { "off" } else { "on" };
    format!(
        "defaults {{\n\tverbosity 2\n\tpolling_interval 5\n\tpath_checker \"tur\"\n\tuser_friendly_names \"no\"\n\tfind_multipaths \"{find}\"\n}}\nblacklist {{\n\tdevnode \"^(vd|sr|fd|loop|nvme|md)\"\n}}\n"
    )
}

fn add_path(host: &mut Host, name: &str) -> String {
    let name = name.trim_start_matches("/dev/");
    let Some(wwid) = host.disks.get(name).map(Disk::wwid) else { return result(false) };
    if host.map_of(&wwid).is_some() {
        return result(host.join(name).is_ok());
    }
    if host.wanted(&wwid) {
        host.plan_map(&wwid);
    }
    result(true)
}

fn del_map(host: &mut Host, name: &str) -> String {
    let wwid = host.find_map(name).map(|map| map.wwid.clone());
    result(wwid.is_some_and(|wwid| host.flush_map(&wwid).is_ok()))
}

/// The format string of `[raw] format FORMAT`, or the default.
fn format_of<'a>(rest: &[&'a str], default: &'a str) -> &'a str {
    rest.iter()
        .position(|word| matches!(*word, "format" | "fmt"))
        .and_then(|at| rest.get(at + 1).copied())
        .unwrap_or(default)
}

fn show_paths(host: &Host, rest: &[&str]) -> String {
    let format = format_of(rest, "%w %i %d %D %t %o %T %s");
    let lines = host.disks.values().map(|disk| expand(format, |code| path_field(host, disk, code)));
    or_ok(lines.collect())
}

fn path_field(host: &Host, disk: &Disk, code: char) -> String {
    let in_map = host.map_of(&disk.wwid()).filter(|map| map.paths.contains(&disk.name()));
    match code {
        'd' => disk.name(),
        'D' => disk.dev(),
        'w' => disk.wwid(),
        'i' => disk.hctl(),
        'm' => in_map.map_or_else(|| "[orphan]".to_owned(), |map| map.wwid.clone()),
        't' => String::from(if in_map.is_some() { "active" } else { "undef" }),
        'T' => "ready".to_owned(),
        'o' => "running".to_owned(),
        'p' => "50".to_owned(),
        's' => "LIO-ORG,disk".to_owned(),
        'S' => human(disk.size),
        'z' => disk.naa[7..].to_owned(),
        'n' => disk.behind.node_name(),
        'c' => "tur".to_owned(),
        'a' => disk.behind.address(),
        '0' => "ok".to_owned(),
        _ => "[undef]".to_owned(),
    }
}

fn show_maps(host: &Host, rest: &[&str], only: Option<&str>) -> String {
    let wanted = only.and_then(|name| host.find_map(name)).map(|map| map.index);
    if only.is_some() && wanted.is_none() {
        return result(false);
    }
    let maps = host.maps.values().filter(|map| wanted.is_none_or(|index| index == map.index));
    if rest.first() == Some(&"topology") {
        return or_ok(maps.map(|map| topology(host, map)).collect());
    }
    let format = format_of(rest, "%n %d %w");
    or_ok(maps.map(|map| expand(format, |code| map_field(map, code))).collect())
}

fn map_field(map: &Map, code: char) -> String {
    match code {
        'n' | 'w' => map.wwid.clone(),
        'd' => map.node(),
        'F' => "immediate".to_owned(),
        'Q' => "off".to_owned(),
        'N' => map.paths.len().to_string(),
        'r' => "rw".to_owned(),
        't' => "active".to_owned(),
        'S' => human(map.size),
        'f' => "0".to_owned(),
        'x' | '0' | '1' | '2' | '3' | '4' => "0".to_owned(),
        's' => "LIO-ORG,disk".to_owned(),
        'v' => "LIO-ORG".to_owned(),
        'p' => "disk".to_owned(),
        _ => "[undef]".to_owned(),
    }
}

fn expand(format: &str, field: impl Fn(char) -> String) -> String {
    let mut line = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '%' => line.push_str(&letters.next().map(&field).unwrap_or_default()),
            other => line.push(other),
        }
    }
    line.push('\n');
    line
}

fn human(size: u64) -> String {
    const UNITS: [&str; 5] = ["K", "M", "G", "T", "P"];
    let mut value = size as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1}{}", UNITS[unit])
}

fn topology(host: &Host, map: &Map) -> String {
    let mut text = format!(
        "{} {} LIO-ORG,disk\nsize={} features='0' hwhandler='1 alua' wp=rw\n`-+- policy='service-time 0' prio=50 status=active\n",
        map.wwid,
        map.node(),
        human(map.size).replace(".0", "")
    );
    for (at, disk) in map.paths.iter().filter_map(|name| host.disks.get(name)).enumerate() {
        let edge = if at + 1 == map.paths.len() { "`-" } else { "|-" };
        text.push_str(&format!("  {edge} {} {} {} active ready running\n", disk.hctl(), disk.name(), disk.dev()));
    }
    text
}

/// What `multipath -l DISK` prints of the map over a disk, from the files of a generated tree.
pub fn listed_in_sysfs(argv: &[String]) -> Option<Reply> {
    let (option, disk) = (argv.get(1)?, argv.get(2)?.strip_prefix("/dev/")?);
    let names = |directory: String| -> Option<Vec<String>> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .ok()?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        Some(names)
    };
    let map = names(format!("/sys/block/{disk}/holders"))?.into_iter().next().filter(|_| option == "-l")?;
    let name = fs::read_to_string(format!("/sys/block/{map}/dm/name")).ok()?;
    let mut text = format!("{} {map} LIO-ORG,disk\nsize=1G features='0' hwhandler='1 alua' wp=rw\n", name.trim());
    text.push_str("`-+- policy='service-time 0' prio=0 status=active\n");
    for path in names(format!("/sys/block/{map}/slaves"))? {
        let hctl = fs::read_link(format!("/sys/block/{path}/device")).ok()?;
        let number = fs::read_to_string(format!("/sys/block/{path}/dev")).unwrap_or_default();
        let hctl = hctl.file_name()?.to_string_lossy().into_owned();
        text.push_str(&format!("  |- {hctl} {path} {} active undef running\n", number.trim()));
    }
    Some(Reply::out(&text))
}

/// The `multipathd` program: everything after its name is one command.
pub fn multipathd(host: &mut Host, argv: &[String]) -> Reply {
    let command = argv[1..].first().and_then(|word| word.strip_prefix("-k"));
    let text = match command {
        Some(command) => answer(host, &words(command)),
        None => answer(host, &argv[1..]),
    };
    let code = i32::from(text == "fail\n");
    Reply { code, stdout: text.into_bytes(), stderr: String::new() }
}

/// The `multipath` program.
pub fn multipath(host: &mut Host, argv: &[String]) -> Reply {
    let option = argv[1..].iter().find(|word| word.starts_with('-') && !word.starts_with("-v")).map(String::as_str);
    let name = argv[1..].iter().find(|word| !word.starts_with('-')).map_or("", String::as_str);
    match option {
        Some("-f") => match host.find_map(name).map(|map| map.wwid.clone()) {
            Some(wwid) if host.flush_map(&wwid).is_ok() => Reply::out(""),
            _ => Reply::error(1, &format!("{name} is not a multipath device\n")),
        },
        Some("-C") => Reply { code: i32::from(host.find_map(name).is_none()), ..Reply::out("") },
        Some("-a") => match add_wwid(name) {
            Ok(()) => Reply::out(&format!("wwid '{name}' added\n")),
            Err(error) => Reply::error(1, &format!("{error}\n")),
        },
        Some("-w") => {
            let wwid = host.disks.get(name.trim_start_matches("/dev/")).map_or_else(|| name.to_owned(), Disk::wwid);
            match remove_wwid(&wwid) {
                Ok(true) => Reply::out(&format!("wwid '{wwid}' removed\n")),
                _ => Reply::error(1, &format!("wwid '{wwid}' not in wwids file\n")),
            }
        }
        Some("-l" | "-ll") => list(host, name),
        Some("-c" | "-u") => {
            let known = host.disks.get(name.trim_start_matches("/dev/")).is_some_and(|disk| host.wanted(&disk.wwid()));
            Reply { code: i32::from(!known), ..Reply::out("") }
        }
        Some("-F") => {
            let wwids: Vec<String> = host.maps.values().map(|map| map.wwid.clone()).collect();
            let failed = wwids.iter().any(|wwid| host.flush_map(wwid).is_err());
            Reply { code: i32::from(failed), ..Reply::out("") }
        }
        _ => Reply::out(""),
    }
}

fn list(host: &Host, name: &str) -> Reply {
    let disk = host.disks.get(name.trim_start_matches("/dev/")).map(Disk::wwid);
    let chosen = host.maps.values().filter(|map| {
        name.is_empty()
            || map.node() == name.trim_start_matches("/dev/")
            || name.ends_with(&map.wwid)
            || disk.as_ref() == Some(&map.wwid)
    });
    Reply::out(&chosen.map(|map| topology(host, map)).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn quotes_keep_a_format_together() {
        assert_eq!(words("show paths raw format \"%d %w\""), ["show", "paths", "raw", "format", "%d %w"]);
        assert_eq!(words(" del  map x "), ["del", "map", "x"]);
    }
}
