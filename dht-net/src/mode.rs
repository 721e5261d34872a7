//! Client or server, and who decides.

/// What the operator wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A server while at least one address is confirmed to be reachable from outside, a client otherwise.
    #[default]
    Auto,
    /// Asks, never serves.
    Client,
    /// Serves.
    Server,
    /// A server until it is found out that no address is reachable, then as [`Mode::Auto`]. It stays one where that is not
    /// found out: where nobody dials back, and where the operator announces addresses, which are not tested.
    AutoServer,
}

/// What a node is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Asks, never serves.
    Client,
    /// Serves strangers.
    Server,
}

impl Mode {
    /// The role under this mode; `reachable` is `None` while nothing is known.
    pub fn role(self, reachable: Option<bool>) -> Role {
        let serves = match self {
            Self::Client => false,
            Self::Server => true,
            Self::Auto => reachable == Some(true),
            Self::AutoServer => reachable != Some(false),
        };
        if serves { Role::Server } else { Role::Client }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_automatic_modes_differ_only_while_nothing_is_known() {
        for (reachable, auto, auto_server) in [
            (None, Role::Client, Role::Server),
            (Some(true), Role::Server, Role::Server),
            (Some(false), Role::Client, Role::Client),
        ] {
            assert_eq!(Mode::Auto.role(reachable), auto);
            assert_eq!(Mode::AutoServer.role(reachable), auto_server);
            assert_eq!(Mode::Client.role(reachable), Role::Client);
            assert_eq!(Mode::Server.role(reachable), Role::Server);
        }
    }
}
