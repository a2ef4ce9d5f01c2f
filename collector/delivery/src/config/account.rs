//! `[[account]]`: what several targets share, as an ERP counts by account and not by flow.

use std::fmt;
use std::time::Duration;

use dray_proto::is_name;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{Auth, CONCURRENCY_MAX};

/// The longest time that a rate may be counted over.
const RATE_TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// One `[[account]]` table of the collector's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// 1 to 63 of `a-z0-9-_`; targets name it.
    pub name: String,
    /// Requests in a time, e.g. `"50/s"` or `"6000/5m"`; none: as many as there are.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// Requests in flight over all its targets, up to [`CONCURRENCY_MAX`].
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// How targets that have no `[target.auth]` of their own say who is calling: one sign-in for all of them.
    #[serde(default)]
    pub auth: Auth,
    /// Values that templates of `[account.auth]` use as `vars.NAME`.
    #[serde(default)]
    pub vars: toml::Table,
}

fn default_concurrency() -> usize {
    CONCURRENCY_MAX
}

/// Requests in a time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many, at least one.
    pub count: u32,
    /// In how long.
    pub time: Duration,
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}",
            self.count,
            humantime::format_duration(self.time)
        )
    }
}

impl Rate {
    /// Reads `"50/s"`, `"6000/5m"`.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no rate; write e.g. \"50/s\" or \"6000/5m\"");
        let (count, time) = text.split_once('/').ok_or_else(wrong)?;
        let count = count.trim().parse().map_err(|_| wrong())?;
        let time = time.trim();
        let time = match time.starts_with(|letter: char| letter.is_ascii_digit()) {
            true => time.to_owned(),
            false => format!("1{time}"),
        };
        let time = humantime::parse_duration(&time).map_err(|_| wrong())?;
        if count == 0 || time.is_zero() || time > RATE_TIME_MAX {
            return Err(wrong());
        }
        Ok(Self { count, time })
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl AccountConfig {
    /// What is wrong with the table, a sentence each with the setting and the way out; reads no file.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if !is_name(&self.name) {
            wrong.push("name: write 1 to 63 of a-z, 0-9, \"-\" and \"_\", beginning with a letter or digit".into());
        }
        if !(1..=CONCURRENCY_MAX).contains(&self.concurrency) {
            wrong.push(format!("concurrency: write 1 to {CONCURRENCY_MAX}"));
        }
        if let Auth::Hmac(_) = self.auth {
            wrong
                .push("auth: a signed webhook is a target's own; write it as [target.auth]".into());
        } else {
            self.auth.check(&self.vars, true, &mut wrong);
        }
        let said = |sentence: &String| format!("account {:?}: {sentence}", self.name);
        wrong.iter().map(said).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_in_a_time() {
        for (text, expected) in [
            ("50/s", Some((50, 1))),
            ("6000/5m", Some((6_000, 300))),
            ("1 / 1h", Some((1, 3_600))),
            ("0/s", None),
            ("5", None),
            ("5/0s", None),
            ("5/2d", None),
            ("a/s", None),
        ] {
            let found = Rate::parse(text)
                .ok()
                .map(|rate| (rate.count, rate.time.as_secs()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_a_sentence() {
        for (more, said) in [
            ("concurrency = 0", "concurrency: "),
            ("auth = { kind = \"hmac\", secret_files = [] }", "auth: "),
            (
                "auth = { kind = \"basic\", user = \"\", password_file = \"/p\" }",
                "auth.user: ",
            ),
        ] {
            let config: AccountConfig =
                toml::from_str(&format!("name = \"netsuite\"\n{more}")).expect("it parses");
            let wrong = config.validate();
            assert!(
                wrong.len() == 1 && wrong[0].contains(said),
                "{more}: {wrong:?}"
            );
        }
        assert!(toml::from_str::<AccountConfig>("name = \"a\"\nrate = \"fast\"").is_err());
    }
}
