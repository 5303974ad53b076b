//! The description of the REST interface, served at `/api/v1/openapi.json`.

use serde_json::{Value as Json, json};

/// One operation: method, path, what it does, parameters of the URL, properties of the body.
struct Operation(
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const OPERATIONS: &[Operation] = &[
    Operation("get", "/status", "Servers of the group and the databases they hold", &[], &[]),
    Operation(
        "post",
        "/deploy",
        "Create or replace a database; the body is the model file",
        &["database", "stem", "parameter"],
        &[],
    ),
    Operation("get", "/operations/{id}", "Progress of a write, by its request id", &[], &[]),
    Operation("delete", "/databases/{database}", "Delete a database", &[], &[]),
    Operation(
        "post",
        "/databases/{database}/refresh",
        "Refresh a database, tables or partitions",
        &[],
        &["type", "objects"],
    ),
    Operation(
        "post",
        "/databases/{database}/query",
        "Answer a DAX query",
        &["read"],
        &["query", "at"],
    ),
    Operation(
        "post",
        "/databases/{database}/explain",
        "Show how a DAX query is answered",
        &["read"],
        &["query"],
    ),
    Operation(
        "post",
        "/databases/{database}/backup",
        "Back up a database into one file",
        &[],
        &["target", "password", "overwrite"],
    ),
    Operation(
        "post",
        "/restore",
        "Restore a database from a backup",
        &[],
        &["source", "database", "password", "overwrite", "roles"],
    ),
    Operation(
        "get",
        "/databases/{database}/verify",
        "Compare the database on all servers",
        &["deep"],
        &[],
    ),
];

/// The document as text.
pub fn document() -> String {
    let mut paths = serde_json::Map::new();
    for Operation(method, path, summary, parameters, properties) in OPERATIONS {
        let in_path = path.split('{').skip(1).filter_map(|p| p.split('}').next());
        let in_path = in_path.map(|n| parameter(n, "path", true));
        let in_query = parameters.iter().map(|n| parameter(n, "query", false));
        let mut operation = json!({
            "summary": summary,
            "parameters": in_path.chain(in_query).collect::<Vec<Json>>(),
            "responses": { "200": { "description": "Done" }, "default": { "description":
                "{\"error\": {\"kind\", \"message\"}}" } },
        });
        if !properties.is_empty() {
            let of: serde_json::Map<String, Json> =
                properties.iter().map(|p| ((*p).to_owned(), json!({}))).collect();
            operation["requestBody"] = json!({ "content": { "application/json": {
                "schema": { "type": "object", "properties": of } } } });
        }
        let at = paths.entry(format!("/api/v1{path}")).or_insert_with(|| json!({}));
        at[*method] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Evercube", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
    })
    .to_string()
}

fn parameter(name: &str, place: &str, required: bool) -> Json {
    json!({ "name": name, "in": place, "required": required, "schema": { "type": "string" } })
}
