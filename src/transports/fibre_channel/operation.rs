//! What every step of one operation needs: the machine, the request, the choices, the locks.

use crate::host::Host;
use crate::transports::attachment::Subject;
use crate::transports::locks::Locks;
use crate::transports::settings::Settings;

use super::disconnect;
use super::fabric::Fabric;
use super::request::Request;

/// Shared by the threads of an operation, which may outlive the call.
#[derive(Clone)]
pub struct Context {
    pub host: Host,
    pub request: Request,
    pub settings: Settings,
    pub locks: Locks,
}

impl Context {
    pub fn new(host: &Host, request: Request, settings: Settings) -> Context {
        let locks = Locks::new(&host.root, &settings.lock_path);
        Context { host: host.clone(), request, settings, locks }
    }

    /// What is written down of an operation on the volume.
    pub fn subject(&self) -> Subject {
        let context = self.clone();
        Subject {
            host: self.host.clone(),
            protocol: "fibre_channel",
            volume: self.volumes(),
            asked: self.request.asked.clone(),
            present: Box::new(move || disconnect::disks(&context, &Fabric::look(&context.host.root))),
        }
    }

    pub fn volumes(&self) -> Vec<String> {
        self.request.lock_names()
    }
}
