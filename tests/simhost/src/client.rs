// SPDX-License-Identifier: Apache-2.0
//! A fake program: hands its arguments to the daemon and prints what comes back.
//!
//! Without a daemon (on a generated tree) the commands that only read are answered from the files, and what is written is
//! only kept.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use crate::commands::{self, Reply};
use crate::host::{Request, now_ns};
use crate::{iscsiadm, multipath};

pub const SOCKET: &str = "/run/simhost/socket";
const ALONE: Duration = Duration::from_millis(5);

pub fn run(name: &str, arguments: &[String]) -> ExitCode {
    let start_ns = now_ns();
    let mut argv = vec![name.to_owned()];
    argv.extend_from_slice(arguments);
    let mut stdin = String::new();
    if name == "tee" && io::stdin().read_to_string(&mut stdin).is_err() {
        return ExitCode::from(1);
    }
    let reply = ask(&Request { start_ns, stdin: stdin.clone(), argv: argv.clone() });
    let reply = reply.unwrap_or_else(|_| alone(&argv, &stdin));
    let _ = io::stdout().write_all(&reply.stdout);
    let _ = io::stdout().flush();
    let _ = io::stderr().write_all(reply.stderr.as_bytes());
    ExitCode::from(reply.code as u8)
}

fn alone(argv: &[String], stdin: &str) -> Reply {
    std::thread::sleep(ALONE);
    let answer = match argv[0].as_str() {
        "iscsiadm" => iscsiadm::run_alone(argv),
        "multipath" => multipath::listed_in_sysfs(argv),
        "scsi_id" => commands::identity_in_sysfs(argv),
        "tee" => Some(commands::tee_alone(argv, stdin)),
        _ => None,
    };
    answer.unwrap_or_else(|| Reply::error(1, "the simulated host is not running\n"))
}

fn ask(request: &Request) -> io::Result<Reply> {
    let mut socket = UnixStream::connect(SOCKET)?;
    let mut payload = format!("{}\0{}", request.start_ns, request.stdin);
    for word in &request.argv {
        payload.push('\0');
        payload.push_str(word);
    }
    send(&mut socket, payload.as_bytes())?;
    let code = receive(&mut socket)?;
    let stdout = receive(&mut socket)?;
    let stderr = String::from_utf8_lossy(&receive(&mut socket)?).into_owned();
    Ok(Reply { code: String::from_utf8_lossy(&code).parse().unwrap_or(1), stdout, stderr })
}

/// One part: its length in four bytes, then the bytes.
pub fn send(socket: &mut UnixStream, part: &[u8]) -> io::Result<()> {
    let mut whole = (part.len() as u32).to_le_bytes().to_vec();
    whole.extend_from_slice(part);
    socket.write_all(&whole)
}

pub fn receive(socket: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let mut part = vec![0; u32::from_le_bytes(length) as usize];
    socket.read_exact(&mut part)?;
    Ok(part)
}
