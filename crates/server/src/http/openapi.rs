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
        &["kind", "path", "database", "username", "password", "certificate", "key"],
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
        &["target", "password", "overwrite", "verify"],
    ),
    Operation(
        "post",
        "/restore",
        "Restore a database from a backup",
        &[],
        &["source", "database", "password", "overwrite", "roles", "at", "table", "partition"],
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
    Operation("get", "/openapi.json", "This description", &[], &[]),
    Operation(
        "post",
        "/servers/{server}/models/{model}/refreshes",
        "Begin a refresh that goes on in the background, as in Azure Analysis Services",
        &[],
        &[
            "type",
            "commitMode",
            "maxParallelism",
            "retryCount",
            "objects",
            "timeout",
            "applyRefreshPolicy",
            "effectiveDate",
            "notifyOption",
        ],
    ),
    Operation(
        "get",
        "/servers/{server}/models/{model}/refreshes",
        "Refreshes of a model, newest first",
        &["$top"],
        &[],
    ),
    Operation(
        "get",
        "/servers/{server}/models/{model}/refreshes/{id}",
        "How far a refresh is",
        &[],
        &[],
    ),
    Operation(
        "delete",
        "/servers/{server}/models/{model}/refreshes/{id}",
        "Cancel a refresh",
        &[],
        &[],
    ),
    Operation(
        "post",
        "/servers/{server}/models/{model}/sync",
        "Begin to wait until every server serves the newest version",
        &[],
        &[],
    ),
    Operation(
        "get",
        "/servers/{server}/models/{model}/sync",
        "Which version every server serves",
        &[],
        &[],
    ),
    Operation(
        "get",
        "/servers/{server}/models/{model}/sync/{id}",
        "Whether every server serves the version that was waited for",
        &[],
        &[],
    ),
];

/// The path as it is asked for.
fn whole(path: &str) -> String {
    match path.starts_with("/servers/") {
        true => path.to_owned(),
        false => format!("/api/v1{path}"),
    }
}

/// The statuses of an operation that went well: what goes on in the background is accepted.
fn done(method: &str, path: &str) -> &'static str {
    match method == "post" && path.starts_with("/servers/") {
        true => "202",
        false => "200",
    }
}

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
            "responses": { done(method, path): { "description": "Done" }, "default": {
                "description": "{\"error\": {\"kind\", \"message\"}}" } },
        });
        if !properties.is_empty() {
            let of: serde_json::Map<String, Json> =
                properties.iter().map(|p| ((*p).to_owned(), json!({}))).collect();
            operation["requestBody"] = json!({ "content": { "application/json": {
                "schema": { "type": "object", "properties": of } } } });
        }
        let at = paths.entry(whole(path)).or_insert_with(|| json!({}));
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bytes::Bytes;
    use http::Method;

    use super::super::asked::Asked;
    use super::super::{refreshes, rest};
    use super::*;

    /// What stands where a path has a name of the caller's.
    const NAME: &str = "a-name";

    fn is_served(method: &Method, path: &str) -> bool {
        let asked = Asked {
            method: method.clone(),
            path: path.to_owned(),
            query: String::new(),
            headers: http::HeaderMap::new(),
            body: Bytes::new(),
            held: std::sync::Arc::default(),
            patience: None,
            deadline: None,
        };
        rest::route(&asked).is_some() || refreshes::route(&asked).is_some()
    }

    /// The words in quotes that choices are made by in the sources of the interface: those of paths
    /// are among them.
    fn words() -> BTreeSet<String> {
        fn read(folder: &std::path::Path, words: &mut BTreeSet<String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    read(&path, words);
                    continue;
                }
                let text = std::fs::read_to_string(path).unwrap();
                let is_plain = |c: char| c.is_ascii_lowercase() || "-._".contains(c);
                let arms = text.lines().filter(|l| l.contains("=>") || l.contains("] if"));
                let quoted = arms.flat_map(|l| l.split('"'));
                let quoted = quoted.filter(|w| !w.is_empty() && w.chars().all(is_plain));
                words.extend(quoted.map(str::to_owned));
            }
        }
        let mut words = BTreeSet::from([NAME.to_owned()]);
        read(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/http")), &mut words);
        words
    }

    fn described() -> Vec<(String, Vec<String>)> {
        let parts = |path: &str| whole(path).split('/').map(str::to_owned).collect();
        OPERATIONS.iter().map(|o| (o.0.to_uppercase(), parts(o.1))).collect()
    }

    fn is_described(all: &[(String, Vec<String>)], method: &Method, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |of: &[String]| {
            let same = |(a, b): (&String, &&str)| a.starts_with('{') || a == b;
            of.len() == parts.len() && of.iter().zip(&parts).all(same)
        };
        all.iter().any(|(m, of)| m == method.as_str() && fits(of))
    }

    #[test]
    fn every_route_is_described_and_what_is_described_is_served() {
        let all = described();
        for (method, parts) in &all {
            let named = |p: &String| if p.starts_with('{') { NAME.to_owned() } else { p.clone() };
            let path = parts.iter().map(named).collect::<Vec<_>>().join("/");
            let method = method.parse().unwrap();
            assert!(is_served(&method, &path), "{method} {path} is described and not served");
        }
        let words = words();
        assert!(words.len() > 60 && words.contains("databases"), "{}", words.len());
        let methods = [Method::GET, Method::POST, Method::DELETE, Method::PUT, Method::PATCH];
        let mut served = 0;
        let mut try_path = |path: String| {
            for method in &methods {
                if is_served(method, &path) {
                    served += 1;
                    assert!(is_described(&all, method, &path), "{method} {path} is not described");
                }
            }
        };
        for a in &words {
            try_path(format!("/api/v1/{a}"));
            try_path(format!("/servers/{NAME}/models/{NAME}/{a}"));
            try_path(format!("/servers/{NAME}/models/{NAME}/{a}/{NAME}"));
            for b in &words {
                try_path(format!("/api/v1/{a}/{b}"));
                try_path(format!("/api/v1/{a}/{NAME}/{b}"));
            }
        }
        assert!(served >= all.len(), "{served} of {}", all.len());
    }
}
