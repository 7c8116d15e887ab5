use nix::unistd::{User, geteuid};
use tokio::net::UnixStream;
use tracing::warn;

/// Who may make changes: root, the daemon's own user and the configured `admins`. Who may query is decided by
/// the socket's permissions.
#[derive(Clone, Debug)]
pub struct Access {
    users: Vec<u32>,
}

impl Access {
    /// `admins` are user names or numbers.
    pub fn new(admins: &[String]) -> Self {
        let named = admins.iter().filter_map(|admin| {
            let user = number(admin);
            if user.is_none() {
                warn!("admins: there is no user '{admin}' on this machine");
            }
            user
        });
        Self { users: named.chain([0, geteuid().as_raw()]).collect() }
    }

    /// Whether the user who opened this connection may make changes, by the credentials that the kernel
    /// reports.
    pub(super) fn may_change(&self, stream: &UnixStream) -> bool {
        stream.peer_cred().is_ok_and(|peer| self.is_admin(peer.uid()))
    }

    fn is_admin(&self, user: u32) -> bool {
        self.users.contains(&user)
    }
}

fn number(user: &str) -> Option<u32> {
    user.parse().ok().or_else(|| Some(User::from_name(user).ok()??.uid.as_raw()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_the_daemons_user_and_admins_may_make_changes() {
        let access = Access::new(&["4000".into(), "nobody".into(), "not-a-user".into()]);
        let nobody = User::from_name("nobody").unwrap().unwrap().uid.as_raw();
        for (user, may) in
            [(0, true), (geteuid().as_raw(), true), (4000, true), (nobody, true), (4001, false)]
        {
            assert_eq!(access.is_admin(user), may, "{user}");
        }
    }
}
