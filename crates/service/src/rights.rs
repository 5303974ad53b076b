//! What a caller may do: the rights of server administrators, and those that roles of a database
//! give to their members.

use evercube_base::{Error, ErrorKind, Result};
use evercube_model::tabular::{Model, Role};

use crate::service::Service;
use crate::session::Session;
use crate::versions::LoadedVersion;

/// What a caller may do with one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Rights {
    pub read: bool,
    pub refresh: bool,
    pub administer: bool,
}

/// The right something needs.
#[derive(Debug)]
pub(crate) enum Need {
    Refresh,
    /// With what is done, for the refusal.
    Administer(&'static str),
}

impl Rights {
    const ALL: Self = Self { read: true, refresh: true, administer: true };

    /// Whether the caller may know that the database exists.
    pub fn any(self) -> bool {
        self.read || self.refresh || self.administer
    }
}

impl Session {
    /// Whether the caller has the rights of a server administrator in this request: one who acts as
    /// another user or in roles has not.
    pub fn rules(&self) -> bool {
        self.is_admin && !self.acts()
    }

    /// Whether the request is to be answered as another user would see it.
    pub fn acts(&self) -> bool {
        !self.roles.is_empty() || self.effective_user.is_some()
    }

    /// Whether the user, or a group of theirs, is a member. Of an effective user no groups are known.
    pub(crate) fn is_member(&self, role: &Role) -> bool {
        let groups = if self.effective_user.is_some() { &[] } else { self.groups.as_slice() };
        let mut names = groups.iter().map(String::as_str).chain([self.acting_user()]);
        names.any(|n| role.members.iter().any(|m| m.member_name.eq_ignore_ascii_case(n)))
    }

    pub(crate) fn rights(&self, model: &Model) -> Rights {
        if self.rules() {
            return Rights::ALL;
        }
        if !self.is_admin && self.acts() {
            return Rights::default();
        }
        // Roles that were asked for show what their members see.
        if !self.roles.is_empty() {
            return Rights { read: true, ..Rights::default() };
        }
        let mut rights = Rights::default();
        for role in &model.roles {
            if !self.is_member(role) {
                continue;
            }
            match role.model_permission.as_deref() {
                Some("read") => rights.read = true,
                Some("refresh") => rights.refresh = true,
                Some("readRefresh") => (rights.read, rights.refresh) = (true, true),
                Some("administrator") => return Rights::ALL,
                _ => {}
            }
        }
        rights
    }
}

impl Service {
    /// The caller's rights to a database as this server has it.
    pub(crate) fn rights(&self, session: &Session, database: &str) -> Rights {
        if session.rules() {
            return Rights::ALL;
        }
        let version = self.versions.get(database);
        version.map_or(Rights::default(), |v| session.rights(&v.model.database.model))
    }

    /// Refuses what needs a right the caller has not. Who has none at all learns nothing from the
    /// words: they are the same where there is no such database. `name` is what the caller said.
    pub(crate) fn need_right(
        &self,
        session: &Session,
        name: &str,
        current: Option<&LoadedVersion>,
        need: &Need,
    ) -> Result<()> {
        let rights = match current {
            Some(version) => session.rights(&version.model.database.model),
            None if session.rules() => Rights::ALL,
            None => Rights::default(),
        };
        match need {
            Need::Administer(_) if rights.administer => Ok(()),
            Need::Refresh if rights.refresh => Ok(()),
            Need::Refresh if !rights.any() => Err(self.no_such_database(name)),
            Need::Refresh => Err(Error::new(
                ErrorKind::Denied,
                format!(
                    "Refreshing '{name}' needs a role with the permission refresh, readRefresh or administrator; the caller has none."
                ),
            )),
            Need::Administer(doing) => Err(Error::new(
                ErrorKind::Denied,
                format!("{doing} '{name}' needs an administrator; the caller is not one."),
            )),
        }
    }

    /// As [`Self::need_right`], for what administrators of the database may do.
    pub(crate) fn need_administrator_of(
        &self,
        session: &Session,
        database: &str,
        doing: &'static str,
    ) -> Result<()> {
        let name = self.committed_name(database);
        let version = self.versions.get(name.as_deref().unwrap_or(database));
        self.need_right(session, database, version.as_deref(), &Need::Administer(doing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        serde_json::from_str(
            r#"{"roles":[
                {"name":"R","modelPermission":"read","members":[{"memberName":"ann"}]},
                {"name":"P","modelPermission":"refresh","members":[{"memberName":"Ann"},{"memberName":"bob"}]},
                {"name":"A","modelPermission":"administrator","members":[{"memberName":"eve"}]},
                {"name":"N","modelPermission":"none","members":[{"memberName":"joe"}]}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn roles_add_up_and_who_acts_as_another_has_their_rights_only() {
        let of = |user: &str| Session { user: user.into(), ..Session::default() };
        let (read, refresh) = (Rights { read: true, ..Rights::default() }, true);
        assert_eq!(of("ann").rights(&model()), Rights { refresh, ..read });
        assert_eq!(of("bob").rights(&model()), Rights { refresh, ..Rights::default() });
        assert_eq!(of("eve").rights(&model()), Rights::ALL);
        assert!(!of("joe").rights(&model()).any() && !of("zoe").rights(&model()).any());
        let admin = Session { is_admin: true, ..of("root") };
        assert!(admin.rules());
        let acting = Session { effective_user: Some("bob".into()), ..admin.clone() };
        assert!(!acting.rules() && acting.rights(&model()).refresh);
        let in_role = Session { roles: vec!["A".into()], ..admin };
        assert_eq!(in_role.rights(&model()), read);
        let grouped = Session { groups: vec!["BOB".into()], ..of("zoe") };
        assert!(grouped.rights(&model()).refresh && !grouped.rights(&model()).read);
        let asking = Session { effective_user: Some("eve".into()), ..of("ann") };
        assert!(!asking.rights(&model()).any());
    }
}
