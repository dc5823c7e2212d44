//! The contract of [`Target`] as a suite: every implementation runs it in its own tests.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests, in the library so that targets outside of this crate can run them"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use agent_format::ObjectName;
use agent_qcow2::{
    Backing, BackingFormat, CLUSTER_BYTES, Chain, ChainImage, Compression, ImageOptions,
    ImageWriter,
};

use crate::{ErrorKind, Target};

const LIMIT: u64 = 1 << 20;

type Case = (&'static str, fn(&dyn Target));

const CASES: &[Case] = &[
    ("what was put is what is got", what_was_put_is_what_is_got),
    ("putting again replaces", putting_again_replaces),
    (
        "readers see the old or the new object",
        readers_see_the_old_or_the_new_object,
    ),
    ("what is not there is said so", what_is_not_there_is_said_so),
    (
        "an object over the limit is refused",
        an_object_over_the_limit_is_refused,
    ),
    (
        "listing goes deep, in order, and only below",
        listing_goes_deep_in_order,
    ),
    ("deleting can be repeated", deleting_can_be_repeated),
    (
        "a folder goes with all that is in it",
        a_folder_goes_with_all_that_is_in_it,
    ),
    (
        "an image is invisible until finished",
        an_image_is_invisible_until_finished,
    ),
    (
        "an image without a head is a stream",
        an_image_without_a_head_is_a_stream,
    ),
    (
        "an image resumes where it was synced",
        an_image_resumes_where_it_was_synced,
    ),
    (
        "an image that cannot be resumed is said so",
        an_image_that_cannot_be_resumed,
    ),
    (
        "beginning again throws the unfinished away",
        beginning_again_throws_away,
    ),
    (
        "an abandoned image leaves nothing",
        an_abandoned_image_leaves_nothing,
    ),
    (
        "a finished image replaces the old one",
        a_finished_image_replaces_the_old_one,
    ),
    (
        "an open image outlives its name",
        an_open_image_outlives_its_name,
    ),
    (
        "images are read anywhere and not past their end",
        images_are_read_anywhere,
    ),
    (
        "a chain written through it is read through it",
        a_chain_is_written_and_read,
    ),
    (
        "an image is changed where it lies",
        an_image_is_changed_where_it_lies,
    ),
    (
        "a renamed image takes another one's place",
        a_renamed_image_takes_anothers_place,
    ),
    (
        "an image is composed of others",
        an_image_is_composed_of_others,
    ),
    ("many write at once", many_write_at_once),
    (
        "it is writable and says how much fits",
        it_is_writable_and_says_how_much_fits,
    ),
];

/// Runs every case on a target of its own, and drops what `make` gave with it when the case is done;
/// panics at the first case that does not hold.
pub fn run<T: Target, G>(make: impl Fn() -> (T, G)) {
    for (what, case) in CASES {
        let (target, guard) = make();
        let outcome = catch_unwind(AssertUnwindSafe(|| case(&target)));
        drop(guard);
        assert!(
            outcome.is_ok(),
            "the target does not keep the contract: {what}"
        );
    }
}

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

fn names(target: &dyn Target, folder: Option<&str>) -> Vec<String> {
    let folder = folder.map(name);
    let listed = target.list(folder.as_ref()).unwrap();
    listed
        .into_iter()
        .map(|stat| stat.name.to_string())
        .collect()
}

fn content(target: &dyn Target, object: &str) -> Vec<u8> {
    let image = target.open_image(&name(object)).unwrap();
    let mut bytes = vec![0; usize::try_from(image.size_bytes()).unwrap()];
    image.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn what_was_put_is_what_is_got(target: &dyn Target) {
    let large: Vec<u8> = (0..LIMIT).map(|n| (n % 251) as u8).collect();
    for (object, bytes) in [("a", &b""[..]), ("f/g/h/i/j", b"x"), ("f/g2", &large[..])] {
        target.put_object(&name(object), bytes).unwrap();
        assert_eq!(target.get_object(&name(object), LIMIT).unwrap(), bytes);
        let stat = target.stat(&name(object)).unwrap().unwrap();
        assert_eq!(
            (stat.name, stat.size_bytes),
            (name(object), bytes.len() as u64)
        );
        assert_eq!(content(target, object), bytes);
    }
}

fn putting_again_replaces(target: &dyn Target) {
    for bytes in [&b"long before"[..], b"short", b""] {
        target.put_object(&name("w/o"), bytes).unwrap();
        assert_eq!(target.get_object(&name("w/o"), LIMIT).unwrap(), bytes);
    }
    assert_eq!(names(target, None), ["w/o"]);
}

fn readers_see_the_old_or_the_new_object(target: &dyn Target) {
    let object = name("w/o");
    target.put_object(&object, &[0; 4096]).unwrap();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=20 {
                target
                    .put_object(&object, &vec![round; 4096 + usize::from(round)])
                    .unwrap();
            }
            is_done.store(true, Ordering::SeqCst);
        });
        while !is_done.load(Ordering::SeqCst) {
            let bytes = target.get_object(&object, LIMIT).unwrap();
            assert_eq!(bytes.len(), 4096 + usize::from(bytes[0]));
            assert!(bytes.iter().all(|byte| *byte == bytes[0]));
        }
    });
}

fn what_is_not_there_is_said_so(target: &dyn Target) {
    target.put_object(&name("w/o"), b"1").unwrap();
    for missing in ["x", "w/x", "x/y/z"] {
        let missing = name(missing);
        assert_eq!(
            target.get_object(&missing, LIMIT).unwrap_err().kind,
            ErrorKind::NotFound
        );
        let opened = target.open_image(&missing).map(|_| ());
        assert_eq!(opened.unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(target.stat(&missing).unwrap(), None);
        assert_eq!(target.list(Some(&missing)).unwrap(), []);
    }
    // A folder is no object.
    assert_eq!(target.stat(&name("w")).unwrap(), None);
}

fn an_object_over_the_limit_is_refused(target: &dyn Target) {
    target.put_object(&name("o"), &[1; 100]).unwrap();
    assert_eq!(
        target.get_object(&name("o"), 99).unwrap_err().kind,
        ErrorKind::Corrupt
    );
    assert_eq!(target.get_object(&name("o"), 100).unwrap().len(), 100);
}

fn listing_goes_deep_in_order(target: &dyn Target) {
    for object in ["w2/s/b", "w/s/v/a", "w/db", "w/s/m", "w-1"] {
        target.put_object(&name(object), object.as_bytes()).unwrap();
    }
    assert_eq!(
        names(target, None),
        ["w-1", "w/db", "w/s/m", "w/s/v/a", "w2/s/b"]
    );
    assert_eq!(names(target, Some("w")), ["w/db", "w/s/m", "w/s/v/a"]);
    assert_eq!(names(target, Some("w/s")), ["w/s/m", "w/s/v/a"]);
    let sizes = target.list(Some(&name("w2"))).unwrap();
    assert_eq!(sizes[0].size_bytes, 6);
}

fn deleting_can_be_repeated(target: &dyn Target) {
    for object in ["w/s/a", "w/s/b", "w/c"] {
        target.put_object(&name(object), b"1").unwrap();
    }
    for _ in 0..2 {
        target.delete(&name("w/s/a")).unwrap();
        target.delete(&name("w/s/b")).unwrap();
        assert_eq!(names(target, None), ["w/c"]);
    }
    target.delete(&name("never/was")).unwrap();
    target.put_object(&name("w/s/a"), b"again").unwrap();
    assert_eq!(names(target, Some("w/s")), ["w/s/a"]);
}

fn a_folder_goes_with_all_that_is_in_it(target: &dyn Target) {
    for object in ["w/s1/v/a", "w/s1/m", "w/s11/m"] {
        target.put_object(&name(object), b"1").unwrap();
    }
    let mut unfinished = target.create_image(&name("w/s1/v/b"), None).unwrap();
    unfinished.append(b"half").unwrap();
    unfinished.sync().unwrap();
    drop(unfinished);
    for _ in 0..2 {
        target.delete_folder(&name("w/s1")).unwrap();
        assert_eq!(names(target, None), ["w/s11/m"]);
    }
    let resumed = target.create_image(&name("w/s1/v/b"), Some(1)).map(|_| ());
    assert_eq!(resumed.unwrap_err().kind, ErrorKind::NotFound);
    target.delete_folder(&name("never/was")).unwrap();
}

fn an_image_is_invisible_until_finished(target: &dyn Target) {
    let image = name("w/v/i");
    let mut sink = target.create_image(&image, None).unwrap();
    assert_eq!(sink.position(), 0);
    let head = vec![9; usize::try_from(sink.head_minimum_bytes().max(4)).unwrap()];
    sink.reserve_head(head.len() as u64).unwrap();
    assert_eq!(sink.position(), head.len() as u64);
    sink.append(b"data").unwrap();
    sink.append(b"").unwrap();
    sink.append(b"more").unwrap();
    sink.sync().unwrap();
    assert_eq!(sink.position(), head.len() as u64 + 8);
    assert_eq!(target.stat(&image).unwrap(), None);
    assert_eq!(names(target, None), [""; 0]);
    sink.finish(&head).unwrap();
    drop(sink);
    assert_eq!(content(target, "w/v/i"), [&head[..], b"datamore"].concat());
    assert_eq!(names(target, None), ["w/v/i"]);
}

fn an_image_without_a_head_is_a_stream(target: &dyn Target) {
    for bytes in [&b"index"[..], b""] {
        let mut sink = target.create_image(&name("w/v/i.index"), None).unwrap();
        sink.append(bytes).unwrap();
        sink.finish(&[]).unwrap();
        assert_eq!(content(target, "w/v/i.index"), bytes);
    }
}

fn an_image_resumes_where_it_was_synced(target: &dyn Target) {
    let image = name("w/v/i");
    let mut sink = target.create_image(&image, None).unwrap();
    sink.append(b"kept").unwrap();
    sink.sync().unwrap();
    let length = sink.position();
    sink.append(b"lost").unwrap();
    drop(sink);
    for _ in 0..2 {
        let mut sink = target.create_image(&image, Some(length)).unwrap();
        assert_eq!(sink.position(), length);
        sink.append(b"lost too").unwrap();
    }
    let mut sink = target.create_image(&image, Some(length)).unwrap();
    sink.append(b" and more").unwrap();
    sink.finish(&[]).unwrap();
    assert_eq!(content(target, "w/v/i"), b"kept and more");
    // What was finished is not unfinished any more.
    let resumed = target.create_image(&image, Some(length)).map(|_| ());
    assert_eq!(resumed.unwrap_err().kind, ErrorKind::NotFound);
}

fn an_image_that_cannot_be_resumed(target: &dyn Target) {
    let image = name("w/v/i");
    let resumed = target.create_image(&image, Some(0)).map(|_| ());
    assert_eq!(resumed.unwrap_err().kind, ErrorKind::NotFound);
    let mut sink = target.create_image(&image, None).unwrap();
    sink.append(b"1234").unwrap();
    sink.sync().unwrap();
    drop(sink);
    let resumed = target.create_image(&image, Some(5)).map(|_| ());
    assert_eq!(resumed.unwrap_err().kind, ErrorKind::Corrupt);
}

fn beginning_again_throws_away(target: &dyn Target) {
    let image = name("w/v/i");
    let mut sink = target.create_image(&image, None).unwrap();
    sink.append(b"an attempt of long ago").unwrap();
    sink.sync().unwrap();
    drop(sink);
    let mut sink = target.create_image(&image, None).unwrap();
    assert_eq!(sink.position(), 0);
    sink.append(b"new").unwrap();
    sink.finish(&[]).unwrap();
    assert_eq!(content(target, "w/v/i"), b"new");
}

fn an_abandoned_image_leaves_nothing(target: &dyn Target) {
    let image = name("w/v/i");
    let mut sink = target.create_image(&image, None).unwrap();
    sink.append(b"1").unwrap();
    sink.sync().unwrap();
    drop(sink);
    for _ in 0..2 {
        target.abandon_image(&image).unwrap();
        let resumed = target.create_image(&image, Some(1)).map(|_| ());
        assert_eq!(resumed.unwrap_err().kind, ErrorKind::NotFound);
    }
    target.put_object(&image, b"finished").unwrap();
    target.abandon_image(&image).unwrap();
    assert_eq!(content(target, "w/v/i"), b"finished");
}

fn a_finished_image_replaces_the_old_one(target: &dyn Target) {
    for bytes in [&b"first and longer"[..], b"second"] {
        let mut sink = target.create_image(&name("w/v/i"), None).unwrap();
        sink.append(bytes).unwrap();
        sink.finish(&[]).unwrap();
        assert_eq!(content(target, "w/v/i"), bytes);
    }
}

fn an_open_image_outlives_its_name(target: &dyn Target) {
    let image = name("w/v/i");
    target.put_object(&image, b"old").unwrap();
    let open = target.open_image(&image).unwrap();
    target.put_object(&image, b"newer").unwrap();
    target.delete(&image).unwrap();
    let mut bytes = [0; 3];
    match open.read_exact_at(&mut bytes, 0) {
        Ok(()) => assert_eq!(&bytes, b"old"),
        Err(error) => assert_eq!(ErrorKind::of(&error), ErrorKind::Unavailable),
    }
}

fn images_are_read_anywhere(target: &dyn Target) {
    target.put_object(&name("o"), b"0123456789").unwrap();
    let image = target.open_image(&name("o")).unwrap();
    assert_eq!(image.size_bytes(), 10);
    for (offset, length) in [(0, 10), (3, 4), (9, 1), (10, 0), (0, 0)] {
        let mut bytes = vec![0; length];
        image.read_exact_at(&mut bytes, offset as u64).unwrap();
        assert_eq!(bytes, b"0123456789"[offset..offset + length]);
    }
    for (offset, length) in [(0, 11), (9, 2), (11, 1), (u64::MAX, 1)] {
        let error = image
            .read_exact_at(&mut vec![0; length], offset)
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
    }
}

fn a_chain_is_written_and_read(target: &dyn Target) {
    let (full, incremental) = (name("w/s1/v/a"), name("w/s2/v/b"));
    let size_bytes = 3 * CLUSTER_BYTES + 1;
    let cluster = |byte| vec![byte; usize::try_from(CLUSTER_BYTES).unwrap()];
    let options = |backing| ImageOptions {
        size_bytes,
        backing,
        compression: Compression::None,
    };

    let sink = target.create_image(&full, None).unwrap();
    let mut writer = ImageWriter::create(sink, options(None)).unwrap();
    writer.write_data(0, &cluster(1)).unwrap();
    let checkpoint = writer.checkpoint().unwrap();
    writer.write_data(1, &cluster(99)).unwrap();
    drop(writer);
    let sink = target
        .create_image(&full, Some(checkpoint.length_bytes()))
        .unwrap();
    let mut writer = ImageWriter::resume(sink, options(None), checkpoint).unwrap();
    writer.write_data(1, &cluster(2)).unwrap();
    writer.write_data(3, &[3]).unwrap();
    let summary = writer.finish().unwrap();
    assert_eq!(
        target.stat(&full).unwrap().unwrap().size_bytes,
        summary.size_bytes
    );

    let name = incremental.relative_path_to(&full);
    let backing = Some(Backing {
        name,
        format: BackingFormat::Qcow2,
    });
    let sink = target.create_image(&incremental, None).unwrap();
    let mut writer = ImageWriter::create(sink, options(backing)).unwrap();
    writer.write_zero(1..2).unwrap();
    writer.write_data(2, &cluster(4)).unwrap();
    writer.finish().unwrap();

    let images = [&incremental, &full].map(|name| ChainImage {
        name: name.to_string(),
        data: target.open_image(name).unwrap(),
    });
    let chain = Chain::open(images.into()).unwrap();
    assert_eq!(
        chain.images()[1].head_blake3().unwrap(),
        summary.head_blake3
    );
    let mut bytes = vec![7; usize::try_from(size_bytes).unwrap()];
    chain.read_at(&mut bytes, 0).unwrap();
    assert_eq!(
        bytes,
        [cluster(1), cluster(0), cluster(4), vec![3]].concat()
    );
}

fn an_image_is_changed_where_it_lies(target: &dyn Target) {
    let missing = target.update_image(&name("w/x")).map(|_| ());
    if let Err(error) = missing {
        assert_eq!(error.kind, ErrorKind::NotFound);
    }
    let image = name("w/v/i");
    target.put_object(&image, b"0123456789").unwrap();
    let Some(mut update) = target.update_image(&image).unwrap() else {
        return;
    };
    assert_eq!(update.size_bytes(), 10);
    update.write_all_at(b"ab", 3).unwrap();
    update.write_all_at(b"end", 12).unwrap();
    update.sync().unwrap();
    let mut bytes = [0; 4];
    update.read_exact_at(&mut bytes, 2).unwrap();
    assert_eq!(&bytes, b"2ab5");
    assert_eq!(content(target, "w/v/i"), b"012ab56789\0\0end");
    update.cut(99).unwrap();
    update.cut(13).unwrap();
    update.punch(0..2).unwrap();
    update.punch(12..1 << 20).unwrap();
    update.sync().unwrap();
    assert_eq!(update.size_bytes(), 13);
    drop(update);
    // What was punched may be anything.
    let bytes = content(target, "w/v/i");
    assert_eq!((&bytes[2..12], bytes.len()), (&b"2ab56789\0\0"[..], 13));
    assert_eq!(names(target, None), ["w/v/i"]);
}

fn a_renamed_image_takes_anothers_place(target: &dyn Target) {
    let (from, to) = (name("w/s1/v/a"), name("w/s2/v/b"));
    target.put_object(&from, b"from").unwrap();
    if target.update_image(&from).unwrap().is_none() {
        return;
    }
    target.rename_image(&from, &to).unwrap();
    assert_eq!(names(target, None), ["w/s2/v/b"]);
    target.put_object(&from, b"from again").unwrap();
    target.rename_image(&from, &to).unwrap();
    assert_eq!(content(target, "w/s2/v/b"), b"from again");
    assert_eq!(target.stat(&from).unwrap(), None);
    let error = target.rename_image(&from, &to).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(content(target, "w/s2/v/b"), b"from again");
}

fn an_image_is_composed_of_others(target: &dyn Target) {
    let (a, b) = (name("w/s1/v/a"), name("w/s2/v/b"));
    target.put_object(&a, b"0123456789").unwrap();
    target.put_object(&b, b"replaced").unwrap();
    let Some(mut sink) = target.compose_image(&b).unwrap() else {
        return;
    };
    let head = vec![9; usize::try_from(sink.head_minimum_bytes().max(4)).unwrap()];
    sink.reserve_head(head.len() as u64).unwrap();
    sink.append_copy(&a, 2..8).unwrap();
    sink.append(b"-").unwrap();
    sink.append_copy(&b, 0..8).unwrap();
    sink.append_copy(&a, 5..5).unwrap();
    sink.append_copy(&a, 9..10).unwrap();
    assert_eq!(sink.position(), head.len() as u64 + 16);
    assert_eq!(content(target, "w/s2/v/b"), b"replaced");
    sink.finish(&head).unwrap();
    let expected = [&head[..], b"234567-replaced9"].concat();
    assert_eq!(content(target, "w/s2/v/b"), expected);

    let mut sink = target.compose_image(&b).unwrap().unwrap();
    assert!(sink.append_copy(&a, 5..11).is_err());
    drop(sink);
    let mut sink = target.compose_image(&b).unwrap().unwrap();
    assert!(sink.append_copy(&name("w/x"), 0..1).is_err());
    drop(sink);
    assert_eq!(content(target, "w/s2/v/b"), expected);
    target.abandon_image(&b).unwrap();
}

fn many_write_at_once(target: &dyn Target) {
    thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || {
                for round in 0..10 {
                    // One folder for all, that comes and goes with its objects.
                    let object = name(&format!("w/s/{writer}"));
                    target.put_object(&object, &[round]).unwrap();
                    let mut sink = target
                        .create_image(&name(&format!("w/t/{writer}")), None)
                        .unwrap();
                    sink.append(&[round]).unwrap();
                    sink.finish(&[]).unwrap();
                    target.delete(&object).unwrap();
                }
            });
        }
    });
    assert_eq!(names(target, None), ["w/t/0", "w/t/1", "w/t/2", "w/t/3"]);
}

fn it_is_writable_and_says_how_much_fits(target: &dyn Target) {
    target.check_writable().unwrap();
    assert_eq!(names(target, None), [""; 0]);
    if let Some(capacity) = target.capacity().unwrap() {
        assert!(capacity.free_bytes <= capacity.total_bytes);
    }
}
