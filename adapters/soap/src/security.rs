//! Who calls: passwords and their digests, compared in constant time, and messages that are too old or come again.
//!
//! After the UsernameToken profile 1.0 of WS-Security: digest = Base64(SHA-1(nonce + created + password)).

use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::envelope::UsernameToken;

/// Nonces that are remembered, at most. With more in one span of time, callers are asked to come again.
pub const NONCES_MAX: usize = 100_000;
/// Bytes of one, at most: they are 16 to 20 in practice.
const NONCE_BYTES_MAX: usize = 256;

/// A caller that is known.
#[derive(Clone)]
pub struct Account {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Why a call is not let in. What the caller learns says less than what is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Nobody said who calls.
    Missing,
    /// Not this user, or not this password.
    Wrong,
    /// The time it was made is too far from now, either way, or it has ended.
    Stale,
    /// The same nonce was used before.
    Replayed,
    /// Its nonce is longer than is kept of one.
    LongNonce,
    /// There are more nonces than are kept.
    Crowded,
}

impl Denied {
    /// For the operator.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Missing => "it does not say who calls",
            Self::Wrong => "the user, password, key or signature is not the configured one",
            Self::Stale => {
                "the time at which it was made is too far from this machine's clock, or it has ended"
            }
            Self::Replayed => "its nonce was used before",
            Self::LongNonce => {
                "its nonce is longer than 256 bytes: so much is kept of each; let the caller send a shorter one"
            }
            Self::Crowded => "more nonces came within skew than are kept",
        }
    }
}

/// Whether two secrets are the same, in a time that says nothing of where they differ.
#[must_use]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    // Of digests, so that lengths say nothing either.
    let (one, other) = (Sha256::digest(one), Sha256::digest(other));
    one.as_slice().ct_eq(other.as_slice()).into()
}

/// Whether an `Authorization: Basic` header is this account's.
///
/// # Errors
/// [`Denied`].
pub fn basic(account: &Account, header: Option<&str>) -> Result<(), Denied> {
    let (scheme, value) = header
        .and_then(|header| header.split_once(' '))
        .ok_or(Denied::Missing)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Denied::Missing);
    }
    let given = STANDARD.decode(value.trim()).map_err(|_| Denied::Wrong)?;
    let wanted = format!("{}:{}", account.user, account.password);
    same(&given, wanted.as_bytes())
        .then_some(())
        .ok_or(Denied::Wrong)
}

/// The digest of a password.
#[must_use]
pub fn digest(nonce: &[u8], created: &str, password: &str) -> String {
    let mut hash = Sha1::new();
    for part in [nonce, created.as_bytes(), password.as_bytes()] {
        hash.update(part);
    }
    STANDARD.encode(hash.finalize())
}

/// What a token must be.
#[derive(Debug, Clone)]
pub struct TokenRule {
    /// Whose.
    pub account: Account,
    /// Whether the password itself is taken too, not its digest alone.
    pub text: bool,
    /// How far a caller's clock may be from ours, in microseconds.
    pub skew_us: i64,
}

/// How often a token was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Never before.
    First,
    /// With the same message: its caller, or his HTTP library, repeats what was not answered. Or somebody does who listened.
    Again,
}

/// The tokens that were used.
#[derive(Debug, Default)]
pub struct Nonces {
    /// With the SHA-256 of what each came with.
    known: HashMap<Vec<u8>, [u8; 32]>,
    /// By when they can go.
    ends: BTreeSet<(i64, Vec<u8>)>,
}

/// When an ISO 8601 time is, in microseconds since 1970; a time without a zone is UTC, as the profile says.
#[must_use]
pub fn microseconds(text: &str) -> Option<i64> {
    let zoned = || text.parse::<jiff::Timestamp>().ok();
    let plain = || {
        let time: jiff::civil::DateTime = text.parse().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(time).ok()
    };
    zoned().or_else(plain).map(jiff::Timestamp::as_microsecond)
}

/// Whether a message's `Timestamp` holds now.
///
/// # Errors
/// [`Denied::Stale`].
pub fn timestamp(of: &(String, String), now_us: i64, skew_us: i64) -> Result<(), Denied> {
    let (created, expires) = (microseconds(&of.0), microseconds(&of.1));
    let is_read = (created.is_some() || of.0.is_empty()) && (expires.is_some() || of.1.is_empty());
    let early = created.is_some_and(|created| created > now_us.saturating_add(skew_us));
    let late = expires.is_some_and(|expires| expires < now_us.saturating_sub(skew_us));
    (is_read && !early && !late)
        .then_some(())
        .ok_or(Denied::Stale)
}

/// Whether a token is good now. It can be used for one message; `said`: its SHA-256.
///
/// # Errors
/// [`Denied`].
pub fn token(
    rule: &TokenRule,
    token: Option<&UsernameToken>,
    said: [u8; 32],
    nonces: &mut Nonces,
    now_us: i64,
) -> Result<Use, Denied> {
    let token = token.ok_or(Denied::Missing)?;
    let account = &rule.account;
    let user = same(token.username.as_bytes(), account.user.as_bytes());
    if !token.digest {
        let password = same(token.password.as_bytes(), account.password.as_bytes());
        return (rule.text & user & password)
            .then_some(Use::First)
            .ok_or(Denied::Wrong);
    }
    let nonce = STANDARD.decode(&token.nonce).map_err(|_| Denied::Wrong)?;
    let wanted = digest(&nonce, &token.created, &account.password);
    let password = same(token.password.trim().as_bytes(), wanted.as_bytes());
    // Who doesn't know the password can't fill the memory of nonces.
    if !(user & password) || nonce.is_empty() {
        return Err(Denied::Wrong);
    }
    let created = microseconds(&token.created).ok_or(Denied::Stale)?;
    if created.abs_diff(now_us) > rule.skew_us.unsigned_abs() {
        return Err(Denied::Stale);
    }
    nonces.used(nonce, said, created.saturating_add(rule.skew_us), now_us)
}

impl Nonces {
    fn used(
        &mut self,
        nonce: Vec<u8>,
        said: [u8; 32],
        ends: i64,
        now_us: i64,
    ) -> Result<Use, Denied> {
        while self.ends.first().is_some_and(|(ends, _)| *ends < now_us) {
            if let Some((_, old)) = self.ends.pop_first() {
                self.known.remove(&old);
            }
        }
        match self.known.get(&nonce) {
            Some(before) if *before == said => return Ok(Use::Again),
            Some(_) => return Err(Denied::Replayed),
            None => {}
        }
        if nonce.len() > NONCE_BYTES_MAX {
            return Err(Denied::LongNonce);
        }
        if self.known.len() == NONCES_MAX {
            return Err(Denied::Crowded);
        }
        self.ends.insert((ends, nonce.clone()));
        self.known.insert(nonce, said);
        Ok(Use::First)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-27T00:00:00Z.
    const NOW: i64 = 1_795_737_600_000_000;

    fn rule() -> TokenRule {
        let account = Account {
            user: "wms".into(),
            password: "s3cret".into(),
        };
        TokenRule {
            account,
            text: false,
            skew_us: 300_000_000,
        }
    }

    fn made(created: &str, nonce: &[u8], password: &str) -> UsernameToken {
        UsernameToken {
            username: "wms".into(),
            password: digest(nonce, created, password),
            digest: true,
            nonce: STANDARD.encode(nonce),
            created: created.into(),
        }
    }

    #[test]
    fn a_token_is_good_for_one_message_and_for_a_while() {
        let (mut nonces, mut said) = (Nonces::default(), 0);
        let mut check = |given: Option<&UsernameToken>, now: i64, expected: Result<(), Denied>| {
            said += 1;
            assert_eq!(
                token(&rule(), given, [said; 32], &mut nonces, now).map(|_| ()),
                expected,
                "{given:?} at {now}"
            );
        };
        let created = "2026-11-27T00:00:00Z";
        let one = made(created, b"0123456789abcdef", "s3cret");
        check(None, NOW, Err(Denied::Missing));
        check(
            Some(&made(created, b"1", "secret")),
            NOW,
            Err(Denied::Wrong),
        );
        check(Some(&one), NOW - 301_000_000, Err(Denied::Stale));
        check(Some(&one), NOW + 301_000_000, Err(Denied::Stale));
        check(Some(&one), NOW + 299_000_000, Ok(()));
        check(Some(&one), NOW + 299_500_000, Err(Denied::Replayed));
        let zoned = made("2026-11-27T01:00:00.5+01:00", b"2", "s3cret");
        check(Some(&zoned), NOW, Ok(()));
        let plain = made("2026-11-27T00:00:01", b"3", "s3cret");
        check(Some(&plain), NOW, Ok(()));
        let text = UsernameToken {
            username: "wms".into(),
            password: "s3cret".into(),
            ..UsernameToken::default()
        };
        check(Some(&text), NOW, Err(Denied::Wrong));
        let mut both = rule();
        both.text = true;
        assert_eq!(
            token(&both, Some(&text), [0; 32], &mut Nonces::default(), NOW),
            Ok(Use::First)
        );
    }

    #[test]
    fn a_nonce_that_is_longer_than_is_kept_is_refused_with_the_limit() {
        let created = "2026-11-27T00:00:00Z";
        let check = |bytes: usize, expected: Result<Use, Denied>| {
            let given = made(created, &vec![b'n'; bytes], "s3cret");
            let used = token(&rule(), Some(&given), [0; 32], &mut Nonces::default(), NOW);
            assert_eq!(used, expected, "{bytes}");
        };
        check(NONCE_BYTES_MAX, Ok(Use::First));
        check(NONCE_BYTES_MAX + 1, Err(Denied::LongNonce));
        let limit = format!("longer than {NONCE_BYTES_MAX} bytes");
        assert!(Denied::LongNonce.sentence().contains(&limit));
    }

    #[test]
    fn nonces_that_have_ended_make_room() {
        let mut nonces = Nonces::default();
        for at in 0..NONCES_MAX as u64 {
            nonces
                .used(at.to_be_bytes().into(), [0; 32], 10, 0)
                .expect("there is room");
        }
        let mut one = |said, now| nonces.used(b"one".into(), [said; 32], 20, now);
        assert_eq!(one(1, 10), Err(Denied::Crowded));
        assert_eq!(one(1, 11), Ok(Use::First));
        assert_eq!(one(1, 12), Ok(Use::Again));
        assert_eq!(one(2, 12), Err(Denied::Replayed));
        assert_eq!((nonces.known.len(), nonces.ends.len()), (1, 1));
    }

    #[test]
    fn the_digest_is_that_of_the_profile() {
        // sha1("abc" + "2026-11-27T00:00:00Z" + "pw"), by Python's hashlib.
        let nonce = b"abc";
        assert_eq!(
            digest(nonce, "2026-11-27T00:00:00Z", "pw"),
            "zrCJKskEWRvSzaM4lZzHc6uM3OQ="
        );
    }

    #[test]
    fn basic_is_user_and_password_as_one() {
        let account = rule().account;
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(basic(&account, Some(&header("wms:s3cret"))), Ok(()));
        assert_eq!(
            basic(&account, Some(&header("wms:s3cre"))),
            Err(Denied::Wrong)
        );
        assert_eq!(basic(&account, Some("Bearer x")), Err(Denied::Missing));
        assert_eq!(basic(&account, None), Err(Denied::Missing));
    }

    #[test]
    fn a_timestamp_holds_between_its_ends() {
        let at = |created: &str, expires: &str, now: i64| {
            timestamp(&(created.into(), expires.into()), now, 300_000_000)
        };
        let (created, expires) = ("2026-11-27T00:00:00Z", "2026-11-27T00:05:00Z");
        assert_eq!(at(created, expires, NOW), Ok(()));
        assert_eq!(at(created, expires, NOW + 601_000_000), Err(Denied::Stale));
        assert_eq!(at(created, expires, NOW - 301_000_000), Err(Denied::Stale));
        assert_eq!(at(created, "soon", NOW), Err(Denied::Stale));
        assert_eq!(at("", "", NOW), Ok(()));
    }
}
