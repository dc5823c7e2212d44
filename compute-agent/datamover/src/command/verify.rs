//! `verify`: every byte of the backups against what was written.

mod unreferenced;

use std::collections::BTreeSet;
use std::time::Instant;

use agent_format::manifest::ObjectRecord;
use agent_format::{Digest, ObjectName};
use agent_target::{ErrorKind, ObjectStat};
use serde_json::{Value, json};
use services_foundation::error_chain::ErrorChain;

use super::arguments::VerifyArguments;
use super::catalogue::{self, JSON_LIMIT_BYTES, Point, Points};
use super::error::{CommandError, target as failed, transfer};
use super::merge;
use super::output::size;
use super::restore::digests_of;
use super::session::Session;
use crate::transfer::verify_image;

pub(super) fn run(session: &Session<'_>, arguments: &VerifyArguments) -> Result<(), CommandError> {
    let began = Instant::now();
    let mut scrub = Scrub {
        session,
        seen: BTreeSet::new(),
        points: 0,
        verified_bytes: 0,
        damage_count: 0,
        damage: Vec::new(),
        unreferenced: Vec::new(),
        skipped: Vec::new(),
    };
    match &arguments.point {
        None => {
            for workload in catalogue::workloads(session.target.as_ref())? {
                let folder = workload.folder.to_string();
                match merge::settle(session, workload) {
                    Ok((points, _lock)) => scrub.all(&points)?,
                    // All else can be verified.
                    Err(CommandError::Refused(why)) => scrub.skipped.push(why),
                    Err(CommandError::Damaged(why)) => scrub.found(&folder, None, why),
                    Err(error) => return Err(error),
                }
            }
        }
        Some(spec) => {
            let workload = catalogue::find_workload(session.target.as_ref(), &spec.name)?;
            let (points, _lock) = merge::settle(session, workload)?;
            if spec.point.is_none() {
                scrub.all(&points)?;
            } else {
                scrub.point(&points, points.find(spec)?)?;
            }
        }
    }
    scrub.tell(began)
}

struct Scrub<'a> {
    session: &'a Session<'a>,
    /// Images that were looked at: points share them.
    seen: BTreeSet<ObjectName>,
    points: usize,
    verified_bytes: u64,
    damage_count: u64,
    damage: Vec<Found>,
    /// Not part of any backup.
    unreferenced: Vec<ObjectStat>,
    /// Why some were not looked at.
    skipped: Vec<String>,
}

/// So many are named; of the others it is said how many there are.
const NAMED_UNREFERENCED: usize = 20;

/// Something that is damaged.
struct Found {
    object: String,
    offset: Option<u64>,
    what: String,
}

impl Found {
    fn line(&self) -> String {
        match self.offset {
            Some(offset) => format!("{} at guest offset {offset}: {}", self.object, self.what),
            None => format!("{}: {}", self.object, self.what),
        }
    }

    fn json(&self) -> Value {
        json!({ "object": self.object, "guest_offset": self.offset, "what": self.what })
    }
}

impl Scrub<'_> {
    fn all(&mut self, points: &Points) -> Result<(), CommandError> {
        for (name, why) in &points.damaged {
            self.found(name.as_str(), None, why.clone());
        }
        self.unreferenced
            .extend(unreferenced::among(points).cloned());
        points
            .points
            .iter()
            .try_for_each(|point| self.point(points, point))
    }

    /// What is needed to restore the point.
    fn point(&mut self, points: &Points, point: &Point) -> Result<(), CommandError> {
        self.points += 1;
        for object in &point.manifest.objects {
            self.json_file(object)?;
        }
        let label = format!("{}@{}", points.workload.name, point.label());
        for disk in &point.manifest.disks {
            let chain = match points.chain(disk) {
                Ok(chain) => chain,
                Err(error @ CommandError::Damaged(_)) => {
                    self.found(disk.image.name.as_str(), None, error.to_string());
                    vec![disk]
                }
                Err(error) => return Err(error),
            };
            for image in chain {
                if self.seen.insert(image.image.name.clone()) {
                    self.image(&label, image)?;
                }
            }
        }
        Ok(())
    }

    fn image(
        &mut self,
        label: &str,
        disk: &agent_format::manifest::DiskEntry,
    ) -> Result<(), CommandError> {
        self.session.check_interrupt()?;
        let name = disk.image.name.as_str();
        for object in [&disk.image, &disk.index] {
            let found = self.session.target.stat(&object.name);
            match found.map_err(failed("look at an image"))? {
                // Nothing but its being there is asked of it: the rest tells itself.
                None => self.found(object.name.as_str(), None, "it is missing".to_owned()),
                Some(stat) if stat.size_bytes != object.size_bytes => {
                    let (found, written) = (stat.size_bytes, object.size_bytes);
                    let what = format!("it has {found} bytes, {written} were written");
                    self.found(object.name.as_str(), None, what);
                }
                Some(_) => {}
            }
        }
        let digests = digests_of(disk);
        let place = self.session.place_of(&disk.image.name);
        let verified = self.session.transfer_afresh(label, |run| {
            verify_image(run, &run.host.place(&place)?, Some(&digests))
        });
        let report = verified.map_err(transfer(format!("verify image {name}"), false))?;
        self.verified_bytes += report.verified_bytes;
        self.damage_count += report.damage_count;
        self.damage
            .extend(report.damage.into_iter().map(|damage| Found {
                object: name.to_owned(),
                offset: damage.offset,
                what: damage.what,
            }));
        Ok(())
    }

    fn json_file(&mut self, object: &ObjectRecord) -> Result<(), CommandError> {
        let what = match self
            .session
            .target
            .get_object(&object.name, JSON_LIMIT_BYTES)
        {
            Ok(bytes) if Digest::of(&bytes) == object.blake3 => return Ok(()),
            Ok(_) => "it is not what was written".to_owned(),
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Corrupt) => {
                ErrorChain(&error).to_string()
            }
            Err(error) => return Err(failed("read the target")(error)),
        };
        self.found(object.name.as_str(), None, what);
        Ok(())
    }

    fn found(&mut self, object: &str, offset: Option<u64>, what: String) {
        self.damage_count += 1;
        self.damage.push(Found {
            object: object.to_owned(),
            offset,
            what,
        });
    }

    fn unreferenced_lines(&self) -> String {
        let count = self.unreferenced.len();
        if count == 0 {
            return String::new();
        }
        let bytes = self.unreferenced.iter().map(|object| object.size_bytes);
        let mut lines = format!(
            "\n{count} objects ({}) are part of no backup: one is being written or removed now, or was interrupted",
            size(bytes.sum())
        );
        for object in self.unreferenced.iter().take(NAMED_UNREFERENCED) {
            lines += &format!("\n  {} ({})", object.name, size(object.size_bytes));
        }
        let unnamed = count.saturating_sub(NAMED_UNREFERENCED);
        if unnamed > 0 {
            lines += &format!("\n  and {unnamed} more");
        }
        lines
    }

    fn tell(&self, began: Instant) -> Result<(), CommandError> {
        let seconds = began.elapsed().as_secs_f64();
        let mut human = format!(
            "verified {} points, {} images, {} of data, {seconds:.1} s: ",
            self.points,
            self.seen.len(),
            size(self.verified_bytes)
        );
        if self.damage_count == 0 {
            human += "all is as it was written";
        } else {
            human += &format!("{} damaged", self.damage_count);
            for found in &self.damage {
                human += &format!("\n  {}", found.line());
            }
            let unnamed = self.damage_count.saturating_sub(self.damage.len() as u64);
            if unnamed > 0 {
                human += &format!("\n  and {unnamed} more");
            }
        }
        for why in &self.skipped {
            human += &format!("\nnot verified: {why}");
        }
        human += &self.unreferenced_lines();
        let unreferenced = self
            .unreferenced
            .iter()
            .map(|object| json!({ "object": object.name, "size_bytes": object.size_bytes }));
        let json = json!({
            "points": self.points,
            "images": self.seen.len(),
            "bytes_verified": self.verified_bytes,
            "damage_count": self.damage_count,
            "damage": self.damage.iter().map(Found::json).collect::<Vec<_>>(),
            "not_verified": self.skipped,
            "unreferenced": unreferenced.collect::<Vec<_>>(),
            "seconds": seconds,
        });
        self.session.tell(&human, &json)?;
        if self.damage_count > 0 {
            return Err(CommandError::Damaged("backups are damaged".to_owned()));
        }
        if self.skipped.is_empty() {
            return Ok(());
        }
        let message = "some backups could not be verified".to_owned();
        Err(CommandError::Refused(message))
    }
}
