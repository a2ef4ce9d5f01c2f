//! What becomes of a file there once it is on stable storage here.

use std::time::Duration;

use dray_edges::edge;

use super::Failure;
use super::config::Afterwards;
use super::listing::Remote;
use super::pickup::{Round, Taken};
use super::session::{No, Session, broken};

impl Round {
    /// Deletes or moves a file there, which is on stable storage here.
    pub(super) async fn put_away(
        &mut self,
        session: &Session,
        remote: &Remote,
    ) -> Result<Taken, Failure> {
        let name = &remote.name;
        let path = self.config.path_of(name);
        let after = match &self.config.after {
            None | Some(Afterwards::Keep) => return Ok(Taken::Yes),
            Some(after) => after.clone(),
        };
        // A last look: another file may have its name since.
        let done = match session.look(&self.config, name).await {
            Ok(now) if now != *remote => return Ok(Taken::Waits(Duration::ZERO)),
            Ok(_) => match &after {
                Afterwards::Move(folder) => {
                    let sha256 = self.journal()?.get(name).map(|entry| entry.sha256);
                    let sha256 = sha256.unwrap_or_default();
                    session.move_to(path, folder, name, &sha256).await
                }
                Afterwards::Delete | Afterwards::Keep => session.delete(path).await,
            },
            Err(no) => Err(no),
        };
        let into_nothing = self
            .is_move_into_nothing(session, remote, &after, &done)
            .await?;
        match done {
            Ok(()) | Err(No::Missing) if !into_nothing => {
                edge!("file_drop.sftp_before_gone");
                self.stays.remove(remote);
                let forgotten = self.journal()?.forget(name);
                forgotten.map_err(|error| self.here("the journal", &error))?;
                Ok(Taken::Yes)
            }
            Err(No::Line(said)) => Err(broken(&self.config, &said)),
            Ok(()) => Ok(Taken::Yes),
            Err(no) => {
                self.stays.insert(remote.clone());
                Ok(Taken::No(self.stays_there(&after, &no)))
            }
        }
    }

    /// "Not there" may mean the folder that the file was to go to. That may have been made since, so the file is looked at after it.
    async fn is_move_into_nothing(
        &self,
        session: &Session,
        remote: &Remote,
        after: &Afterwards,
        done: &Result<(), No>,
    ) -> Result<bool, Failure> {
        let (Afterwards::Move(folder), Err(No::Missing)) = (after, done) else {
            return Ok(false);
        };
        match session.is_folder(folder).await {
            Ok(true) => {}
            Err(No::Line(said)) => return Err(broken(&self.config, &said)),
            Ok(false) | Err(_) => return Ok(true),
        }
        match session.look(&self.config, &remote.name).await {
            Err(No::Missing) => Ok(false),
            Err(No::Line(said)) => Err(broken(&self.config, &said)),
            Ok(_) | Err(_) => Ok(true),
        }
    }

    fn stays_there(&self, after: &Afterwards, no: &No) -> String {
        let user = &self.config.user;
        let said = no.said();
        match after {
            Afterwards::Move(folder) => format!(
                "it is here, and can't be moved to {folder} there: {said}; make that folder there, and give {user} the right to write in it"
            ),
            Afterwards::Delete | Afterwards::Keep => format!(
                "it is here, and can't be deleted there: {said}; give {user} the right to, or use after = \"keep\""
            ),
        }
    }
}
