//! What only a folder can do wrong.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

fn target() -> (TempDir, DirectoryTarget) {
    let folder = tempfile::tempdir().unwrap();
    let target = DirectoryTarget::initialise(folder.path()).unwrap();
    (folder, target)
}

/// Every call that changes or reads something below the root.
fn every_call(target: &DirectoryTarget, object: &ObjectName) -> Vec<ErrorKind> {
    let results = [
        target.put_object(object, b"1"),
        target.get_object(object, 9).map(drop),
        target.list(None).map(drop),
        target.delete(object),
        target.delete_folder(object),
        target.stat(object).map(drop),
        target.open_image(object).map(drop),
        target.create_image(object, None).map(drop),
        target.create_image(object, Some(0)).map(drop),
        target.abandon_image(object),
        target.update_image(object).map(drop),
        target.rename_image(object, object),
        target.capacity().map(drop),
        target.check_writable(),
    ];
    results
        .into_iter()
        .map(|result| result.unwrap_err().kind)
        .collect()
}

#[test]
fn it_keeps_the_contract() {
    crate::conformance::run(|| {
        let (folder, target) = target();
        (target, folder)
    });
}

#[test]
fn what_killed_writers_of_an_object_have_left_goes_with_the_next_one() {
    let (folder, target) = target();
    let path = |file: &str| folder.path().join("w").join(file);
    target.put_object(&name("w/o"), b"1").unwrap();
    let others = [".o.p.1-2-3-4.tmp", ".p.1-2-3-4.tmp", ".o.tmp", ".o.partial"];
    for file in others.iter().chain(&[".o.1-2-3-4.tmp", ".o.4-5-6-7.tmp"]) {
        fs::write(path(file), b"half").unwrap();
    }
    target.put_object(&name("w/o"), b"2").unwrap();
    assert_eq!(target.get_object(&name("w/o"), 9).unwrap(), b"2");
    assert!(!path(".o.1-2-3-4.tmp").exists() && !path(".o.4-5-6-7.tmp").exists());
    for other in others {
        assert!(path(other).exists(), "{other}");
    }
}

#[test]
fn several_writers_of_one_object_come_to_their_end() {
    let (_folder, target) = target();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let target = &target;
            scope.spawn(move || {
                for _ in 0..25 {
                    target.put_object(&name("w/o"), &[writer; 100]).unwrap();
                }
            });
        }
    });
    let bytes = target.get_object(&name("w/o"), 100).unwrap();
    assert!(bytes.len() == 100 && bytes.iter().all(|byte| *byte == bytes[0]));
}

#[test]
fn a_share_that_is_not_mounted_is_never_written_to() {
    let mount_point = tempfile::tempdir().unwrap();
    let target = DirectoryTarget::new(mount_point.path());
    for kind in every_call(&target, &name("w/o")) {
        assert_eq!(kind, ErrorKind::Unavailable);
    }
    assert_eq!(fs::read_dir(mount_point.path()).unwrap().count(), 0);
}

#[test]
fn a_share_that_goes_away_in_between_is_noticed() {
    let (folder, target) = target();
    target.put_object(&name("w/o"), b"1").unwrap();
    let elsewhere = folder.path().with_extension("unmounted");
    fs::rename(folder.path(), &elsewhere).unwrap();
    fs::create_dir(folder.path()).unwrap();
    for kind in every_call(&target, &name("w/o")) {
        assert_eq!(kind, ErrorKind::Unavailable);
    }
    fs::remove_dir(folder.path()).unwrap();
    fs::rename(&elsewhere, folder.path()).unwrap();
    assert_eq!(target.get_object(&name("w/o"), 9).unwrap(), b"1");
}

#[test]
fn a_root_that_does_not_exist_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("share");
    let error = DirectoryTarget::initialise(&root).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    for kind in every_call(&DirectoryTarget::new(&root), &name("o")) {
        assert_eq!(kind, ErrorKind::Unavailable);
    }
    assert!(!root.exists());
}

#[test]
fn a_marker_that_is_a_link_or_a_folder_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join(MARKER);
    symlink("/etc/hostname", &marker).unwrap();
    let target = DirectoryTarget::new(folder.path());
    assert_eq!(
        target.check_writable().unwrap_err().kind,
        ErrorKind::Unavailable
    );
    fs::remove_file(&marker).unwrap();
    fs::create_dir(&marker).unwrap();
    assert_eq!(
        target.check_writable().unwrap_err().kind,
        ErrorKind::Unavailable
    );
}

#[test]
fn links_are_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("o"), b"secret").unwrap();
    let (folder, target) = target();
    symlink(outside.path(), folder.path().join("w")).unwrap();
    symlink(outside.path().join("o"), folder.path().join("o")).unwrap();

    for object in ["w/o", "w/x/y"] {
        let object = name(object);
        let results = [
            target.put_object(&object, b"1"),
            target.get_object(&object, 9).map(drop),
            target.delete(&object),
            target.open_image(&object).map(drop),
            target.create_image(&object, None).map(drop),
        ];
        for result in results {
            assert_eq!(result.unwrap_err().kind, ErrorKind::Corrupt);
        }
    }
    assert_eq!(
        target.get_object(&name("o"), 9).unwrap_err().kind,
        ErrorKind::Corrupt
    );
    assert_eq!(target.stat(&name("o")).unwrap(), None);
    assert_eq!(target.list(None).unwrap(), []);

    // What is replaced or removed is the link, not what it points to.
    target.put_object(&name("o"), b"ours").unwrap();
    assert_eq!(target.get_object(&name("o"), 9).unwrap(), b"ours");
    target.delete_folder(&name("w")).unwrap();
    assert!(!folder.path().join("w").exists());
    assert_eq!(fs::read(outside.path().join("o")).unwrap(), b"secret");
}

#[test]
fn an_interrupted_write_is_no_object_and_goes_with_its_folder() {
    let (folder, target) = target();
    target.put_object(&name("w/s/o"), b"1").unwrap();
    let leftover = folder.path().join("w/s/.o.1-2-3.tmp");
    fs::write(&leftover, b"half").unwrap();
    assert_eq!(target.list(None).unwrap().len(), 1);
    target.delete_folder(&name("w/s")).unwrap();
    assert!(!folder.path().join("w").exists());
}

#[test]
fn nothing_of_ours_stays_in_the_root_but_the_marker() {
    let (folder, target) = target();
    target.put_object(&name("w/s/o"), b"1").unwrap();
    target
        .create_image(&name("w/s/i"), None)
        .unwrap()
        .finish(&[])
        .unwrap();
    target.create_image(&name("x/y/z"), None).map(drop).unwrap();
    target.abandon_image(&name("x/y/z")).unwrap();
    target.check_writable().unwrap();
    target.delete(&name("w/s/o")).unwrap();
    target.delete(&name("w/s/i")).unwrap();
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, [MARKER]);
}

#[test]
fn a_forgotten_writer_does_not_publish_over_a_new_one() {
    let (_folder, target) = target();
    let image = name("w/i");
    let mut forgotten = target.create_image(&image, None).unwrap();
    forgotten.append(b"old").unwrap();
    let mut new = target.create_image(&image, None).unwrap();
    new.append(b"ne").unwrap();
    assert!(forgotten.finish(&[]).is_err());
    assert_eq!(target.stat(&image).unwrap(), None);
    new.append(b"w").unwrap();
    new.finish(&[]).unwrap();
    assert_eq!(target.get_object(&image, 9).unwrap(), b"new");
}

#[test]
fn a_named_pipe_does_not_hold_us() {
    let (folder, target) = target();
    nix::unistd::mkfifo(&folder.path().join("o"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(target.open_image(&name("o")).is_err());
    assert!(target.get_object(&name("o"), 9).is_err());
}

#[test]
fn others_may_not_read_backups() {
    let (folder, target) = target();
    target.put_object(&name("w/o"), b"1").unwrap();
    for path in ["w", "w/o"] {
        let mode = fs::metadata(folder.path().join(path))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o007, 0, "{path}: {mode:o}");
    }
}

#[test]
fn names_that_are_none_of_ours_do_not_disturb_a_listing() {
    use std::os::unix::ffi::OsStrExt;
    let (folder, target) = target();
    target.put_object(&name("w/o"), b"1").unwrap();
    fs::create_dir(folder.path().join("lost+found")).unwrap();
    fs::write(folder.path().join("lost+found/x"), b"").unwrap();
    fs::write(
        folder.path().join(std::ffi::OsStr::from_bytes(b"w/\xff")),
        b"",
    )
    .unwrap();
    assert_eq!(target.list(None).unwrap().len(), 1);
    target.delete_folder(&name("w")).unwrap();
}

#[test]
fn an_error_says_what_was_done_with_what() {
    let (folder, target) = target();
    let error = target.get_object(&name("w/o"), 9).unwrap_err();
    assert_eq!(error.to_string(), "cannot read object w/o: there is none");
    fs::remove_file(folder.path().join(MARKER)).unwrap();
    let error = target.check_writable().unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("the share is not mounted"), "{source}");
}
