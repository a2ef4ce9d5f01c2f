//! Whether callers wait because all connections are taken: told once, until it eases.

/// What is told of it.
#[derive(Debug)]
pub(super) struct Crowd {
    /// Connections that are free once it has eased.
    eased: usize,
    is_told: bool,
}

impl Crowd {
    pub(super) fn new(connections_max: usize) -> Self {
        Self {
            // Of one or two: an endpoint with so few is full whenever it is used, and that is told once.
            eased: (connections_max / 4).max(1),
            is_told: false,
        }
    }

    /// A caller found no connection free; whether that is to be told.
    pub(super) fn is_news(&mut self) -> bool {
        !std::mem::replace(&mut self.is_told, true)
    }

    /// A caller found one free, besides so many others. With a quarter of them it has eased: at its edge it would be told again and again.
    pub(super) fn found_one(&mut self, others: usize) {
        if others >= self.eased {
            self.is_told = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_callers_wait_is_told_once_until_a_quarter_of_the_connections_is_free() {
        let mut crowd = Crowd::new(8);
        assert!(crowd.is_news());
        assert!(!crowd.is_news(), "another waits");
        crowd.found_one(1);
        assert!(!crowd.is_news(), "it has not eased");
        crowd.found_one(2);
        assert!(crowd.is_news());
        let mut single = Crowd::new(1);
        assert!(single.is_news());
        single.found_one(0);
        assert!(!single.is_news(), "one is always taken by whoever calls");
    }
}
