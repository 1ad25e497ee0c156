//! Where a volume is on this host.

use std::path::PathBuf;

use crate::error::Result;
use crate::host::Host;
use crate::host::programs::mdadm;
use crate::host::view::{block, md};
use crate::identifiers::DeviceName;
use crate::transports::settings::Settings;

use super::namespace;
use super::operation::Context;
use super::request::{Replicas, Request, Target};

/// The device of the volume, as far as it is on the host: of a mirror its name below `/dev/md`.  Nothing is connected.
pub fn volume_paths(host: &Host, request: &Request, settings: &Settings) -> Result<Vec<PathBuf>> {
    let context = Context::new(host, request.clone(), settings.clone());
    let legs = devices(&context);
    if is_array(&context, &legs)? {
        return Ok(vec![request.array_path()?]);
    }
    Ok(legs.iter().map(DeviceName::dev_path).collect())
}

/// The namespaces of all targets that are on the host.
pub fn devices(context: &Context) -> Vec<DeviceName> {
    context.request.targets.iter().filter_map(|target| device_of(context, target)).collect()
}

/// The namespace of one target.
pub fn device_of(context: &Context, target: &Target) -> Option<DeviceName> {
    let remembered = context.request.device_path.as_ref().and_then(|path| block::behind(&context.host.root, path));
    namespace::device(context, target, remembered.as_ref())
}

/// Whether the volume is a mirror.  One replica alone is when it is a leg of one.
pub fn is_array(context: &Context, legs: &[DeviceName]) -> Result<bool> {
    let root = &context.host.root;
    match context.request.replicas {
        Replicas::None => Ok(false),
        Replicas::Mirror(_) => Ok(true),
        Replicas::One => {
            for leg in legs {
                if md::array_over(root, leg).is_some() || mdadm::is_leg(&context.host, leg)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}
