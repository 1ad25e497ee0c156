//! The engine's behaviour on a pretend machine, and its parsers on everything.
//!
//! Test names begin with the rows of the bug ledger they keep (`ic_22` is IC-22).

#![allow(clippy::disallowed_methods, reason = "tests are the machine: they make its files and let its time pass")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "shared with the benches")]
mod support;

mod attachment_records;
mod caller;
mod check;
mod clean;
mod connect_multipath;
mod connect_single;
mod dead_portals;
mod detach;
mod extend;
mod failures;
mod fc_check;
mod fc_connect;
mod fc_detach;
mod fc_machines;
mod fc_requests;
mod fc_scan;
mod fc_waiting;
mod file_properties;
mod first_maps;
mod flush;
mod identity;
mod inventory;
mod links;
mod locks;
mod luns;
mod multipathd_socket;
mod nameless;
mod nvmeof_check;
mod nvmeof_connect;
mod nvmeof_detach;
mod nvmeof_extend;
mod nvmeof_lookup;
mod nvmeof_properties;
mod nvmeof_raid;
mod nvmeof_requests;
mod nvmeof_vacancy;
mod orphans;
mod parsers;
mod programs;
mod properties;
mod records;
mod requests;
mod scenarios;
mod waiting;
mod wwids;

/// First by its name: what only waits does so beside everything else.
#[test]
fn a_beginning() {
    waiting::begin();
}
