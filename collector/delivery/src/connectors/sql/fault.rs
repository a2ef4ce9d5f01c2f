//! What a database's error is about.

use crate::outcome::Outcome;

/// Who can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nobody: the row is not wanted.
    Rejected,
    /// Time.
    Transient,
    /// The connection is gone, and whether the transaction is in is unknown.
    Lost,
    /// Who we are is not accepted.
    Auth,
    /// A person: a table, a column, a right.
    Misconfigured,
    /// Fewer rows at once.
    TooLarge,
}

impl Meaning {
    pub(super) fn outcome(self, words: String, code: &str) -> Outcome {
        let said = format!("the database says {code}: {words}");
        match self {
            Self::Rejected => Outcome::Rejected(said),
            Self::Transient => Outcome::Transient(said),
            Self::Lost => Outcome::Unknown(said),
            Self::Auth => Outcome::Auth(said),
            Self::Misconfigured => Outcome::Misconfigured(said),
            Self::TooLarge => Outcome::TooLarge(said),
        }
    }
}

/// Of an SQLSTATE, as ISO 9075 and PostgreSQL's appendix A have their classes.
pub(super) fn meaning_of_state(state: &str) -> Meaning {
    match state {
        // A standby, for as long as it is one; locks, deadlines, and servers that start or stop.
        "25006" | "55P03" | "57014" | "57P03" | "57P05" => Meaning::Transient,
        "57P01" | "57P02" => Meaning::Lost,
        _ => match state.get(..2).unwrap_or("") {
            "08" => Meaning::Lost,
            "28" => Meaning::Auth,
            "40" | "53" | "55" | "57" | "58" | "XX" => Meaning::Transient,
            "0A" | "3D" | "3F" | "42" => Meaning::Misconfigured,
            "54" => Meaning::TooLarge,
            // Values (22), constraints (23), and what triggers say in codes of their own.
            _ => Meaning::Rejected,
        },
    }
}

/// Of MariaDB's and MySQL's codes, where the state says too little.
pub(super) fn meaning_of_code(code: u16, state: &str) -> Meaning {
    match code {
        // Too many connections; locks; deadlocks; a lock's time; deadlines; read-only for now; memory and disk.
        1040 | 1041 | 1037 | 1038 | 1021 | 1114 | 1203 | 1205 | 1206 | 1213 | 1226 | 1290
        | 1317 | 1614 | 1637 | 1792 | 1836 | 1969 | 3024 | 3572 => Meaning::Transient,
        1053 | 1077 | 1078 | 1079 | 1080 | 1152 | 1158..=1161 | 1184 | 1927 | 4031 => Meaning::Lost,
        1045 | 1698 | 1820 | 1862 => Meaning::Auth,
        1153 => Meaning::TooLarge,
        // Rights, databases, tables, columns: some have the state HY000.
        1044 | 1046 | 1049 | 1054 | 1142 | 1143 | 1146 | 1227 | 1370 | 1932 => {
            Meaning::Misconfigured
        }
        // Values and constraints: null, doubled, foreign keys, ranges, lengths, texts that are no numbers; CHECK; SIGNAL.
        1048 | 1062 | 1169 | 1216 | 1217 | 1264 | 1265 | 1292 | 1364 | 1366 | 1406 | 1451
        | 1452 | 1411 | 1441 | 1586 | 1644 | 1690 | 3140 | 3819 | 4025 => Meaning::Rejected,
        _ => match state.get(..2).unwrap_or("") {
            "08" => Meaning::Lost,
            "40" => Meaning::Transient,
            "42" => Meaning::Misconfigured,
            "22" | "23" | "45" => Meaning::Rejected,
            _ => Meaning::Transient,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_databases_error_is_about_the_row_the_time_or_the_table() {
        for (state, expected) in [
            ("23505", Meaning::Rejected),
            ("22P02", Meaning::Rejected),
            ("P0001", Meaning::Rejected),
            ("40P01", Meaning::Transient),
            ("40001", Meaning::Transient),
            ("53300", Meaning::Transient),
            ("57P03", Meaning::Transient),
            ("57P01", Meaning::Lost),
            ("08006", Meaning::Lost),
            ("28P01", Meaning::Auth),
            ("42P01", Meaning::Misconfigured),
            ("42501", Meaning::Misconfigured),
            ("", Meaning::Rejected),
        ] {
            assert_eq!(meaning_of_state(state), expected, "{state}");
        }
        for (code, state, expected) in [
            (1062, "23000", Meaning::Rejected),
            (4025, "23000", Meaning::Rejected),
            (1366, "22007", Meaning::Rejected),
            (1213, "40001", Meaning::Transient),
            (1205, "HY000", Meaning::Transient),
            (1146, "42S02", Meaning::Misconfigured),
            (1142, "42000", Meaning::Misconfigured),
            (1045, "28000", Meaning::Auth),
            (1153, "08S01", Meaning::TooLarge),
            (1927, "70100", Meaning::Lost),
            (9999, "HY000", Meaning::Transient),
        ] {
            assert_eq!(meaning_of_code(code, state), expected, "{code}");
        }
    }
}
