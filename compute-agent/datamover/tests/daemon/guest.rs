//! A guest of libvirt's with disks of its own and nothing that boots: what it would write, QEMU's
//! monitor writes for it. Every write also goes to a model of the disk, a raw file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use uuid::Uuid;

use crate::datamover::open_to_all;

pub(crate) const MIB: u64 = 1 << 20;
const SIZE: u64 = 64 * MIB;
/// Of the lab's libvirt, for its Ceph.
const SECRET: &str = "1ab00000-0000-4000-8000-0000000000ce";

/// Gone with this value.
pub(crate) struct Guest {
    pub(crate) id: Uuid,
    folder: PathBuf,
    models: PathBuf,
}

/// As Nova would: a root disk upon an image, an ephemeral one, swap that is raw here.
pub(crate) const DISKS: [(&str, &str); 3] =
    [("vda", "disk"), ("vdb", "disk.eph0"), ("vdc", "disk.swap")];

pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
    String::from_utf8(output.stdout).unwrap()
}

impl Guest {
    /// Defined and not started; its models are `models/vda` and so on.
    pub(crate) fn define(folder: &Path, models: &Path) -> Self {
        fs::create_dir(folder).unwrap();
        open_to_all(folder);
        let guest = Self {
            id: Uuid::new_v4(),
            folder: folder.to_owned(),
            models: models.to_owned(),
        };
        guest.make_disks();
        guest.describe();
        guest
    }

    /// New files, as a rebuild of the server makes them.
    pub(crate) fn make_disks(&self) {
        let base = self.folder.join("base");
        fs::write(&base, vec![9; 1 << 20]).unwrap();
        let size = SIZE.to_string();
        for (device, name) in DISKS {
            let (file, model) = (self.folder.join(name), self.models.join(device));
            let (file, model) = (file.to_str().unwrap(), model.to_str().unwrap());
            let mut arguments = vec!["create", "-q", "-f", "qcow2", file, &size];
            if device == "vda" {
                arguments.extend(["-b", base.to_str().unwrap(), "-F", "raw"]);
            }
            if device == "vdc" {
                arguments = vec!["create", "-q", "-f", "raw", file, &size];
            }
            run("qemu-img", &arguments);
            run("qemu-img", &["create", "-q", "-f", "raw", model, &size]);
            for path in [file, model] {
                run("chmod", &["666", path]);
            }
        }
        self.io(
            "raw",
            &self.models.join("vda"),
            &format!("write -P 9 0 {MIB}"),
        );
    }

    fn describe(&self) {
        let disk = |(device, name): (&str, &str)| {
            let format = if device == "vdc" { "raw" } else { "qcow2" };
            let file = self.folder.join(name);
            format!(
                "<disk type='file' device='disk'><driver name='qemu' type='{format}' \
                 discard='unmap'/><source file='{}'/><target dev='{device}' bus='virtio'/></disk>",
                file.display()
            )
        };
        let disks: String = DISKS.into_iter().map(disk).collect();
        self.define_with(&disks);
    }

    /// With one disk instead, in Ceph as Nova makes it.
    pub(crate) fn describe_in_ceph(&self, pool: &str) {
        let disk = format!(
            "<disk type='network' device='disk'><driver name='qemu' type='raw'/>\
             <auth username='cinder'><secret type='ceph' uuid='{SECRET}'/></auth>\
             <source protocol='rbd' name='{pool}/{}_disk'><host name='127.0.0.1' port='6789'/>\
             </source><target dev='vda' bus='virtio'/></disk>",
            self.id
        );
        self.define_with(&disk);
    }

    fn define_with(&self, disks: &str) {
        let xml = format!(
            "<domain type='qemu'><name>{}</name><uuid>{}</uuid><memory unit='MiB'>16</memory>\
             <os><type arch='x86_64'>hvm</type></os><devices>\
             <emulator>/usr/bin/qemu-system-x86_64</emulator>{disks}\
             <disk type='file' device='cdrom'><driver name='qemu' type='raw'/>\
             <target dev='sda' bus='sata'/></disk></devices></domain>",
            self.name(),
            self.id,
        );
        let path = self.folder.join("xml");
        fs::write(&path, xml).unwrap();
        self.virsh(&["define", path.to_str().unwrap()]);
    }

    fn name(&self) -> String {
        format!("backstay-test-{}", self.id)
    }

    pub(crate) fn virsh(&self, arguments: &[&str]) -> String {
        let all = [&["-q", "-c", "qemu:///system"], arguments].concat();
        run("virsh", &all)
    }

    pub(crate) fn start(&self) {
        self.virsh(&["start", &self.name()]);
    }

    /// In good order: bitmaps are stored.
    pub(crate) fn stop(&self) {
        self.virsh(&["destroy", "--graceful", &self.name()]);
    }

    /// As a crash of QEMU or of the host: bitmaps are lost.
    pub(crate) fn crash(&self) {
        let pid = format!("/run/libvirt/qemu/{}.pid", self.name());
        let pid = fs::read_to_string(pid).unwrap();
        run("kill", &["-KILL", pid.trim()]);
        while self.is_running() {}
    }

    pub(crate) fn is_running(&self) -> bool {
        self.virsh(&["domstate", &self.name()]).trim() != "shut off"
    }

    /// On the disk and on its model.
    pub(crate) fn io_both(&self, device: &str, command: &str) {
        self.io("raw", &self.models.join(device), command);
        if self.is_running() {
            let number = DISKS.iter().position(|(known, _)| *known == device);
            let number = number.unwrap();
            let hmp = format!(
                "qemu-io -d /machine/peripheral/virtio-disk{number}/virtio-backend \"{command}\""
            );
            let said = self.virsh(&["qemu-monitor-command", &self.name(), "--hmp", &hmp]);
            assert!(!said.contains("rror") && !said.contains("ailed"), "{said}");
        } else {
            let (_, name) = DISKS.iter().find(|(known, _)| *known == device).unwrap();
            let format = if device == "vdc" { "raw" } else { "qcow2" };
            self.io(format, &self.folder.join(name), command);
        }
    }

    pub(crate) fn write(&self, device: &str, pattern: u8, offset: u64, length: u64) {
        self.io_both(device, &format!("write -P {pattern} {offset} {length}"));
    }

    fn io(&self, format: &str, file: &Path, command: &str) {
        let file = file.to_str().unwrap();
        run(
            "qemu-io",
            &["-d", "unmap", "-f", format, "-c", command, file],
        );
    }

    /// The disk's model as it is now, under a name that tests compare with.
    pub(crate) fn keep_model(&self, device: &str, name: &str) {
        fs::copy(self.models.join(device), self.models.join(name)).unwrap();
    }

    /// Names of the bitmaps of a running guest, once for each disk that has one.
    pub(crate) fn bitmaps(&self) -> Vec<String> {
        let ask = "{\"execute\":\"query-named-block-nodes\"}";
        let said = self.virsh(&["qemu-monitor-command", &self.name(), ask]);
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        let nodes = said
            .get("return")
            .and_then(|nodes| nodes.as_array())
            .unwrap()
            .iter();
        let bitmaps = nodes.filter_map(|node| node.get("dirty-bitmaps")?.as_array());
        let names = bitmaps
            .flatten()
            .filter_map(|bitmap| bitmap.get("name")?.as_str());
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort();
        names
    }

    pub(crate) fn checkpoints(&self) -> String {
        let names = self.virsh(&["checkpoint-list", &self.name(), "--name"]);
        names.trim().to_owned()
    }

    pub(crate) fn has_backup_job(&self) -> bool {
        let name = self.name();
        let asked = Command::new("virsh")
            .args(["-q", "-c", "qemu:///system", "backup-dumpxml", &name])
            .output();
        asked.unwrap().status.success()
    }

    /// As Nova does, which knows nothing of checkpoints.
    pub(crate) fn undefine(&self) {
        self.virsh(&["undefine", &self.name()]);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        for arguments in [&["destroy"][..], &["undefine", "--checkpoints-metadata"]] {
            let _gone = Command::new("virsh")
                .args(["-q", "-c", "qemu:///system"])
                .args(arguments)
                .arg(self.name())
                .output();
        }
    }
}
