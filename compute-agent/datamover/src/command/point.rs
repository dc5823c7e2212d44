//! `NAME[@POINT]`: which backup is meant.

use std::str::FromStr;

use agent_format::WorkloadId;
use uuid::Uuid;

/// Of names of the command, apart from the ids that a cloud gives out.
const NAMES: Uuid = Uuid::from_u128(0x8d0f_6b5e_3a55_4c39_9d53_6b1c_2f0e_71a4);

/// A name and, if wanted, a point in time of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointSpec {
    /// A name, or a workload's id.
    pub name: String,
    /// A point's name, the beginning of its id, or `latest`; none: not said.
    pub point: Option<String>,
}

impl FromStr for PointSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, point) = match text.split_once('@') {
            Some((name, point)) => (name, Some(parse_name(point)?)),
            None => (text, None),
        };
        let name = parse_name(name)?;
        Ok(Self { name, point })
    }
}

/// What a name may be.
pub(super) fn parse_name(text: &str) -> Result<String, String> {
    let is_odd = |c: char| c.is_control() || c == '@';
    match text {
        "" => Err("a name is not empty".to_owned()),
        _ if text.len() > 255 => Err("a name has at most 255 bytes".to_owned()),
        _ if text.contains(is_odd) => Err("a name has no @ and no control characters".to_owned()),
        _ if text.trim() != text => Err("a name does not begin or end with a space".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// The workload that a name of the command stands for.
pub(super) fn workload_of(name: &str) -> WorkloadId {
    WorkloadId(Uuid::new_v5(&NAMES, name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_alone_or_with_a_point() {
        let parse = |text: &str| text.parse::<PointSpec>();
        let spec = |name: &str, point: Option<&str>| {
            Ok(PointSpec {
                name: name.to_owned(),
                point: point.map(str::to_owned),
            })
        };
        assert_eq!(parse("web"), spec("web", None));
        assert_eq!(
            parse("web server@latest"),
            spec("web server", Some("latest"))
        );
        for bad in ["", "@", "web@", "@latest", "a@b@c", "a\nb", " a"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_same_name_is_the_same_workload_for_ever() {
        let id = "e83ed164-51f3-5341-a18b-69d2e923ddc5";
        assert_ne!(workload_of("web"), workload_of("Web"));
        assert_eq!(workload_of("web").to_string(), id);
    }
}
