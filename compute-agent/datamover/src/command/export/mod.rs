//! `export`: a point as a disk that others look into over NBD, without restoring it.

mod disk;

use std::sync::Arc;

use agent_blocks::nbd::server;
use serde_json::json;

use super::arguments::ExportArguments;
use super::catalogue;
use super::error::{CommandError, io};
use super::merge;
use super::session::Session;
use disk::ExportedDisk;

pub(super) fn run(session: &Session<'_>, arguments: &ExportArguments) -> Result<(), CommandError> {
    let workload = catalogue::find_workload(session.target.as_ref(), &arguments.point.name)?;
    let (points, _lock) = merge::settle(session, workload)?;
    let point = points.find(&arguments.point)?;
    let disk = point.disk(arguments.disk.as_deref())?;
    let chain = points.chain(disk)?;
    let served = ExportedDisk::open(session, &chain)?;
    let at = &arguments.nbd;
    let listening = server::serve(Arc::new(served), &arguments.export_name, at);
    let listening = listening.map_err(io(format!("listen at {at}")))?;
    let name = &arguments.export_name;
    let uri = match (listening.tcp_address(), listening.socket()) {
        (Some(address), _) => format!("nbd://{address}/{name}"),
        (None, Some(path)) => {
            let path = std::path::absolute(path).map_err(io("name the socket"))?;
            format!("nbd+unix:///{name}?socket={}", path.display())
        }
        (None, None) => at.clone(),
    };
    let label = format!("{}@{}", points.workload.name, point.label());
    let human = format!("{label} is served, read-only, at {uri} until Ctrl-C");
    session.tell(
        &human,
        &json!({ "point": label, "uri": uri, "size_bytes": disk.size_bytes }),
    )?;
    session.wait_for_interrupt();
    Ok(())
}
