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
    Operation(
        "delete",
        "/operations/{id}",
        "Cancel a query or a write, by its request id",
        &[],
        &[],
    ),
    Operation(
        "get",
        "/audit/verify",
        "Prove that the audit logs of all servers are what was written",
        &[],
        &[],
    ),
    Operation("get", "/credentials", "Logins of data sources, without passwords", &[], &[]),
    Operation(
        "post",
        "/credentials",
        "Keep a login for a data source, for one database or all",
        &[],
        &["kind", "path", "database", "username", "password"],
    ),
    Operation(
        "post",
        "/credentials/remove",
        "Forget the login of a data source",
        &[],
        &["kind", "path", "database"],
    ),
    Operation(
        "post",
        "/encryption/rotate",
        "Let exactly the keys open the data folders that their sources give now",
        &[],
        &["server", "new_data_key"],
    ),
    Operation("post", "/cache/clear", "Forget results kept for later queries", &[], &[]),
    Operation("delete", "/databases/{database}", "Delete a database", &[], &[]),
    Operation(
        "post",
        "/databases/{database}/refresh",
        "Refresh a database, tables or partitions",
        &[],
        &["type", "objects", "overrides", "credentials"],
    ),
    Operation(
        "post",
        "/databases/{database}/query",
        "Answer a DAX query, or SELECT … FROM $SYSTEM.…",
        &["read"],
        &["query", "at", "timeout"],
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
        &["source", "database", "password", "overwrite", "roles", "at", "table"],
    ),
    Operation(
        "get",
        "/databases/{database}/versions",
        "The versions of a database that can be read and gone back to",
        &[],
        &[],
    ),
    Operation(
        "post",
        "/databases/{database}/rollback",
        "Make an earlier version of a database the newest again",
        &[],
        &["version"],
    ),
    Operation(
        "post",
        "/backups/list",
        "The backups at a target, or in the group's own folder",
        &[],
        &["target", "password"],
    ),
    Operation(
        "post",
        "/backups/verify",
        "Read backups back, whole, and say what was found",
        &[],
        &["target", "password"],
    ),
    Operation(
        "post",
        "/backups/prune",
        "Remove the backups that need not be kept",
        &[],
        &["target", "password", "last", "daily", "weekly", "monthly", "within_days", "dry_run"],
    ),
    Operation(
        "post",
        "/backups/init",
        "Make a backup repository",
        &[],
        &["target", "password", "label", "grace_hours"],
    ),
    Operation(
        "post",
        "/backups/passwords",
        "What the passwords of a backup repository are called",
        &[],
        &["target", "password"],
    ),
    Operation(
        "post",
        "/backups/add-password",
        "Let another password open a backup repository",
        &[],
        &["target", "password", "label", "new_password"],
    ),
    Operation(
        "post",
        "/backups/remove-password",
        "Let a password open a backup repository no more",
        &[],
        &["target", "password", "label"],
    ),
    Operation(
        "post",
        "/backups/test",
        "Test whether backups can be kept at a target",
        &[],
        &["target"],
    ),
    Operation(
        "get",
        "/databases/{database}/verify",
        "Compare the database on all servers",
        &["deep"],
        &[],
    ),
    Operation(
        "post",
        "/failover",
        "Move the writes of one database, or of all, to a server or region",
        &[],
        &["database", "to"],
    ),
    Operation(
        "post",
        "/failback",
        "Give writes that were moved back to who took them before",
        &[],
        &["database"],
    ),
    Operation("post", "/drain", "Empty a server before it is stopped", &[], &["server", "end"]),
    Operation(
        "post",
        "/drill",
        "Kill a server, or all of a region, for some seconds and measure what clients saw",
        &[],
        &["kill", "seconds"],
    ),
    Operation("get", "/members", "Members of the group", &["kind"], &[]),
    Operation(
        "post",
        "/members",
        "Make a server another kind of member, or say how to start a new one",
        &[],
        &["name", "kind"],
    ),
    Operation(
        "delete",
        "/members/{name}",
        "Take a member out of the group; with kinds only one of these",
        &["kind"],
        &[],
    ),
    Operation(
        "post",
        "/databases/{database}/policy",
        "Say what commits do while a failure domain is away",
        &[],
        &["policy"],
    ),
    Operation(
        "post",
        "/databases/{database}/sync-mode",
        "Say how servers keep a database the same",
        &[],
        &["mode", "on_difference", "to", "token", "target", "every_seconds"],
    ),
    Operation(
        "post",
        "/databases/{database}/follow",
        "Follow a database of another group: restore its newest backup and prove it",
        &[],
        &["group", "source", "every_seconds", "seq", "as_of_micros"],
    ),
    Operation(
        "post",
        "/databases/{database}/parallel",
        "Take part in a refresh of another group: read partitions, commit them, or forget them",
        &[],
        &["step", "request_id", "type", "objects"],
    ),
    Operation(
        "post",
        "/databases/{database}/promote",
        "Make a database that follows one of another group take writes",
        &[],
        &[],
    ),
    Operation(
        "post",
        "/promote",
        "Make this server go on alone, where no majority can be had any more",
        &[],
        &["accept_loss"],
    ),
    Operation(
        "post",
        "/authority/rotate",
        "Exchange the certificate authority of the group, or go on with that",
        &[],
        &[],
    ),
    Operation("get", "/links", "Where the aliases link://HOST/link/NAME lead", &[], &[]),
    Operation(
        "post",
        "/links",
        "Make an alias lead to this group or another one",
        &[],
        &["name", "target", "database"],
    ),
    Operation(
        "delete",
        "/links/{name}",
        "Make an alias lead to the group it is asked at",
        &[],
        &[],
    ),
    Operation("get", "/limits", "Limits that the group keeps for its servers", &[], &[]),
    Operation(
        "post",
        "/limits",
        "Set a limit for all servers that do not say otherwise themselves",
        &[],
        &["name", "value"],
    ),
    Operation("delete", "/limits/{name}", "Leave a limit to each server", &[], &[]),
    Operation("get", "/targets", "Places for backups that have a name in the group", &[], &[]),
    Operation(
        "post",
        "/targets",
        "Give a place for backups a name on all servers",
        &[],
        &["name", "settings"],
    ),
    Operation("delete", "/targets/{name}", "Take the name of a place for backups away", &[], &[]),
    Operation("get", "/users", "Users of the group", &[], &[]),
    Operation(
        "post",
        "/users",
        "Make a user, or give one a new password",
        &[],
        &["name", "password"],
    ),
    Operation("delete", "/users/{name}", "Delete a user", &[], &[]),
    Operation("get", "/admins", "Administrators of the group", &[], &[]),
    Operation("post", "/admins", "Make a user an administrator", &[], &["name", "password"]),
    Operation(
        "delete",
        "/admins/{name}",
        "Take the rights of an administrator from a user",
        &[],
        &[],
    ),
    Operation("get", "/tokens", "API tokens", &[], &[]),
    Operation(
        "post",
        "/tokens",
        "Make an API token; its secret is told once",
        &[],
        &["name", "user", "days"],
    ),
    Operation("delete", "/tokens/{name}", "Delete an API token", &[], &[]),
    Operation("get", "/join-tokens", "Tokens with which servers join", &[], &[]),
    Operation(
        "post",
        "/join-tokens",
        "Make a token with which servers join; it is told once",
        &[],
        &["name", "seconds", "uses"],
    ),
    Operation("delete", "/join-tokens/{name}", "Take a join token back", &[], &[]),
    Operation("get", "/firewall", "Firewall rules", &[], &[]),
    Operation(
        "post",
        "/firewall",
        "Let clients in from a range of addresses",
        &[],
        &["name", "first", "last"],
    ),
    Operation("delete", "/firewall/{name}", "Delete a firewall rule", &[], &[]),
    Operation("get", "/schedules", "What the group does at set times", &[], &[]),
    Operation(
        "post",
        "/schedules",
        "Add a schedule: a refresh, backup, restore or restore drill",
        &[],
        &[
            "name",
            "kind",
            "database",
            "cron",
            "time_zone",
            "target",
            "of",
            "roles",
            "type",
            "objects",
            "keep",
            "verify",
            "continuous",
            "queries",
            "on",
            "retries",
            "retry_pause_seconds",
            "catch_up",
            "replace",
        ],
    ),
    Operation("get", "/schedules/{name}", "The runs of a schedule, newest first", &[], &[]),
    Operation("post", "/schedules/{name}/run", "Run a schedule now", &[], &[]),
    Operation("delete", "/schedules/{name}", "Remove a schedule", &[], &[]),
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
