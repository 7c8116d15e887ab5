use nix::unistd::{User, geteuid};
use tokio::net::UnixStream;
use tracing::warn;

/// Who may change things: root, the daemon's own user and those whom the configuration names. Who may
/// ask is decided by the socket's own permissions.
#[derive(Clone, Debug)]
pub struct Access {
    users: Vec<u32>,
}

impl Access {
    /// `admins` are names or numbers of users.
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

    /// Whether whoever opened this connection may change things; the kernel tells who that is.
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
    fn root_oneself_and_who_is_named_may_change_things() {
        let access = Access::new(&["4000".into(), "nobody".into(), "not-a-user".into()]);
        let nobody = User::from_name("nobody").unwrap().unwrap().uid.as_raw();
        for (user, may) in
            [(0, true), (geteuid().as_raw(), true), (4000, true), (nobody, true), (4001, false)]
        {
            assert_eq!(access.is_admin(user), may, "{user}");
        }
    }
}
