//! A target that goes away at every single call of a merge, and comes back.

use std::sync::Arc;

use agent_contract::ImageCompression;
use agent_format::ObjectName;
use agent_target::{
    DirectoryTarget, ErrorKind, Fault, FaultyTarget, ObjectStat, Operation, Target,
};

use super::history::{History, KINDS, Kind, host_on, merge_on};

/// A target behind a pointer, so that it can be wrapped and looked at.
struct Shared(Arc<dyn Target>);

macro_rules! forward {
    ($($method:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        impl Target for Shared {
            $(fn $method(&self, $($argument: $kind),*) -> agent_target::Result<$result> {
                self.0.$method($($argument),*)
            })*
        }
    };
}

forward! {
    put_object(name: &ObjectName, bytes: &[u8]) -> ();
    get_object(name: &ObjectName, limit_bytes: u64) -> Vec<u8>;
    list(folder: Option<&ObjectName>) -> Vec<ObjectStat>;
    delete(name: &ObjectName) -> ();
    delete_folder(folder: &ObjectName) -> ();
    stat(name: &ObjectName) -> Option<ObjectStat>;
    open_image(name: &ObjectName) -> Box<dyn agent_target::ReadAt>;
    create_image(name: &ObjectName, resume: Option<u64>) -> Box<dyn agent_target::ImageSink>;
    abandon_image(name: &ObjectName) -> ();
    update_image(name: &ObjectName) -> Option<Box<dyn agent_target::ImageUpdate>>;
    rename_image(from: &ObjectName, to: &ObjectName) -> ();
    compose_image(name: &ObjectName) -> Option<Box<dyn agent_target::ImageComposition>>;
    capacity() -> Option<agent_target::Capacity>;
    check_writable() -> ();
}

/// Merges with a fault from the given call on; says whether it came to that call.
fn merge_until(history: &mut History, pair: (usize, usize), call: u64, is_lasting: bool) -> bool {
    let fault = Fault {
        operation: None,
        call,
        kind: ErrorKind::Unavailable,
        is_lasting,
    };
    let target = Arc::new(FaultyTarget::new(Shared(history.target.clone()), fault));
    let host = host_on(target.clone());
    merge_on(&host, pair.0, pair.1).is_err()
}

/// Says how many calls a merge makes.
fn every_crash(kind: Kind, pair: (usize, usize), is_lasting: bool) -> u64 {
    let whole = History::four(Kind::Memory, ImageCompression::Zstd);
    let mut call = 1;
    loop {
        let mut history = whole.copy(kind);
        let has_failed = merge_until(&mut history, pair, call, is_lasting);
        // Whoever reads first: the backups that are kept.
        let removed = history.disks.remove(&super::history::image_name(pair.0));
        assert!(removed.is_some());
        history.assert_all();
        let facts = history.merge(pair.0, pair.1).unwrap();
        history.assert_all();
        history.assert_tidy();
        assert_eq!(history.merge(pair.0, pair.1).unwrap(), facts);
        if !has_failed {
            return call;
        }
        call += 1;
    }
}

/// The target goes away for good, and another host finds it; and it only hiccups.
fn every_end(kind: Kind, pair: (usize, usize)) {
    for is_lasting in [true, false] {
        let calls = every_crash(kind, pair, is_lasting);
        assert!(calls > 20, "{kind:?}: {calls}");
    }
}

#[test]
fn a_directory_that_goes_away_at_any_call_leaves_a_chain_that_is_read() {
    every_end(Kind::Directory, (2, 3));
}

#[test]
fn a_host_that_loses_power_at_any_call_leaves_a_chain_that_is_read() {
    every_end(Kind::Memory, (1, 2));
}

#[test]
fn a_bucket_that_goes_away_at_any_call_leaves_a_chain_that_is_read() {
    every_end(Kind::LikeS3, (2, 3));
}

#[test]
fn a_target_without_copies_that_goes_away_leaves_a_chain_that_is_read() {
    every_end(Kind::Plain, (3, 4));
}

#[test]
fn a_merge_asked_again_before_anyone_reads_goes_on() {
    let whole = History::four(Kind::Memory, ImageCompression::None);
    for kind in KINDS {
        for call in (1..80).step_by(7) {
            let mut history = whole.copy(kind);
            merge_until(&mut history, (1, 2), call, true);
            history.merge(1, 2).unwrap();
            history.assert_all();
            history.assert_tidy();
        }
    }
}

#[test]
fn a_full_target_gives_back_what_the_merge_took() {
    let mut history = History::four(Kind::Directory, ImageCompression::None);
    let before = history.target.list(None).unwrap();
    let fault = Fault {
        operation: Some(Operation::SyncUpdate),
        call: 1,
        kind: ErrorKind::Full,
        is_lasting: false,
    };
    let root = history.root.clone().unwrap();
    let target = FaultyTarget::new(DirectoryTarget::new(root), fault);
    let error = merge_on(&host_on(Arc::new(target)), 1, 2).unwrap_err();
    assert_eq!(ErrorKind::of(&error), ErrorKind::Full);
    assert_eq!(history.target.list(None).unwrap(), before);
    history.assert_all();
    history.merge(1, 2).unwrap();
    history.assert_all();
}
