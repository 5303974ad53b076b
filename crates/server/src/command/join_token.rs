//! `evercube join-token`: lets servers join a group whose members prove who they are.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde_json::{Value as Json, json};

use super::access::List;
use super::credentials::Account;
use crate::client::{percent_encode, request_id};
use crate::failure::{Failure, Outcome};
use crate::output::print;

/// Make, list and remove the tokens with which servers join the group
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  evercube join-token create --server https://10.0.0.1:8383 > token\n  \
    evercube serve --join 10.0.0.1:8500 --join-token-file token --peer-listen 10.0.0.2:8500"
)]
pub struct JoinTokens {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a token and print it; it is shown this once
    Create(Create),
    /// Show the tokens, and who joined with them
    List(List),
    /// Take a token back; servers that joined with it stay
    Remove(Remove),
}

#[derive(Debug, clap::Args)]
struct Create {
    #[command(flatten)]
    account: Account,
    /// Name to list and remove it by; without it one is drawn
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How long servers may join with it, as 30m, 24h or 7d
    #[arg(long, value_name = "TIME", default_value = "24h")]
    valid_for: String,
    /// How many servers may join with it
    #[arg(long, value_name = "N", default_value_t = 1)]
    uses: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Remove {
    #[command(flatten)]
    account: Account,
    /// Its name
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const PATH: &str = "/api/v1/join-tokens";

pub async fn run(args: &JoinTokens) -> Outcome {
    match &args.action {
        Action::Create(args) => create(args).await,
        Action::List(args) => list(args).await,
        Action::Remove(args) => remove(args).await,
    }
}

async fn create(args: &Create) -> Outcome {
    let seconds = seconds(&args.valid_for).ok_or_else(|| {
        Failure::Usage(format!("'{}' is no time; write it as 30m, 24h or 7d", args.valid_for))
    })?;
    let body = json!({ "name": args.name, "seconds": seconds, "uses": args.uses });
    let bytes = args.account.client()?.post_json(PATH, &body, &request_id()?).await?;
    let made: Json = crate::client::json(&bytes)?;
    if args.json {
        return print(&format!("{made}\n"));
    }
    print(&format!("{}\n", made["token"].as_str().unwrap_or_default()))
}

/// `45s`, `30m`, `24h`, `7d`.
fn seconds(text: &str) -> Option<u32> {
    let text = text.trim();
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(unit)
}

async fn list(args: &List) -> Outcome {
    let bytes = args.account.client()?.get(PATH).await?;
    let found: Json = crate::client::json(&bytes)?;
    if args.json {
        return print(&format!("{found}\n"));
    }
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(["name", "made by", "until", "uses", "used by"]);
    for token in found["join_tokens"].as_array().into_iter().flatten() {
        let text = |name: &str| token[name].as_str().unwrap_or_default().to_owned();
        let until =
            token["expires_unix"].as_i64().and_then(|s| chrono::DateTime::from_timestamp(s, 0));
        let names: Vec<&str> =
            token["used_by"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        table.add_row([
            text("name"),
            text("created_by"),
            until.map_or_else(String::new, |t| t.format("%Y-%m-%d %H:%M:%S UTC").to_string()),
            format!("{} of {}", names.len(), token["uses"]),
            names.join(", "),
        ]);
    }
    print(&format!("{table}\n"))
}

async fn remove(args: &Remove) -> Outcome {
    let path = format!("{PATH}/{}", percent_encode(&args.name));
    let bytes = args.account.client()?.delete(&path, &request_id()?).await?;
    if args.json {
        return print(&format!("{}\n", String::from_utf8_lossy(&bytes).trim_end()));
    }
    print(&format!("removed '{}'\n", args.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!(seconds("30m"), Some(1800));
        assert_eq!(seconds("7d"), Some(604_800));
        for wrong in ["", "h", "24", "-1h", "9999999d", "1ü"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
