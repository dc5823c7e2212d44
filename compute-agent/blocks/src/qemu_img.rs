//! What `qemu-img` tells of image files, without disturbing whoever uses them.

use std::path::Path;

use serde::Deserialize;

use crate::{
    BlocksError, ErrorKind, Settings,
    child::{ChildError, Invocation, output},
    qemu_nbd::{FileFormat, Layer},
};

/// No Nova or Cinder makes a longer chain; a loop of files must end.
const LONGEST_CHAIN: usize = 256;

/// A qcow2 or raw file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// The size a guest sees.
    pub virtual_size: u64,
    /// The file below it.
    pub backing: Option<Layer>,
    /// Persistent dirty bitmaps.
    pub bitmaps: Vec<Bitmap>,
}

/// A persistent dirty bitmap of a qcow2 file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap {
    /// Its name.
    pub name: String,
    /// It holds all changes: no program that writes has the file open, and none ended without
    /// storing it.
    pub is_whole: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Info {
    virtual_size: u64,
    backing_filename: Option<String>,
    full_backing_filename: Option<String>,
    backing_filename_format: Option<String>,
    format_specific: Option<FormatSpecific>,
}

#[derive(Deserialize)]
struct FormatSpecific {
    data: Specifics,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Specifics {
    bitmaps: Vec<BitmapInfo>,
    data_file: Option<String>,
    encrypt: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct BitmapInfo {
    name: String,
    flags: Vec<String>,
}

/// Looks at one file in the format that is named, never in one that it seems to have.
pub fn info(layer: &Layer, settings: &Settings) -> Result<ImageInfo, BlocksError> {
    let doing = || format!("look at {}", layer.path.display());
    let invocation = Invocation::new(&settings.qemu_img)
        .arg("info")
        .arg("--force-share")
        .arg("--output=json")
        .pair("-f", layer.format.driver())
        .arg(plain(&layer.path, &doing())?);
    let printed = run(invocation, settings, &doing())?;
    let info: Info = serde_json::from_slice(&printed)
        .map_err(|error| BlocksError::caused(ErrorKind::Protocol, doing(), error))?;
    let specifics = info
        .format_specific
        .map(|specific| specific.data)
        .unwrap_or_default();
    let strange = |what: &str| {
        let doing = format!("{}, which {what}", doing());
        Err(BlocksError::new(ErrorKind::Invalid, doing))
    };
    if specifics.data_file.is_some() {
        return strange("keeps its bytes in another file");
    }
    if specifics.encrypt.is_some() {
        return strange("is encrypted");
    }
    let backing = match info.full_backing_filename.or(info.backing_filename) {
        None => None,
        Some(path) => {
            let format = match info.backing_filename_format.as_deref() {
                Some("raw") => FileFormat::Raw,
                Some("qcow2") => FileFormat::Qcow2,
                _ => return strange("does not say what format its backing file has"),
            };
            let path = layer.path.parent().unwrap_or(Path::new("/")).join(path);
            Some(Layer { path, format })
        }
    };
    let bitmaps = specifics.bitmaps.into_iter().map(|bitmap| Bitmap {
        is_whole: !bitmap.flags.iter().any(|flag| flag == "in-use"),
        name: bitmap.name,
    });
    Ok(ImageInfo {
        virtual_size: info.virtual_size,
        backing,
        bitmaps: bitmaps.collect(),
    })
}

/// The file and all below it, newest first.
pub fn chain(top: &Layer, settings: &Settings) -> Result<Vec<Layer>, BlocksError> {
    let mut layers = vec![top.clone()];
    let mut below = info(top, settings)?.backing;
    while let Some(layer) = below {
        if layers.len() == LONGEST_CHAIN {
            let doing = format!("follow the backing files of {}", top.path.display());
            return Err(BlocksError::new(ErrorKind::Invalid, doing));
        }
        below = match layer.format {
            FileFormat::Raw => None,
            FileFormat::Qcow2 => info(&layer, settings)?.backing,
        };
        layers.push(layer);
    }
    Ok(layers)
}

/// Removes a bitmap from a file that nobody has open; one that is not there is success.
pub fn remove_bitmap(file: &Path, name: &str, settings: &Settings) -> Result<(), BlocksError> {
    let layer = Layer {
        path: file.to_owned(),
        format: FileFormat::Qcow2,
    };
    let bitmaps = info(&layer, settings)?.bitmaps;
    if !bitmaps.iter().any(|bitmap| bitmap.name == name) {
        return Ok(());
    }
    let doing = format!("remove bitmap {name} of {}", file.display());
    let invocation = Invocation::new(&settings.qemu_img)
        .arg("bitmap")
        .arg("--remove")
        .pair("-f", "qcow2")
        .arg(plain(file, &doing)?)
        .arg(name);
    run(invocation, settings, &doing).map(drop)
}

/// A path that no program takes for an option or a protocol.
fn plain(path: &Path, doing: &str) -> Result<String, BlocksError> {
    match path.to_str() {
        Some(text) if path.is_absolute() => Ok(text.to_owned()),
        _ => Err(BlocksError::new(
            ErrorKind::Invalid,
            format!("{doing}, whose path is not absolute"),
        )),
    }
}

fn run(invocation: Invocation, settings: &Settings, doing: &str) -> Result<Vec<u8>, BlocksError> {
    output(invocation, settings.command_timeout).map_err(|error| {
        let kind = match &error {
            ChildError::Start { .. } => ErrorKind::Setup,
            ChildError::Failed { stderr, .. } => kind_of_words(stderr),
            ChildError::TimedOut { .. } => ErrorKind::Timeout,
            ChildError::TooMuch { .. } => ErrorKind::Protocol,
            ChildError::Wait { .. } => ErrorKind::Io,
        };
        BlocksError::caused(kind, doing, error)
    })
}

fn kind_of_words(stderr: &str) -> ErrorKind {
    let words = [
        ("Permission denied", ErrorKind::Denied),
        ("No such file or directory", ErrorKind::NotFound),
        ("Stale file handle", ErrorKind::Unavailable),
        // Somebody runs the guest.
        ("lock", ErrorKind::Unavailable),
    ];
    let found = words.iter().find(|(words, _)| stderr.contains(words));
    found.map_or(ErrorKind::Io, |(_, kind)| *kind)
}
