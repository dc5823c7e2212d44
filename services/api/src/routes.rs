//! The one table of endpoints. Routing and policy are built from it; the OpenAPI document and the
//! built-in rules are checked against it; `cargo xtask check` reads it (`backstay-api --print-routes`).

use actix_web::http::Method;
use actix_web::middleware::from_fn;
use actix_web::{Resource, Route as ActixRoute, web};
use serde::Serialize;

use crate::access::enforce;
use crate::v1::{restore, snapshot, trust, version, workload, workload_type};

/// One endpoint.
#[derive(Clone, Copy, Serialize)]
pub struct Route {
    /// `GET`, `POST`, ...
    pub method: &'static str,
    /// With `{name}` where a value stands.
    pub path: &'static str,
    /// Name of its policy rule.
    pub operation: &'static str,
    /// The path of the module that answers: `workload::list`.
    pub handler: &'static str,
    /// The only one without a token is the list of versions.
    pub needs_token: bool,
    #[serde(skip)]
    to: fn(ActixRoute) -> ActixRoute,
}

macro_rules! routes {
    ($($method:ident $path:literal $operation:literal $noun:ident::$verb:ident $(,$public:ident)?;)+) => {
        &[$(Route {
            method: stringify!($method),
            path: $path,
            operation: $operation,
            handler: concat!(stringify!($noun), "::", stringify!($verb)),
            needs_token: routes!(@needs_token $($public)?),
            to: |route| route.to($noun::$verb::handle),
        }),+]
    };
    (@needs_token public) => { false };
    (@needs_token) => { true };
}

/// Every endpoint. Where two paths match, the earlier one answers.
#[rustfmt::skip]
pub const ROUTES: &[Route] = routes! {
    GET    "/"                                                "versions:version_list"        version::list, public;

    GET    "/v1/{project_id}/workload_types"                  "workload:workload_type_list"  workload_type::list;
    GET    "/v1/{project_id}/workload_types/detail"           "workload:workload_type_list"  workload_type::list;
    GET    "/v1/{project_id}/workload_types/{id}"             "workload:workload_type_show"  workload_type::show;

    GET    "/v1/{project_id}/workloads"                       "workload:workload_list"       workload::list;
    POST   "/v1/{project_id}/workloads"                       "workload:workload_create"     workload::create;
    GET    "/v1/{project_id}/workloads/detail"                "workload:workload_list"       workload::list;
    GET    "/v1/{project_id}/workloads/{id}"                  "workload:workload_show"       workload::show;
    PUT    "/v1/{project_id}/workloads/{id}"                  "workload:workload_modify"     workload::update;
    DELETE "/v1/{project_id}/workloads/{id}"                  "workload:workload_delete"     workload::delete;
    POST   "/v1/{project_id}/workloads/{id}"                  "workload:workload_snapshot"   snapshot::create;
    POST   "/v1/{project_id}/workloads/{id}/unlock"           "workload:workload_unlock"     workload::unlock;

    GET    "/v1/{project_id}/snapshots"                       "snapshot:snapshot_list"       snapshot::list;
    GET    "/v1/{project_id}/snapshots/detail"                "snapshot:snapshot_list"       snapshot::list_detail;
    GET    "/v1/{project_id}/snapshots/{id}"                  "snapshot:snapshot_show"       snapshot::show;
    DELETE "/v1/{project_id}/snapshots/{id}"                  "snapshot:snapshot_delete"     snapshot::delete;
    POST   "/v1/{project_id}/snapshots/{id}"                  "snapshot:snapshot_restore"    restore::create;
    GET    "/v1/{project_id}/snapshots/{id}/cancel"           "snapshot:snapshot_cancel"     snapshot::cancel;
    POST   "/v1/{project_id}/snapshots/{id}/verify"           "snapshot:snapshot_verify"     snapshot::verify;
    GET    "/v1/{project_id}/workloads/{workload_id}/snapshots/{id}"
                                                              "snapshot:snapshot_show"       snapshot::show;
    DELETE "/v1/{project_id}/workloads/{workload_id}/snapshots/{id}"
                                                              "snapshot:snapshot_delete"     snapshot::delete;

    POST   "/v1/{project_id}/workloads/{workload_id}/snapshots/{id}/restores"
                                                              "snapshot:snapshot_restore"    restore::create;
    GET    "/v1/{project_id}/restores"                        "restore:restore_list"         restore::list;
    GET    "/v1/{project_id}/restores/detail"                 "restore:restore_list"         restore::list_detail;
    GET    "/v1/{project_id}/restores/{id}"                   "restore:restore_show"         restore::show;
    DELETE "/v1/{project_id}/restores/{id}"                   "restore:restore_delete"       restore::delete;
    GET    "/v1/{project_id}/restores/{id}/cancel"            "restore:restore_cancel"       restore::cancel;
    GET    "/v1/{project_id}/workloads/{workload_id}/snapshots/{snapshot_id}/restores/{id}"
                                                              "restore:restore_show"         restore::show;
    DELETE "/v1/{project_id}/workloads/{workload_id}/snapshots/{snapshot_id}/restores/{id}"
                                                              "restore:restore_delete"       restore::delete;

    GET    "/v1/{project_id}/trusts"                          "workload:trust_list"          trust::list;
    POST   "/v1/{project_id}/trusts"                          "workload:trust_create"        trust::create;
    GET    "/v1/{project_id}/trusts/{id}"                     "workload:trust_show"          trust::show;
    DELETE "/v1/{project_id}/trusts/{id}"                     "workload:trust_delete"        trust::delete;
};

/// The table's resources, in its order.
pub(crate) fn resources() -> Vec<Resource> {
    let mut paths: Vec<&str> = Vec::new();
    for route in ROUTES {
        if !paths.contains(&route.path) {
            paths.push(route.path);
        }
    }
    paths.into_iter().map(resource).collect()
}

fn resource(path: &'static str) -> Resource {
    let of_path = ROUTES.iter().filter(|route| route.path == path);
    let allowed: Vec<&str> = of_path.clone().map(|route| route.method).collect();
    let allowed = allowed.join(", ");
    let resource = web::resource(path).default_service(web::to(move || {
        let allowed = allowed.clone();
        async move { method_not_allowed(&allowed) }
    }));
    of_path.fold(resource, |resource, route| resource.route(guarded(route)))
}

fn guarded(route: &'static Route) -> ActixRoute {
    let method = Method::from_bytes(route.method.as_bytes()).unwrap_or(Method::GET);
    let handled = (route.to)(web::method(method));
    if !route.needs_token {
        return handled;
    }
    handled
        .wrap(from_fn(|request, next| {
            enforce(route.operation, request, next)
        }))
        .wrap(from_fn(services_keystone::authenticate))
}

fn method_not_allowed(allowed: &str) -> actix_web::HttpResponse {
    actix_web::HttpResponse::MethodNotAllowed()
        .insert_header((actix_web::http::header::ALLOW, allowed))
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::DEFAULTS;

    #[test]
    fn every_endpoint_has_a_policy_rule_and_every_rule_an_endpoint() {
        for route in ROUTES {
            let rules = DEFAULTS
                .iter()
                .filter(|rule| rule.operation == route.operation);
            assert_eq!(rules.count(), 1, "{} {}", route.method, route.path);
        }
        for rule in DEFAULTS.iter().filter(|rule| rule.operation.contains(':')) {
            let used = ROUTES.iter().any(|route| route.operation == rule.operation);
            assert!(used, "{}", rule.operation);
        }
    }

    #[test]
    fn no_endpoint_stands_in_the_table_twice() {
        for (position, route) in ROUTES.iter().enumerate() {
            let again = ROUTES[position + 1..]
                .iter()
                .any(|other| other.method == route.method && other.path == route.path);
            assert!(!again, "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn every_method_is_one_of_http() {
        for route in ROUTES {
            assert!(["GET", "POST", "PUT", "DELETE"].contains(&route.method));
        }
    }
}
