//! The command line.

#[cfg(test)]
mod reference;

use clap::{Parser, Subcommand};

use crate::command::{
    access, audit, authority, backup, backups, bench, config, demo, deploy, drain, drill,
    encryption, explain, failover, gateway, join_token, limit, link, members, policy, promote,
    query, refresh, restore, rollback, schedule, serve, source_logins, status, sync_mode, target,
    verify,
};
use crate::failure::Outcome;

/// Evercube: tabular models, queried in DAX over XMLA, on servers that stand in for each other
#[derive(Debug, Parser)]
#[command(name = "evercube", version, propagate_version = true)]
#[command(after_help = "Example:\n  evercube status --server http://127.0.0.1:8383\n\n\
    Exit status: 0 done, 1 refused or failed, 2 usage, 3 unreachable, 4 verify found a difference")]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Serve(serve::Serve),
    Gateway(gateway::GatewayArgs),
    Deploy(deploy::Deploy),
    Refresh(refresh::Refresh),
    Query(query::Query),
    Explain(explain::Explain),
    Backup(backup::Backup),
    Backups(backups::Backups),
    Restore(restore::Restore),
    Rollback(rollback::Rollback),
    Schedule(schedule::Schedules),
    Verify(verify::Verify),
    Status(status::Status),
    Failover(failover::Failover),
    Failback(failover::Failback),
    Drain(drain::Drain),
    Drill(drill::Drill),
    Members(members::Members),
    Replicas(members::Replicas),
    Policy(policy::Policy),
    SyncMode(sync_mode::SyncMode),
    Promote(promote::Promote),
    #[command(name = "limit")]
    Limits(limit::Limits),
    #[command(name = "target")]
    Targets(target::Targets),
    #[command(name = "link")]
    Links(link::Links),
    #[command(name = "user")]
    Users(access::Users),
    #[command(name = "admin")]
    Admins(access::Admins),
    #[command(name = "token")]
    Tokens(access::Tokens),
    Firewall(access::Firewall),
    #[command(name = "join-token")]
    JoinTokens(join_token::JoinTokens),
    Authority(authority::Authority),
    Audit(audit::Audit),
    Encryption(encryption::Encryption),
    Credentials(source_logins::Credentials),
    Config(config::Config),
    Demo(demo::Demo),
    Bench(bench::Bench),
}

impl Command {
    pub async fn run(&self) -> Outcome {
        match self {
            Self::Serve(args) => serve::run(args).await,
            Self::Gateway(args) => gateway::run(args).await,
            Self::Deploy(args) => deploy::run(args).await,
            Self::Refresh(args) => refresh::run(args).await,
            Self::Query(args) => query::run(args).await,
            Self::Explain(args) => explain::run(args).await,
            Self::Backup(args) => backup::run(args).await,
            Self::Backups(args) => backups::run(args).await,
            Self::Restore(args) => restore::run(args).await,
            Self::Rollback(args) => rollback::run(args).await,
            Self::Schedule(args) => schedule::run(args).await,
            Self::Verify(args) => verify::run(args).await,
            Self::Status(args) => status::run(args).await,
            Self::Failover(args) => failover::failover(args).await,
            Self::Failback(args) => failover::failback(args).await,
            Self::Drain(args) => drain::run(args).await,
            Self::Drill(args) => drill::run(args).await,
            Self::Members(args) => members::members(args).await,
            Self::Replicas(args) => members::replicas(args).await,
            Self::Policy(args) => policy::run(args).await,
            Self::SyncMode(args) => sync_mode::run(args).await,
            Self::Promote(args) => promote::run(args).await,
            Self::Limits(args) => limit::run(args).await,
            Self::Targets(args) => target::run(args).await,
            Self::Links(args) => link::run(args).await,
            Self::Users(args) => access::users(args).await,
            Self::Admins(args) => access::admins(args).await,
            Self::Tokens(args) => access::tokens(args).await,
            Self::Firewall(args) => access::firewall(args).await,
            Self::JoinTokens(args) => join_token::run(args).await,
            Self::Authority(args) => authority::run(args).await,
            Self::Audit(args) => audit::run(args).await,
            Self::Encryption(args) => encryption::run(args).await,
            Self::Credentials(args) => source_logins::run(args).await,
            Self::Config(args) => config::run(args),
            Self::Demo(args) => Box::pin(demo::run(args)).await,
            Self::Bench(args) => Box::pin(bench::run(args)).await,
        }
    }
}
