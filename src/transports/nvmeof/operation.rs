//! What every step of one operation needs: the machine, the request, the choices, the locks.

use crate::host::Host;
use crate::host::act::lock::Place;
use crate::host::view::nvme_core;
use crate::identifiers::{FabricPortal, Nqn};
use crate::transports::attachment::Subject;
use crate::transports::locks::Locks;
use crate::transports::settings::Settings;

use super::paths;
use super::request::{Request, Target};

/// Shared by the threads of an operation, which may outlive the call.
pub struct Context {
    pub host: Host,
    pub request: Request,
    pub settings: Settings,
    pub locks: Locks,
    /// The name of this host, where a target names no other.
    host_nqn: Option<Nqn>,
}

impl Context {
    pub fn new(host: &Host, request: Request, settings: Settings) -> Context {
        let locks = Locks::new(&host.root, &settings.lock_path);
        Context { host_nqn: nvme_core::host_nqn(&host.root), host: host.clone(), request, settings, locks }
    }

    /// What is written down of an operation on the volume.
    pub fn subject(&self) -> Subject {
        let context = Context::new(&self.host, self.request.clone(), self.settings.clone());
        Subject {
            host: self.host.clone(),
            protocol: "nvmeof",
            volume: self.volumes(),
            asked: self.request.asked.clone(),
            present: Box::new(move || paths::devices(&context)),
        }
    }

    pub fn volumes(&self) -> Vec<String> {
        self.request.lock_names()
    }

    /// Whether all portals are connected, and the kernel joins their paths.
    pub fn is_multipath(&self) -> bool {
        self.settings.use_multipath && nvme_core::is_multipath(&self.host.root)
    }

    /// The name this host has for a target.
    pub fn host_nqn<'a>(&'a self, target: &'a Target) -> Option<&'a Nqn> {
        target.host_nqn.as_ref().or(self.host_nqn.as_ref())
    }

    /// What is locked to connect to a portal of a subsystem or to hang up.
    pub fn connection(&self, target: &Target, portal: &FabricPortal) -> Place {
        self.locks.session(&portal.key(), target.nqn.as_str())
    }
}
