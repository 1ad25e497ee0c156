//! What every step of one operation needs: the machine, the request, the choices, the locks.

use crate::host::Host;
use crate::transports::attachment::Subject;
use crate::transports::locks::Locks;
use crate::transports::settings::Settings;

use super::disconnect::presence;
use super::request::Request;

/// Shared by the threads of an operation, which may outlive the call.
pub struct Context {
    pub host: Host,
    pub request: Request,
    pub settings: Settings,
    pub locks: Locks,
    /// The open-iscsi interface records are made for.
    pub interface: String,
}

impl Context {
    pub fn new(host: &Host, request: Request, settings: Settings) -> Context {
        let locks = Locks::new(&host.root, &settings.lock_path);
        let interface = settings.interface.clone();
        Context { host: host.clone(), request, settings, locks, interface }
    }

    pub fn volumes(&self) -> Vec<String> {
        self.request.lock_names()
    }

    /// What is written down of an operation on the volume.
    pub fn subject(&self) -> Subject {
        let context = Context::new(&self.host, self.request.clone(), self.settings.clone());
        Subject {
            host: self.host.clone(),
            protocol: "iscsi",
            volume: self.volumes(),
            asked: self.request.asked.clone(),
            present: Box::new(move || presence(&context).disks),
        }
    }

    /// Whether the kernel's own TCP stack reaches the portals.  An offload adapter has its own, and iSER none.
    pub fn reaches_portals_by_tcp(&self) -> bool {
        self.interface == "default"
    }
}
