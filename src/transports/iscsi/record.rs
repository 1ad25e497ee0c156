//! The node record a login needs, with the credentials in it.
//!
//! `iscsiadm --op new` makes the first record of an interface, with iscsid.conf's defaults; the records after it are
//! that one with another name and portal.  Settings are written into the file (mode 0600): one step instead of a
//! command for each, and no secret in an argument list.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use log::debug;

use crate::error::{Error, Result};
use crate::host::act::files;
use crate::host::programs::iscsiadm::{self, Setting, Value};
use crate::host::view::node_record::{self, NodeRecord};
use crate::host::{Host, attribute, wait};
use crate::log::ISCSI;

use super::operation::Context;
use super::request::{Credentials, Target};
use super::templates::{self, Task};

/// With one try a login that hangs ends after `login_timeout` (15 s) instead of 8 times that.
const ONE_TRY: &str = "1";
const RETRIES: &str = "node.session.initial_login_retry_max";
/// Where neither record nor iscsid.conf names it.
const TRIES_OF_ISCSID: &str = "8";

/// How long the database may be busy.
const DATABASE: Duration = Duration::from_secs(10);

/// A record as it was before the login, to be put right after it.
pub struct Prepared {
    /// Files whose number of tries was lowered, with the text they are to have.
    restore: Vec<(PathBuf, String)>,
}

/// Makes or completes the record of a portal.
pub fn prepare(context: &Context, target: &Target) -> Result<Prepared> {
    if !context.host.runner.is_direct() {
        return by_commands(context, target).map(|()| Prepared { restore: Vec::new() });
    }
    let host = &context.host;
    let existing = node_record::of_portal(&host.root, &target.portal, &target.iqn);
    let files = if existing.is_empty() {
        new_record(context, target)?
    } else {
        with_texts(host, existing.into_iter().flat_map(|record| record.files))?
    };
    let mut restore = Vec::new();
    for (file, text) in files {
        let tries = tries_before_a_kill(host, &text);
        let mut wanted = settings(context.request.credentials.as_ref());
        wanted.extend(tries.as_deref().map(|tries| (RETRIES, tries)));
        let wanted = node_record::with_settings(&text, &wanted);
        let for_login = node_record::with_settings(&wanted, &[(RETRIES, ONE_TRY)]);
        write(host, &file, &for_login)?;
        restore.push((file, wanted));
    }
    Ok(Prepared { restore })
}

impl Prepared {
    /// After the login: at the next boot iscsid tries as often as the operator configured.
    pub fn settle(self, host: &Host) {
        for (file, text) in self.restore {
            // A record that was deleted meanwhile stays deleted.
            if attribute::is_file(&host.root.path(&file))
                && let Err(error) = write(host, &file, &text)
            {
                debug!(target: ISCSI, "{}", error.describe());
            }
        }
    }
}

/// Records and discovery records lie below the database's directory: `/etc/iscsi/nodes`, `/etc/iscsi/send_targets`.
pub fn write(host: &Host, file: &Path, text: &str) -> Result<()> {
    files::write_secret(&host.root, file, text, scratch_of(file))
}

fn scratch_of(file: &Path) -> &Path {
    let home =
        file.ancestors().find(|place| place.file_name().is_some_and(|name| name == "nodes" || name == "send_targets"));
    home.and_then(Path::parent).unwrap_or(Path::new("/etc/iscsi"))
}

/// A record whose attach was killed before it could `settle` says one try still; then iscsid.conf tells the number.
fn tries_before_a_kill(host: &Host, text: &str) -> Option<String> {
    if !node_record::says_attach(text) || node_record::setting(text, RETRIES) != Some(ONE_TRY) {
        return None;
    }
    let configuration = attribute::text(&host.root.path("/etc/iscsi/iscsid.conf")).unwrap_or_default();
    Some(node_record::setting(&configuration, RETRIES).unwrap_or(TRIES_OF_ISCSID).to_owned())
}

/// `manual` scan: only the LUN asked for becomes a disk.  `automatic` startup: after a reboot of the host the session
/// is there again before the service that uses it.
fn settings(credentials: Option<&Credentials>) -> Vec<(&'static str, &str)> {
    let mut settings = vec![("node.session.scan", "manual"), ("node.startup", "automatic")];
    if let Some(credentials) = credentials {
        settings.push(("node.session.auth.authmethod", &credentials.method));
        settings.push(("node.session.auth.username", &credentials.username));
        settings.push(("node.session.auth.password", credentials.password.reveal()));
    }
    settings
}

fn with_texts(host: &Host, files: impl Iterator<Item = PathBuf>) -> Result<Vec<(PathBuf, String)>> {
    files
        .filter_map(|file| node_record::read(&host.root, &file).map(|text| text.map(|text| (file, text))).transpose())
        .collect()
}

fn new_record(context: &Context, target: &Target) -> Result<Vec<(PathBuf, String)>> {
    let host = &context.host;
    let deadline = Instant::now() + DATABASE;
    let task = templates::take(template_key(context), deadline);
    if let (Task::Fill(text), Some(home)) = (&task, home_of(host)) {
        let port = target.portal.port().to_string();
        let address = target.portal.address();
        let text = node_record::with_settings(
            text,
            &[("node.name", target.iqn.as_str()), ("node.conn[0].address", &address), ("node.conn[0].port", &port)],
        );
        let file = home.join(target.iqn.as_str()).join(format!("{address},{port}"));
        return Ok(vec![(file, text)]);
    }
    create(context, target, deadline)?;
    let made = node_record::of_portal(&host.root, &target.portal, &target.iqn);
    let texts = with_texts(host, made.iter().flat_map(|record| record.files.clone()))?;
    let Some((_, text)) = texts.first() else {
        let reason = format!("iscsiadm made no record for {target} that could be found");
        return Err(Error::Io { verb: "read", path: PathBuf::from("/etc/iscsi/nodes"), reason });
    };
    if let (Task::Make(making), false) = (task, made.iter().any(NodeRecord::is_from_discovery)) {
        making.made(text.clone());
    }
    Ok(texts)
}

/// Many processes making records at once get the database busy (exit code 6): tried again for a while.
fn create(context: &Context, target: &Target, deadline: Instant) -> Result<()> {
    let mut busy = None;
    let made = wait::until(deadline, || {
        match iscsiadm::new_record(&context.host, &target.portal, &target.iqn, &context.interface) {
            Ok(()) => Ok(Some(())),
            Err(error) if error.exit_code() == Some(iscsiadm::ERR_IDBM) => {
                busy = Some(error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    })?;
    match (made, busy) {
        (None, Some(error)) => Err(error),
        _ => Ok(()),
    }
}

/// A template holds as long as iscsid.conf and the interface are what they were.
fn template_key(context: &Context) -> templates::Key {
    let root = &context.host.root;
    let mut state = Vec::new();
    for file in ["/etc/iscsi/iscsid.conf".to_owned(), format!("/etc/iscsi/ifaces/{}", context.interface)] {
        state.extend(attribute::read_bytes(&root.path(&file)).ok().flatten().unwrap_or_default());
        state.push(0);
    }
    (root.path("/"), context.interface.clone(), state)
}

/// Where this host keeps its records, if it has any yet.
fn home_of(host: &Host) -> Option<&'static Path> {
    node_record::HOMES.iter().map(Path::new).find(|home| attribute::is_dir(&host.root.path(home)))
}

/// With the caller's own `execute=`: the same by commands, all settings in one.
fn by_commands(context: &Context, target: &Target) -> Result<()> {
    // `--op new` would reset the settings of a record that is there.
    if !iscsiadm::has_record(&context.host, &target.portal, &target.iqn)? {
        create(context, target, Instant::now() + DATABASE)?;
    }
    let mut settings = vec![
        Setting { name: "node.session.scan", value: Value::Plain("manual") },
        Setting { name: "node.startup", value: Value::Plain("automatic") },
    ];
    if let Some(credentials) = &context.request.credentials {
        settings.push(Setting { name: "node.session.auth.authmethod", value: Value::Plain(&credentials.method) });
        settings.push(Setting { name: "node.session.auth.username", value: Value::Plain(&credentials.username) });
        settings.push(Setting { name: "node.session.auth.password", value: Value::Secret(&credentials.password) });
    }
    iscsiadm::update_record(&context.host, &target.portal, &target.iqn, &settings)
}

/// Takes a portal's record away.  One made by `--op new` is a file; one made by discovery has links elsewhere.
pub fn remove(host: &Host, target: &Target) -> Result<()> {
    let records = node_record::of_portal(&host.root, &target.portal, &target.iqn);
    if !host.runner.is_direct() || records.iter().any(NodeRecord::is_from_discovery) {
        iscsiadm::delete_record(host, &target.portal, &target.iqn)?;
    }
    if host.runner.is_direct() {
        for record in records.iter().filter(|record| !record.is_from_discovery()) {
            files::remove(&host.root, &record.place)?;
            files::remove_unfinished(&host.root, &record.place, scratch_of(&record.place))?;
            if let Some(directory) = record.place.parent() {
                files::remove_empty(&host.root, directory);
            }
        }
    }
    Ok(())
}
