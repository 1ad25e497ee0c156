//! Properties of what is read from files others write, and of answers that are bytes: 10,000 inputs each.

use std::path::Path;

use os_brick_engine::host::act::inquiry::{Answer, refusal};
use os_brick_engine::host::act::runner::Command;
use os_brick_engine::host::act::wwids;
use os_brick_engine::host::programs::dmsetup::parse_open_counts;
use os_brick_engine::host::root::Root;
use os_brick_engine::host::view::{attachment_record, links, mounts, node_record};
use os_brick_engine::identifiers::{Secret, Wwid};
use proptest::prelude::*;

use crate::properties::{any_text, config};

/// A machine of one file for each test; each input takes the place of the one before.
struct OneFile(tempfile::TempDir);

impl OneFile {
    fn new() -> OneFile {
        OneFile(tempfile::tempdir().expect("a temporary directory can be made"))
    }

    fn root(&self) -> Root {
        Root::at(self.0.path())
    }

    fn holding(&self, path: &str, content: &[u8]) -> Root {
        let place = self.root().path(path);
        std::fs::create_dir_all(place.parent().expect("a file has a directory")).expect("the tree is ours");
        std::fs::write(place, content).expect("the tree is ours");
        self.root()
    }

    fn text(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.root().path(path)).expect("it was written")
    }
}

/// The machine stays with its thread, which runs one test.
macro_rules! on_one_file {
    ($machine:ident => $work:expr) => {{
        thread_local!(static MACHINE: OneFile = OneFile::new());
        MACHINE.with(|$machine| $work)
    }};
}

/// The name of an encrypted volume's link, as `os_brick/encrypted_link.py` makes it.
fn link_name(path: &str) -> String {
    let mut name = "os-brick".to_owned();
    for (place, character) in path.char_indices() {
        let is_ambiguous = || ["=2B", "=3D"].iter().any(|code| path[place..].starts_with(code));
        match character {
            '/' => name.push('+'),
            '+' => name += "=2B",
            '=' if is_ambiguous() => name += "=3D",
            plain => name.push(plain),
        }
    }
    name
}

proptest! {
    #![proptest_config(config())]

    /// Every line of the identity becomes a comment; nothing else changes by a byte.
    #[test]
    fn any_file_of_identities_loses_the_one(
        lines in proptest::collection::vec(prop_oneof![2 => Just("/36001/".to_owned()), 1 => "[ -~]{0,12}", 1 => "/?36001[0-9]?/[ x]{0,2}"], 0..6),
        ends in any::<bool>(),
    ) {
        const FILE: &str = "/etc/multipath/wwids";
        let text = lines.join("\n") + if ends { "\n" } else { "" };
        let wwid = Wwid::from_udev("36001").expect("it is one");
        let left = on_one_file!(machine => {
            wwids::remove(&machine.holding(FILE, text.as_bytes()), &wwid).expect("the file is there");
            String::from_utf8(machine.text(FILE)).expect("it was text")
        });
        let expected: Vec<String> = text
            .split('\n')
            .map(|line| if line.trim_ascii_end() == "/36001/" { line.replacen('/', "#", 1) } else { line.to_owned() })
            .collect();
        prop_assert_eq!(left, expected.join("\n"));
    }

    #[test]
    fn any_table_of_mounts_is_read(
        text in prop_oneof![any_text(), "([0-9]{1,2} [0-9]{1,2} [0-9]:[0-9] / (/[ -~]{0,6}|\\\\[0-9]{0,3}) rw( [a-z:0-9]{1,5})? - [a-z]{2,4} (/dev/[ -~]{0,6}|x) rw\n){0,3}"],
    ) {
        let found = on_one_file!(machine => mounts::all(&machine.holding("/proc/self/mountinfo", text.as_bytes())));
        prop_assert!(found.len() <= text.lines().count());
    }

    #[test]
    fn any_attachment_record_is_read_or_none(
        text in prop_oneof![any_text(), "\\{(\"(state|protocol|volume|time|made|asked)\": ?(\"[a-z]{0,9}\"|[0-9]{1,20}|\\[\\]|\\{\\}|null),?){0,6}\\}"],
    ) {
        on_one_file!(machine => {
            let root = machine.holding("/records/iscsi.json", text.as_bytes());
            drop(attachment_record::read(&root, Path::new("/records"), "iscsi.json"));
        });
    }

    #[test]
    fn any_record_file_is_a_record_of_its_name(
        name in "[0-9.:]{1,12},[0-9]{1,6}(,[0-9]{1,2})?|[!-.0-~]{1,16}",
        text in any_text(),
    ) {
        prop_assume!(name != "." && name != "..");
        let iqn = "iqn.a".parse().expect("a name");
        let found = on_one_file!(machine => {
            let place = format!("/etc/iscsi/nodes/iqn.a/{name}");
            let root = machine.holding(&place, text.as_bytes());
            let found = node_record::of_target(&root, &iqn);
            let _ = found.iter().filter(|record| record.is_of_attach(&root)).count();
            std::fs::remove_file(root.path(&place)).expect("it was written");
            found
        });
        prop_assert!(found.len() <= 1);
        prop_assert!(found.iter().all(|record| record.place.ends_with(&name) && record.files == [record.place.clone()]));
    }

    /// the name leads back to the path, whatever stands in it.
    #[test]
    fn x_12_the_link_of_an_encrypted_volume_names_its_path(path in "(/[a-zA-Z0-9=+_.-]{1,8}|/(=2B|=3D|\\+){1,3}){1,3}") {
        let held = on_one_file!(machine => {
            let link = machine.root().path(Path::new("/dev/disk/by-id").join(link_name(&path)));
            std::fs::create_dir_all(link.parent().expect("it has one")).expect("the tree is ours");
            std::os::unix::fs::symlink("/dev/null", &link).expect("the name is new");
            let found = links::encrypted(&machine.root());
            std::fs::remove_file(link).expect("it was made");
            found.into_iter().map(|(_, held)| held.display().to_string()).collect::<Vec<_>>()
        });
        prop_assert_eq!(held, [path]);
    }

    #[test]
    fn any_sense_is_understood_or_told(sense in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(answer) = refusal(&sense) {
            prop_assert_eq!(answer, Answer::NoUnit);
            prop_assert!(sense.contains(&0x25));
        }
    }

    #[test]
    fn any_table_of_open_devices_is_read(text in prop_oneof![any_text(), "(dm-[0-9]{1,3} ?= ?-?[0-9]{0,12}\n){0,4}"]) {
        prop_assert!(parse_open_counts(&text).len() <= text.lines().count());
    }

    /// SE-07: whatever a program or a caller's callable says of the command.
    #[test]
    fn se_07_a_text_about_a_command_is_masked(before in any_text(), secret in "[!-~]{4,16}", after in any_text()) {
        prop_assume!(!"***".contains(&secret));
        let command = Command::new("iscsiadm", ["-v"]).secret(&Secret::new(secret.clone()));
        let masked = command.masked(&format!("{before} {secret} {after}"));
        prop_assert!(masked.contains("***"));
        prop_assert!(!masked.contains(&secret) || secret.contains("**"), "{}", masked);
    }
}
