//! `info`: what is on a target.

use agent_format::manifest::{DiskEntry, SnapshotType};
use serde_json::{Value, json};

use super::arguments::InfoArguments;
use super::catalogue::{self, Point, Points};
use super::error::CommandError;
use super::output::size;
use super::point::PointSpec;
use super::session::Session;

pub(super) fn run(session: &Session<'_>, arguments: &InfoArguments) -> Result<(), CommandError> {
    match &arguments.point {
        None => list_names(session),
        Some(spec) if spec.point.is_none() => list_points(session, spec),
        Some(spec) => show_point(session, spec),
    }
}

fn list_names(session: &Session<'_>) -> Result<(), CommandError> {
    let (mut lines, mut names) = (Vec::new(), Vec::new());
    let mut is_damaged = Ok(());
    for workload in catalogue::workloads(session.target.as_ref())? {
        let points = catalogue::points(session.target.as_ref(), workload)?;
        warn_of_damage(session, &points);
        is_damaged = is_damaged.and(points.check_whole());
        let newest = points.newest();
        let disk_bytes = newest.map_or(0, size_of_disks);
        let stored = points.points.iter().map(stored_bytes).sum::<u64>();
        lines.push(vec![
            points.workload.name.clone(),
            points.points.len().to_string(),
            newest.map(Point::label).unwrap_or_default(),
            size(disk_bytes),
            size(stored),
        ]);
        names.push(json!({
            "name": points.workload.name,
            "workload_id": points.workload.folder.workload_id,
            "points": points.points.len(),
            "latest": newest.map(Point::label),
            "size_bytes": disk_bytes,
            "stored_bytes": stored,
        }));
    }
    let heads = ["NAME", "POINTS", "LATEST", "SIZE", "STORED"];
    session.tell(&table(&heads, &lines), &json!({ "names": names }))?;
    is_damaged
}

fn list_points(session: &Session<'_>, spec: &PointSpec) -> Result<(), CommandError> {
    let points = catalogue::find(session.target.as_ref(), &spec.name)?;
    warn_of_damage(session, &points);
    let lines = points.points.iter().map(|point| {
        vec![
            point.label(),
            point.manifest.snapshot_id.to_string(),
            kind(point).to_owned(),
            size(size_of_disks(point)),
            size(stored_bytes(point)),
        ]
    });
    let heads = ["POINT", "ID", "TYPE", "SIZE", "STORED"];
    let human = table(&heads, &lines.collect::<Vec<_>>());
    let shown: Vec<_> = points.points.iter().map(point_json).collect();
    let json = json!({
        "name": points.workload.name,
        "workload_id": points.workload.folder.workload_id,
        "points": shown,
    });
    session.tell(&human, &json)?;
    points.check_whole()
}

fn show_point(session: &Session<'_>, spec: &PointSpec) -> Result<(), CommandError> {
    let points = catalogue::find(session.target.as_ref(), &spec.name)?;
    warn_of_damage(session, &points);
    let point = points.find(spec)?;
    let mut human = format!(
        "{}@{}\n  id       {}\n  type     {}\n  of       {}",
        points.workload.name,
        point.label(),
        point.manifest.snapshot_id,
        kind(point),
        point.manifest.created_at.to_rfc3339(),
    );
    if let Some(source) = &point.source {
        human += &format!("\n  source   {source}");
    }
    let mut disks = Vec::new();
    for disk in &point.manifest.disks {
        let chain = points.chain(disk)?;
        human += &format!(
            "\n\ndisk {} ({} bytes), restored from {} images:\n",
            disk.disk,
            disk.size_bytes,
            chain.len()
        );
        let lines: Vec<_> = chain
            .iter()
            .map(|image| {
                vec![
                    image.image.name.to_string(),
                    size(image.data_bytes),
                    size(stored(image)),
                ]
            })
            .collect();
        human += &table(&["IMAGE", "DATA", "STORED"], &lines);
        let images: Vec<_> = chain.iter().map(|image| json!(image)).collect();
        let mut shown = disk_json(disk);
        insert(&mut shown, "chain", json!(images));
        disks.push(shown);
    }
    let mut json = point_json(point);
    insert(&mut json, "name", json!(points.workload.name));
    insert(&mut json, "disks", json!(disks));
    session.tell(&human, &json)
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn warn_of_damage(session: &Session<'_>, points: &Points) {
    for (name, why) in &points.damaged {
        session.warn(&format!("{name} is damaged: {why}"));
    }
}

fn kind(point: &Point) -> &'static str {
    match point.manifest.snapshot_type {
        SnapshotType::Full => "full",
        SnapshotType::Incremental => "incremental",
    }
}

fn size_of_disks(point: &Point) -> u64 {
    point
        .manifest
        .disks
        .iter()
        .map(|disk| disk.size_bytes)
        .sum()
}

fn stored_bytes(point: &Point) -> u64 {
    point.manifest.disks.iter().map(stored).sum()
}

fn stored(disk: &DiskEntry) -> u64 {
    disk.image.size_bytes + disk.index.size_bytes
}

fn point_json(point: &Point) -> Value {
    json!({
        "point": point.label(),
        "snapshot_id": point.manifest.snapshot_id,
        "type": kind(point),
        "created_at": point.manifest.created_at,
        "previous_snapshot_id": point.manifest.previous_snapshot_id,
        "source": point.source,
        "size_bytes": size_of_disks(point),
        "stored_bytes": stored_bytes(point),
        "disks": point.manifest.disks.iter().map(disk_json).collect::<Vec<_>>(),
    })
}

fn disk_json(disk: &DiskEntry) -> Value {
    json!({
        "disk": disk.disk,
        "resource_id": disk.resource_id,
        "size_bytes": disk.size_bytes,
        "data_bytes": disk.data_bytes,
        "stored_bytes": stored(disk),
        "image": disk.image.name,
    })
}

/// Columns as wide as their widest cell.
fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let heads = heads
        .iter()
        .map(|head| (*head).to_owned())
        .collect::<Vec<_>>();
    let all: Vec<_> = std::iter::once(&heads).chain(rows).collect();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let line = |row: &&Vec<String>| {
        let cells = row.iter().enumerate();
        let cells: Vec<_> = cells
            .map(|(column, cell)| format!("{cell:<width$}", width = width(column)))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}
