//! The OpenAPI document: paths and operations out of [`ROUTES`], shapes out of the wire types, and
//! from the table below what each handler takes and gives.

use utoipa::openapi::path::{
    Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, HttpMethod, ObjectBuilder, OpenApi as Document, PathItem, Ref, Required,
    ResponseBuilder, ResponsesBuilder, Type,
};
use utoipa::{IntoParams, OpenApi, ToSchema};

use crate::routes::{ROUTES, Route};
use crate::v1::{restore, snapshot, trust, version, workload, workload_type};

const TOKEN: &str = "token";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Backstay",
        description = "Backup as a service for OpenStack: the workload manager's API.",
    ),
    components(schemas(
        version::list::Versions,
        workload_type::WorkloadTypeAnswer,
        workload_type::WorkloadTypeList,
        workload::CreateWorkload,
        workload::ChangeWorkload,
        workload::WorkloadAnswer,
        workload::WorkloadDetailAnswer,
        workload::WorkloadList,
        snapshot::CreateSnapshot,
        snapshot::SnapshotAnswer,
        snapshot::SnapshotList,
        snapshot::SnapshotListDetail,
        snapshot::SnapshotShowAnswer,
        restore::CreateRestore,
        restore::RestoreAnswer,
        restore::RestoreList,
        restore::RestoreListDetail,
        restore::RestoreShowAnswer,
        trust::CreateTrust,
        trust::TrustAnswer,
        trust::TrustList,
        Fault,
    ))
)]
struct Base;

/// One key, named after the error (`itemNotFound`, `conflictingRequest`, ..), with this in it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "stands for the shape in the document only")]
struct Fault {
    /// The HTTP status.
    code: u16,
    /// What the client is told.
    message: String,
}

/// What a handler takes and gives.
struct Shape {
    summary: &'static str,
    body: Option<&'static str>,
    is_body_required: bool,
    status: u16,
    answer: Option<&'static str>,
    query: fn() -> Vec<Parameter>,
}

const fn gives(summary: &'static str, status: u16, answer: &'static str) -> Shape {
    Shape {
        summary,
        body: None,
        is_body_required: false,
        status,
        answer: Some(answer),
        query: none,
    }
}

const fn does(summary: &'static str, status: u16) -> Shape {
    Shape {
        summary,
        body: None,
        is_body_required: false,
        status,
        answer: None,
        query: none,
    }
}

impl Shape {
    const fn takes(mut self, body: &'static str) -> Self {
        self.body = Some(body);
        self.is_body_required = true;
        self
    }

    const fn may_take(mut self, body: &'static str) -> Self {
        self.body = Some(body);
        self
    }

    const fn with_query(mut self, query: fn() -> Vec<Parameter>) -> Self {
        self.query = query;
        self
    }
}

fn none() -> Vec<Parameter> {
    Vec::new()
}

fn query<T: IntoParams>() -> Vec<Parameter> {
    T::into_params(|| Some(ParameterIn::Query))
}

fn shape(handler: &str) -> Option<Shape> {
    Some(match handler {
        "version::list" => gives("List API versions", 200, "Versions"),
        "workload_type::list" => gives("List workload types", 200, "WorkloadTypeList"),
        "workload_type::show" => gives("Show a workload type", 200, "WorkloadTypeAnswer"),
        "workload::list" => {
            gives("List workloads", 200, "WorkloadList").with_query(query::<workload::list::Filter>)
        }
        "workload::create" => {
            gives("Create a workload", 202, "WorkloadAnswer").takes("CreateWorkload")
        }
        "workload::show" => gives("Show a workload", 200, "WorkloadDetailAnswer"),
        "workload::update" => {
            gives("Change a workload", 202, "WorkloadAnswer").takes("ChangeWorkload")
        }
        "workload::delete" => does("Delete a workload without snapshots", 202),
        "workload::unlock" => does("Set a workload back to available", 202),
        "snapshot::create" => gives("Take a snapshot of a workload", 202, "SnapshotAnswer")
            .may_take("CreateSnapshot")
            .with_query(query::<snapshot::create::Kind>),
        "snapshot::list" => {
            gives("List snapshots", 200, "SnapshotList").with_query(query::<snapshot::list::Filter>)
        }
        "snapshot::list_detail" => gives("List snapshots in detail", 200, "SnapshotListDetail")
            .with_query(query::<snapshot::list::Filter>),
        "snapshot::show" => gives("Show a snapshot", 200, "SnapshotShowAnswer"),
        "snapshot::delete" => does("Delete a snapshot", 202),
        "snapshot::cancel" => does("Stop a running snapshot", 202),
        "snapshot::verify" => gives("Verify a snapshot", 202, "SnapshotAnswer"),
        "restore::create" => {
            gives("Restore a snapshot", 202, "RestoreAnswer").takes("CreateRestore")
        }
        "restore::list" => {
            gives("List restores", 200, "RestoreList").with_query(query::<restore::list::Filter>)
        }
        "restore::list_detail" => gives("List restores in detail", 200, "RestoreListDetail")
            .with_query(query::<restore::list::Filter>),
        "restore::show" => gives("Show a restore", 200, "RestoreShowAnswer"),
        "restore::delete" => does("Delete the record of a restore", 202),
        "restore::cancel" => does("Stop a running restore", 202),
        "trust::list" => gives("List trusts", 200, "TrustList"),
        "trust::create" => gives("Create a trust", 200, "TrustList").takes("CreateTrust"),
        "trust::show" => gives("Show a trust", 200, "TrustAnswer"),
        "trust::delete" => does("Revoke a trust", 200),
        _ => return None,
    })
}

/// The document as text.
pub fn document() -> Result<String, serde_json::Error> {
    let mut document = Base::openapi();
    document
        .components
        .get_or_insert_default()
        .add_security_scheme(
            TOKEN,
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Auth-Token"))),
        );
    for route in ROUTES {
        if let (Some(shape), Some(method)) = (shape(route.handler), method(route)) {
            add(&mut document, route, method, operation(route, &shape));
        }
    }
    serde_json::to_string_pretty(&document)
}

fn add(document: &mut Document, route: &Route, method: HttpMethod, operation: Operation) {
    let item = PathItem::new(method, operation);
    match document.paths.paths.get_mut(route.path) {
        Some(existing) => existing.merge_operations(item),
        None => drop(document.paths.paths.insert(route.path.to_owned(), item)),
    }
}

fn method(route: &Route) -> Option<HttpMethod> {
    match route.method {
        "GET" => Some(HttpMethod::Get),
        "POST" => Some(HttpMethod::Post),
        "PUT" => Some(HttpMethod::Put),
        "DELETE" => Some(HttpMethod::Delete),
        _ => None,
    }
}

fn operation(route: &Route, shape: &Shape) -> Operation {
    let noun = route.handler.split("::").next();
    let mut built = OperationBuilder::new()
        .operation_id(Some(operation_id(route)))
        .summary(Some(shape.summary))
        .description(Some(format!("Policy rule: `{}`", route.operation)))
        .tag(noun.unwrap_or_default())
        .responses(responses(shape));
    for parameter in path_parameters(route.path).chain((shape.query)()) {
        built = built.parameter(parameter);
    }
    if let Some(body) = shape.body {
        let required = if shape.is_body_required {
            Required::True
        } else {
            Required::False
        };
        let body = RequestBodyBuilder::new()
            .content("application/json", content(body))
            .required(Some(required));
        built = built.request_body(Some(body.build()));
    }
    if route.needs_token {
        built = built.security(SecurityRequirement::new::<_, [&str; 0], &str>(TOKEN, []));
    }
    built.build()
}

/// One operation may be found at several paths, and ids must differ: those below a parent say so.
fn operation_id(route: &Route) -> String {
    let parents = route.path.matches('{').count();
    let name = route.handler.replace("::", "_");
    match (parents, route.path.ends_with("/detail"), route.handler) {
        (_, true, "workload::list" | "workload_type::list") => format!("{name}_detail"),
        (3.., ..) => format!("{name}_of_parent"),
        _ => name,
    }
}

fn path_parameters(path: &str) -> impl Iterator<Item = Parameter> {
    let names = path
        .split('/')
        .filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
            .build()
    })
}

fn responses(shape: &Shape) -> utoipa::openapi::Responses {
    let mut done = ResponseBuilder::new().description("Done, or asked for");
    if let Some(answer) = shape.answer {
        done = done.content("application/json", content(answer));
    }
    let refused = ResponseBuilder::new()
        .description("Not done: one key, named after the error, with this in it")
        .content("application/json", content("Fault"));
    ResponsesBuilder::new()
        .response(shape.status.to_string(), done.build())
        .response("default", refused.build())
        .build()
}

fn content(schema: &str) -> utoipa::openapi::Content {
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn parsed() -> Value {
        serde_json::from_str(&document().unwrap()).unwrap()
    }

    #[test]
    fn every_endpoint_is_described() {
        let document = parsed();
        for route in ROUTES {
            assert!(shape(route.handler).is_some(), "{}", route.handler);
            let operation = &document["paths"][route.path][route.method.to_lowercase()];
            assert!(operation.is_object(), "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn every_shape_that_is_referred_to_is_there() {
        let text = document().unwrap();
        let document = parsed();
        for piece in text.split("\"#/components/schemas/").skip(1) {
            let name = piece.split('"').next().unwrap();
            assert!(
                document["components"]["schemas"][name].is_object(),
                "{name}"
            );
        }
    }

    #[test]
    fn operation_ids_differ() {
        let ids: Vec<_> = ROUTES.iter().map(operation_id).collect();
        assert_eq!(
            ids.iter().collect::<BTreeSet<_>>().len(),
            ids.len(),
            "{ids:?}"
        );
    }

    #[test]
    fn the_document_that_is_checked_in_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept.trim_end() == document().unwrap(),
            "write it anew: cargo run -p services-api -- --print-openapi > services/api/openapi.json"
        );
    }
}
