//! Rowsets about sessions, connections and commands. A user sees their own; an administrator, all.

use evercube_base::{Rowset, Value};

use super::context::{DiscoverContext, SessionInfo};
use super::{count, millis, text};

fn visible<'a>(context: &DiscoverContext<'a>) -> impl Iterator<Item = &'a SessionInfo> {
    let (all, user) = (context.is_admin, context.user);
    context.sessions.iter().filter(move |s| all || s.user.eq_ignore_ascii_case(user))
}

fn moment(value: Option<evercube_base::DateTime>) -> Value {
    value.map_or(Value::Blank, Value::DateTime)
}

pub(super) fn sessions(out: &mut Rowset, context: &DiscoverContext<'_>) {
    for s in visible(context) {
        let running = s.last_start.is_some() && s.last_end.is_none();
        let last_active = s.last_end.unwrap_or(s.started);
        let last = s.last_start.unwrap_or(s.started);
        out.push(&[
            ("SESSION_ID", text(&s.id)),
            ("SESSION_SPID", Value::Int(s.spid)),
            ("SESSION_CONNECTION_ID", Value::Int(s.connection)),
            ("SESSION_USER_NAME", text(&s.user)),
            ("SESSION_CURRENT_DATABASE", text(s.catalog.as_deref().unwrap_or(""))),
            ("SESSION_USED_MEMORY", Value::Int(0)),
            ("SESSION_PROPERTIES", text("")),
            ("SESSION_START_TIME", Value::DateTime(s.started)),
            ("SESSION_ELAPSED_TIME_MS", millis(s.started, context.now)),
            ("SESSION_LAST_COMMAND_START_TIME", moment(s.last_start)),
            ("SESSION_LAST_COMMAND_END_TIME", moment(s.last_end)),
            (
                "SESSION_LAST_COMMAND_ELAPSED_TIME_MS",
                millis(last, s.last_end.unwrap_or(if running { context.now } else { last })),
            ),
            (
                "SESSION_IDLE_TIME_MS",
                if running { Value::Int(0) } else { millis(last_active, context.now) },
            ),
            ("SESSION_CPU_TIME_MS", Value::Int(0)),
            ("SESSION_LAST_COMMAND", text(&s.last_command)),
            ("SESSION_LAST_COMMAND_CPU_TIME_MS", Value::Int(0)),
            ("SESSION_STATUS", Value::Int(i64::from(running))),
            ("SESSION_READS", Value::Int(0)),
            ("SESSION_WRITES", Value::Int(0)),
            ("SESSION_READ_KB", Value::Int(0)),
            ("SESSION_WRITE_KB", Value::Int(0)),
            ("SESSION_COMMAND_COUNT", count(s.commands)),
        ]);
    }
}

pub(super) fn connections(out: &mut Rowset, context: &DiscoverContext<'_>) {
    for s in visible(context) {
        let last = s.last_start.unwrap_or(s.started);
        out.push(&[
            ("CONNECTION_ID", Value::Int(s.connection)),
            ("CONNECTION_USER_NAME", text(&s.user)),
            ("CONNECTION_IMPERSONATED_USER_NAME", Value::Blank),
            ("CONNECTION_HOST_NAME", text(s.host.as_deref().unwrap_or(""))),
            ("CONNECTION_HOST_APPLICATION", text(s.application.as_deref().unwrap_or(""))),
            ("CONNECTION_START_TIME", Value::DateTime(s.started)),
            ("CONNECTION_ELAPSED_TIME_MS", millis(s.started, context.now)),
            ("CONNECTION_LAST_COMMAND_START_TIME", moment(s.last_start)),
            ("CONNECTION_LAST_COMMAND_END_TIME", moment(s.last_end)),
            (
                "CONNECTION_LAST_COMMAND_ELAPSED_TIME_MS",
                millis(last, s.last_end.unwrap_or(context.now)),
            ),
            ("CONNECTION_IDLE_TIME_MS", millis(s.last_end.unwrap_or(last), context.now)),
            ("CONNECTION_BYTES_SENT", Value::Int(0)),
            ("CONNECTION_DATA_BYTES_SENT", Value::Int(0)),
            ("CONNECTION_BYTES_RECEIVED", Value::Int(0)),
            ("CONNECTION_DATA_BYTES_RECEIVED", Value::Int(0)),
        ]);
    }
}

pub(super) fn commands(out: &mut Rowset, context: &DiscoverContext<'_>) {
    for c in context.commands {
        if !visible(context).any(|s| s.id == c.session_id) && !context.is_admin {
            continue;
        }
        out.push(&[
            ("SESSION_SPID", Value::Int(c.spid)),
            ("SESSION_COMMAND_COUNT", count(c.number)),
            ("COMMAND_START_TIME", Value::DateTime(c.started)),
            ("COMMAND_ELAPSED_TIME_MS", millis(c.started, c.ended.unwrap_or(context.now))),
            ("COMMAND_CPU_TIME_MS", Value::Int(0)),
            ("COMMAND_READS", Value::Int(0)),
            ("COMMAND_READ_KB", Value::Int(0)),
            ("COMMAND_WRITES", Value::Int(0)),
            ("COMMAND_WRITE_KB", Value::Int(0)),
            ("COMMAND_TEXT", text(&c.text)),
            ("COMMAND_END_TIME", moment(c.ended)),
        ]);
    }
}

/// One job per running command.
pub(super) fn jobs(out: &mut Rowset, context: &DiscoverContext<'_>) {
    let running = context.commands.iter().filter(|c| c.ended.is_none());
    for (i, c) in running.enumerate() {
        if !visible(context).any(|s| s.id == c.session_id) && !context.is_admin {
            continue;
        }
        out.push(&[
            ("SPID", Value::Int(c.spid)),
            ("JOB_ID", Value::Int(i as i64 + 1)),
            ("JOB_DESCRIPTION", text("Command")),
            ("JOB_THREADPOOL_ID", Value::Int(0)),
            ("JOB_CREATION_TIME", Value::DateTime(c.started)),
            ("JOB_START_TIME", Value::DateTime(c.started)),
            ("JOB_EXECUTION_TIME_MS", millis(c.started, context.now)),
            ("JOB_TOTAL_TIME_MS", millis(c.started, context.now)),
        ]);
    }
}
