//! Listing what is below a folder.

use std::io;

use agent_format::ObjectName;

use super::folder::Folder;
use crate::ObjectStat;

/// What mkfs puts into the root of a file system; only root may look into it.
const LOST_AND_FOUND: &str = "lost+found";

/// All objects below `folder`, whose name is given unless it is the root, in order.
pub(super) fn below(folder: &Folder, name: Option<&ObjectName>) -> io::Result<Vec<ObjectStat>> {
    let mut found = Vec::new();
    collect(folder, name, &mut found)?;
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn collect(
    folder: &Folder,
    name: Option<&ObjectName>,
    found: &mut Vec<ObjectStat>,
) -> io::Result<()> {
    for file in folder.names()? {
        if name.is_none() && file == LOST_AND_FOUND {
            continue;
        }
        // A name that no object can have (ours with a dot among them) is no object.
        let Some(file) = file.to_str() else { continue };
        let full = name.map_or_else(|| ObjectName::new(file), |name| name.join(file));
        let Ok(full) = full else { continue };
        // Gone since it was listed: as if it had been before.
        let Some(entry) = folder.stat(file)? else {
            continue;
        };
        if entry.is_file {
            found.push(ObjectStat {
                name: full,
                size_bytes: entry.size_bytes,
            });
        } else if entry.is_folder
            && let Some(inner) = folder.descend(std::iter::once(file))?
        {
            collect(&inner, Some(&full), found)?;
        }
    }
    Ok(())
}
