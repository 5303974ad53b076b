//! How a server comes to its credentials: it founds a group and makes them, it joins one and is
//! given them, or its folder has them. Later it renews them itself.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use evercube_metastore::Authority;
use evercube_service::Service;
use evercube_service::certificates::Certificates;
use evercube_service::identity::{random_id, read_sealed, write_sealed};
use evercube_vault::Vault;

use super::enroll::{Token, enroll};
use super::member::{Credentials, Shown};
use super::trust::Trust;
use super::{authority, failed};
use crate::client::secret_of;
use crate::config::ServeSettings;
use crate::failure::{Failure, Outcome};
use crate::termination::Termination;

/// The founder's authority, until the group has it.
fn authority_file(data: &Path) -> PathBuf {
    data.join("tls").join("authority.json")
}

/// What this server shows other members; `None` for one of a group whose members show nothing.
///
/// # Errors
/// `Usage` where a token is needed to join; `Refused` where the group does not take it.
pub async fn credentials(
    settings: &ServeSettings,
    vault: Option<&Vault>,
    termination: &mut Termination,
) -> Outcome<Option<Credentials>> {
    let data = &settings.data;
    // A folder without the group's log is a new server, whatever else lies in it.
    if data.join("metastore").exists() {
        return Credentials::load(data, vault);
    }
    if settings.no_auth && settings.join_token_file.is_none() {
        return Ok(None);
    }
    let node_id = random_id().map_err(|e| failed(&e))?;
    make_folder(&data.join("tls"))?;
    let own = match (settings.join.is_empty(), &settings.join_token_file) {
        (true, _) => found(settings, vault, node_id)?,
        (false, Some(file)) => join(settings, file, node_id, termination).await?,
        (false, None) => {
            return Err(Failure::Usage(
                "joining a group needs --join-token-file: make a token with 'evercube join-token create' (servers of one machine that all run with --no-auth need none)".into(),
            ));
        }
    };
    own.store(data, vault)?;
    Ok(Some(own))
}

fn found(settings: &ServeSettings, vault: Option<&Vault>, node_id: u64) -> Outcome<Credentials> {
    let made = authority::create()?;
    let text = serde_json::to_vec(&made).map_err(failed)?;
    write_sealed(vault, &authority_file(&settings.data), &text)
        .map_err(|e| Failure::Refused(e.to_string()))?;
    Credentials::issue(&made, node_id, settings.peer_certificate_life)
}

async fn join(
    settings: &ServeSettings,
    file: &Path,
    node_id: u64,
    termination: &mut Termination,
) -> Outcome<Credentials> {
    let token = Token::parse(&secret_of(file)?).ok_or_else(|| {
        Failure::Usage(format!("the file {} holds no join token", file.display()))
    })?;
    tokio::select! {
        own = enroll(&settings.join, &token, node_id) => own,
        () = termination.comes() => {
            Err(Failure::Refused("stopped before it could join".into()))
        }
    }
}

fn make_folder(folder: &Path) -> Outcome {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = std::fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|e| Failure::Refused(format!("cannot make the folder {}: {e}", folder.display())))
}

/// Makes the founder's authority the group's.
///
/// # Errors
/// `Refused` where the group does not take it; the file stays, for the next start.
pub async fn hand_over_authority(data: &Path, service: &Service) -> Outcome {
    let file = authority_file(data);
    let failed = |e: &dyn std::fmt::Display| Failure::Refused(format!("{}: {e}", file.display()));
    let vault = service.config.vault.as_deref();
    let Some(text) = read_sealed(vault, &file).map_err(|e| failed(&e))? else { return Ok(()) };
    let authority: Authority = serde_json::from_slice(&text).map_err(|e| failed(&e))?;
    service.record_authority(authority).await.map_err(|e| failed(&e))?;
    std::fs::remove_file(&file).map_err(|e| failed(&e))
}

/// What a member shows and trusts, and where it is kept and told of.
pub struct Kept {
    pub data: PathBuf,
    pub own: Credentials,
    pub shown: Arc<Shown>,
    pub trust: Arc<Trust>,
    pub life: Duration,
}

/// Keeps this server's certificate good from now on: it is renewed when a third of its time is
/// left, when it is good for longer than the settings say, and when the group has another
/// authority. Every member has the group's authority at hand, so nobody need be asked, and one that
/// was away for long comes back by itself.
pub fn keep_renewed(service: &Arc<Service>, mut kept: Kept) {
    const HOUR: Duration = Duration::from_secs(3600);
    let pause = HOUR.min(kept.life / 10).max(Duration::from_millis(100));
    let weak: Weak<Service> = Arc::downgrade(service);
    let mut changes = service.metastore.changes();
    tokio::spawn(async move {
        loop {
            let Some(service) = weak.upgrade() else { return };
            if let Err(e) = kept.look(&service) {
                tracing::warn!("the certificate for other members was not renewed: {e}");
            }
            drop(service);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    });
}

impl Kept {
    fn look(&mut self, service: &Service) -> Outcome {
        let book = &service.config.certificates;
        // After a start the state may be older than what the folder holds; it would lead back to
        // an authority that nobody trusts any more.
        let is_newest = service.metastore.status().caught_up;
        if let Some(authority) = service.authority() {
            let trusted = service.trusted_authorities();
            let (of_present, as_wanted) = self.own.fits(&trusted);
            let left = self.own.left();
            let ends = left < self.life / 3 || left > self.life;
            let due = if is_newest { ends || !of_present } else { ends && of_present };
            let trusted = match is_newest {
                true => trusted.join("\n"),
                false => self.own.authority.clone(),
            };
            if due || (is_newest && !as_wanted) {
                let vault = service.config.vault.as_deref();
                self.renew(&authority, trusted, due, vault)?;
            }
        }
        let clients = book.get().clients;
        book.change(|told| *told = Certificates { clients, ..self.own.told() });
        Ok(())
    }

    /// Takes these authorities for the trusted ones, and where it is due a new certificate.
    fn renew(
        &mut self,
        authority: &Authority,
        trusted: String,
        due: bool,
        vault: Option<&Vault>,
    ) -> Outcome {
        let certificate = match due {
            true => Credentials::issue(authority, self.own.node_id, self.life)?,
            false => self.own.clone(),
        };
        let new = Credentials { authority: trusted, ..certificate };
        // Others are trusted before anything is shown that they may answer to.
        self.trust.renew(&new.authority)?;
        new.store(&self.data, vault)?;
        self.shown.renew(&new)?;
        self.own = new;
        tracing::info!(due, "the certificate for other members, or who is trusted, was renewed");
        Ok(())
    }
}
