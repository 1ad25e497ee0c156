//! What every step of one operation needs: the machine, the request, the choices, the locks.

use crate::host::Host;
use crate::transports::locks::Locks;
use crate::transports::settings::Settings;

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

    pub fn volumes(&self) -> Vec<String> {
        self.request.lock_names()
    }
}
