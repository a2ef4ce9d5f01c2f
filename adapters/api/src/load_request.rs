//! A wish for all rows of one table once more, or for no more of them.

use std::fmt;

type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

/// Asks a running source for a table's rows. Somebody waits for the answer: where nobody gives one, dropping it does.
pub struct LoadRequest {
    table: String,
    cancels: bool,
    answer: Option<Answer>,
}

impl LoadRequest {
    /// For this table, as the source's configuration names it. `answer` is called once, from any thread.
    #[must_use]
    pub fn new(table: &str, answer: impl FnOnce(Result<(), String>) + Send + 'static) -> Self {
        Self {
            table: table.to_owned(),
            cancels: false,
            answer: Some(Box::new(answer)),
        }
    }

    /// That this table's rows come once more is taken back, also where nobody asked for them.
    #[must_use]
    pub fn cancel(table: &str, answer: impl FnOnce(Result<(), String>) + Send + 'static) -> Self {
        let mut request = Self::new(table, answer);
        request.cancels = true;
        request
    }

    /// Whether it is taken back.
    #[must_use]
    pub fn cancels(&self) -> bool {
        self.cancels
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// It stands in a position that is appended: it will be done, whoever is killed.
    pub fn stands(mut self) {
        self.answer(Ok(()));
    }

    /// It can't be done. `reason`: a sentence with the way out.
    pub fn refuse(mut self, reason: &str) {
        self.answer(Err(reason.to_owned()));
    }

    fn answer(&mut self, said: Result<(), String>) {
        if let Some(answer) = self.answer.take() {
            answer(said);
        }
    }
}

impl Drop for LoadRequest {
    fn drop(&mut self) {
        let said = "the flow ended before the request stood anywhere: ask again when it runs";
        self.answer(Err(said.to_owned()));
    }
}

impl fmt::Debug for LoadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoadRequest({})", self.table)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_request_is_answered_once_also_by_who_forgets_it() {
        let (tell, told) = mpsc::channel();
        let request = || {
            let tell = tell.clone();
            LoadRequest::new("public.stock", move |said| {
                tell.send(said).expect("it is heard");
            })
        };
        assert_eq!(request().table(), "public.stock");
        assert!(told.recv().expect("dropped").is_err());
        assert!(!request().cancels());
        assert!(told.recv().expect("dropped").is_err());
        let cancel = {
            let tell = tell.clone();
            LoadRequest::cancel("public.stock", move |said| {
                tell.send(said).expect("it is heard");
            })
        };
        assert!(cancel.cancels());
        cancel.stands();
        assert_eq!(told.recv(), Ok(Ok(())));
        request().stands();
        assert_eq!(told.recv(), Ok(Ok(())));
        request().refuse("no");
        assert_eq!(told.recv(), Ok(Err("no".into())));
        assert!(told.try_recv().is_err(), "no more");
    }
}
