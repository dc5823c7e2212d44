//! What a client asks of a restore, out of the contract's shape and back into it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use services_types::{RestoreKind, RestoreOptions};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::v1::wire::{check_name, lenient_bool};

/// `{"restore": {..}}` of a request to make one.
#[derive(Deserialize, ToSchema)]
pub(crate) struct CreateRestore {
    /// What to restore, and how.
    pub(crate) restore: NewRestoreObject,
}

/// A restore to be made.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewRestoreObject {
    name: Option<String>,
    description: Option<String>,
    #[serde(default)]
    options: OptionsObject,
}

/// How to restore; what is not listed here is ignored for a one-click restore.
#[derive(Default, Deserialize, Serialize, ToSchema)]
pub(crate) struct OptionsObject {
    /// Also found beside `options`, which wins.
    name: Option<String>,
    /// Also found beside `options`, which wins.
    description: Option<String>,
    /// `openstack`
    #[serde(rename = "type")]
    platform: Option<String>,
    /// Boolean, also as a word.
    #[serde(default, deserialize_with = "lenient_bool")]
    oneclickrestore: Option<bool>,
    /// `oneclick`
    restore_type: Option<String>,
}

/// A restore as its client asked for it.
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) options: RestoreOptions,
}

impl NewRestoreObject {
    /// A blank name is allowed and kept.
    pub(super) fn read(self) -> Result<Wanted, ApiError> {
        let kind = self.options.kind()?;
        let name = self
            .name
            .or(self.options.name)
            .unwrap_or_else(|| "restore".to_owned());
        check_name(&name)?;
        Ok(Wanted {
            name,
            description: self
                .description
                .or(self.options.description)
                .unwrap_or_default(),
            options: RestoreOptions { kind },
        })
    }
}

impl OptionsObject {
    fn kind(&self) -> Result<RestoreKind, ApiError> {
        let platform = self.platform.as_deref().unwrap_or("openstack");
        if !platform.eq_ignore_ascii_case("openstack") {
            let shown: String = platform.chars().take(64).collect();
            return Err(ApiError::BadRequest(format!(
                "A restore to `{shown}` is not possible."
            )));
        }
        let named = self.restore_type.as_deref().filter(|word| !word.is_empty());
        match (named, self.oneclickrestore) {
            (Some(word), _) => word
                .to_ascii_lowercase()
                .parse()
                .map_err(|_| unsupported(word)),
            (None, Some(true)) => Ok(RestoreKind::OneClick),
            (None, Some(false)) => Err(unsupported("selective")),
            (None, None) => Err(ApiError::BadRequest(
                "The options of a restore say neither `restore_type` nor `oneclickrestore`."
                    .to_owned(),
            )),
        }
    }
}

fn unsupported(word: &str) -> ApiError {
    let word: String = word.chars().take(64).collect();
    ApiError::BadRequest(format!("A restore of type `{word}` is not supported."))
}

/// The options as the contract shows them.
pub(super) fn shown(options: &RestoreOptions, name: &str, description: &str) -> Value {
    json!({
        "name": name,
        "description": description,
        "type": "openstack",
        "restore_type": options.kind.as_str(),
        "oneclickrestore": options.kind == RestoreKind::OneClick,
        "openstack": { "instances": [], "zone": "" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(restore: Value) -> Result<Wanted, ApiError> {
        serde_json::from_value::<CreateRestore>(json!({ "restore": restore }))
            .unwrap()
            .restore
            .read()
    }

    #[test]
    fn a_one_click_restore_is_recognised_however_it_is_said() {
        for options in [
            json!({"restore_type": "oneclick", "type": "openstack", "openstack": {}}),
            json!({"oneclickrestore": "True", "vmware": {}, "restore_options": {}}),
            json!({"oneclickrestore": true, "restore_type": "oneclick"}),
        ] {
            let wanted = read(json!({"options": options})).unwrap();
            assert_eq!(wanted.options.kind, RestoreKind::OneClick);
        }
    }

    #[test]
    fn name_and_description_are_found_in_either_place_and_may_be_blank() {
        let options = json!({"restore_type": "oneclick", "name": "inner", "description": "d"});
        assert_eq!(read(json!({"options": options})).unwrap().name, "inner");
        let wanted = read(json!({"name": " ", "options": options})).unwrap();
        assert_eq!(
            (wanted.name.as_str(), wanted.description.as_str()),
            (" ", "d")
        );
    }

    #[test]
    fn what_cannot_be_done_is_refused_and_not_done_differently() {
        for options in [
            json!({"restore_type": "selective"}),
            json!({"restore_type": "inplace", "oneclickrestore": false}),
            json!({"oneclickrestore": false}),
            json!({"restore_type": "oneclick", "type": "vmware"}),
            json!({}),
        ] {
            let refused = read(json!({"options": options}));
            assert!(matches!(refused, Err(ApiError::BadRequest(_))), "{options}");
        }
    }
}
