//! `acquire.lua`. That a lease ends, by its time or by being taken early, is a step of the world.

use super::{Script, SessionId, Token};

impl Script<'_> {
    /// The token, if the lease is the caller's.
    pub(in crate::model) fn acquire(&mut self, session: SessionId) -> Option<Token> {
        if !self.store.is_live(session) {
            return None;
        }
        match self.store.lease {
            Some(token) if token.session == session => Some(token),
            Some(_) => None,
            None if self.left.terms == 0 => None,
            None => {
                self.left.terms -= 1;
                let epoch = self.take_number();
                let token = Token { session, epoch };
                self.store.lease = Some(token);
                Some(token)
            }
        }
    }
}
