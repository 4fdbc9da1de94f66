//! Passwords: hashed slowly, checked at a pace that memory can bear.

use std::{
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{self, Output, ParamsString, Salt},
};
use tokio::{sync::Semaphore, task, time::timeout};

use crate::secret::{Password, PasswordHash};

/// The fewest characters: NIST SP 800-63B-4 §3.1.1.2, for a password that is all that is asked for. There
/// are no other rules (ibid.).
pub const SHORTEST: usize = 15;

/// The most. Nobody types more, and nobody can make us hash more.
pub const LONGEST: usize = 1000;

/// Memory in KiB, passes over it, lanes: the minimum that OWASP's Password Storage Cheat Sheet names
/// first. A hash that was made with others is made anew when its person next signs in.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// How many are hashed at once. Each takes [`MEMORY`] and a processor for some hundredths of a second; more
/// at once than there are processors would only take more memory.
const AT_ONCE: usize = 4;

/// How long to wait for one's turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stands in for the hash of a user who is not there, so that they take as long as one who is.
static NOBODYS: LazyLock<PasswordHash> = LazyLock::new(|| hash(&Password::typed("nobody's")));

/// Why a password was not checked.
#[derive(Debug, thiserror::Error)]
pub enum HashingError {
    /// Others are being checked.
    #[error("too many passwords are being checked")]
    Busy,
    /// A bug.
    #[error("checking a password failed: {0}")]
    Failed(#[from] task::JoinError),
}

/// Why a password cannot be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It would be guessed.
    #[error("a password must have {SHORTEST} characters at least")]
    TooShort,
    /// Nobody types that.
    #[error("a password may have {LONGEST} characters at most")]
    TooLong,
}

/// What checking a password came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is not right, or there is no such user.
    Wrong,
    /// It is.
    Right,
    /// It is, and this should be kept from now on: the old hash was made with other parameters.
    RightAndRehashed(PasswordHash),
}

/// Checks passwords on threads that may take their time, a few at once.
#[derive(Clone)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// What has been hashed in, for those who come next. Left to the allocator, every thread would keep
    /// some of it for itself, and a flood of sign-ins would fill a gigabyte.
    memory: Arc<Mutex<Vec<Memory>>>,
}

/// What a password is hashed in.
type Memory = Vec<Block>;

impl Default for Passwords {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            memory: Arc::default(),
        }
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

impl Passwords {
    /// Whether `typed` is the password of that hash; `None`: of a user who is not there. The time that
    /// it takes does not tell.
    pub async fn check(
        &self,
        typed: Password,
        known: Option<PasswordHash>,
    ) -> Result<Checked, HashingError> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = timeout(PATIENCE, turn).await;
        // It is never closed.
        let turn = turn.ok().and_then(Result::ok).ok_or(HashingError::Busy)?;
        let passwords = self.clone();
        let checking = task::spawn_blocking(move || {
            // Whoever asked may have gone; the memory is in use until this is over.
            let _turn = turn;
            let mut memory = passwords.take_memory();
            let checked = check(&typed, known.as_ref(), &mut memory);
            passwords.give_back(memory);
            checked
        });
        Ok(checking.await?)
    }

    fn take_memory(&self) -> Memory {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.pop().unwrap_or_default()
    }

    fn give_back(&self, used: Memory) {
        // A hash of other parameters may have taken more.
        if used.len() <= params().block_count() {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.push(used);
        }
    }
}

/// Whether a password may be set.
pub fn judge(password: &Password) -> Result<(), PasswordError> {
    match password.expose().chars().count() {
        ..SHORTEST => Err(PasswordError::TooShort),
        SHORTEST..=LONGEST => Ok(()),
        _ => Err(PasswordError::TooLong),
    }
}

/// Hashes a password. It takes its time, and belongs on a thread that has it.
pub fn hash(password: &Password) -> PasswordHash {
    hash_with(&params(), password, &mut Memory::new())
}

fn params() -> Params {
    Params::new(MEMORY, PASSES, LANES, None).expect("parameters within RFC 9106 §3.1")
}

fn hash_with(params: &Params, password: &Password, memory: &mut Memory) -> PasswordHash {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let salt: [u8; 16] = crate::secret::random_bytes();
    let hashed = phc::PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).expect("parameters within RFC 9106 §3.1"),
        salt: Some(Salt::new(&salt).expect("a salt of the recommended length")),
        hash: output(&argon2, password, &salt, Params::DEFAULT_OUTPUT_LEN, memory),
    };
    PasswordHash::phc(hashed.to_string())
}

/// What a password and a salt come to.
fn output(
    argon2: &Argon2<'_>,
    password: &Password,
    salt: &[u8],
    length: usize,
    memory: &mut Memory,
) -> Option<Output> {
    let blocks = argon2.params().block_count();
    if memory.len() < blocks {
        memory.resize(blocks, Block::default());
    }
    let mut out = vec![0; length];
    let password = password.expose().as_bytes();
    argon2
        .hash_password_into_with_memory(password, salt, &mut out, memory.get_mut(..blocks)?)
        .ok()?;
    Output::new(&out).ok()
}

fn check(typed: &Password, known: Option<&PasswordHash>, memory: &mut Memory) -> Checked {
    let (hash, is_known) = known.map_or((&*NOBODYS, false), |hash| (hash, true));
    // Nothing that long was ever set, and it need not be hashed to find that out: the form says so to
    // everyone alike.
    if typed.expose().chars().count() > LONGEST {
        return Checked::Wrong;
    }
    let Ok(parsed) = phc::PasswordHash::new(hash.expose()) else {
        return Checked::Wrong;
    };
    match is_right(typed, &parsed, memory) {
        Some(true) if is_known && is_current(&parsed) => Checked::Right,
        Some(true) if is_known => Checked::RightAndRehashed(hash_with(&params(), typed, memory)),
        _ => Checked::Wrong,
    }
}

/// Whether a hash is that of a password. It is made anew with the hash's own parameters; `None`: they are
/// of another kind of hash.
fn is_right(typed: &Password, hash: &phc::PasswordHash, memory: &mut Memory) -> Option<bool> {
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash.version.map(Version::try_from).transpose().ok()?;
    let params = Params::try_from(hash).ok()?;
    let argon2 = Argon2::new(algorithm, version.unwrap_or_default(), params);
    let expected = hash.hash.as_ref()?;
    let salt = hash.salt.as_ref()?;
    let computed = output(&argon2, typed, salt, expected.len(), memory)?;
    // The crate compares in a time that does not depend on where the two differ.
    Some(computed == *expected)
}

fn is_current(hash: &phc::PasswordHash) -> bool {
    let made_with = Params::try_from(hash);
    hash.algorithm == Algorithm::Argon2id.ident()
        && made_with.is_ok_and(|made_with| {
            (made_with.m_cost(), made_with.t_cost(), made_with.p_cost()) == (MEMORY, PASSES, LANES)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password() -> Password {
        Password::typed("correct horse battery")
    }

    fn checked(typed: &Password, known: Option<&PasswordHash>) -> Checked {
        check(typed, known, &mut Memory::new())
    }

    #[test]
    fn a_hash_says_how_it_was_made_and_is_another_one_each_time() {
        let (one, other) = (hash(&password()), hash(&password()));
        // The PHC string format; parameters of OWASP's cheat sheet.
        let beginning = "$argon2id$v=19$m=19456,t=2,p=1$";
        assert!(one.expose().starts_with(beginning), "{}", one.expose());
        assert_ne!(one, other);
        for hash in [one, other] {
            assert_eq!(checked(&password(), Some(&hash)), Checked::Right);
            let wrong = Password::typed("correct horse batterie");
            assert_eq!(checked(&wrong, Some(&hash)), Checked::Wrong);
        }
    }

    #[test]
    fn a_hash_of_other_parameters_is_made_anew() {
        let params = Params::new(8 * 1024, 1, 1, None).unwrap();
        let old = hash_with(&params, &password(), &mut Memory::new());
        let Checked::RightAndRehashed(new) = checked(&password(), Some(&old)) else {
            panic!("not made anew");
        };
        assert_eq!(checked(&password(), Some(&new)), Checked::Right);
        let wrong = Password::typed("wrong");
        assert_eq!(checked(&wrong, Some(&old)), Checked::Wrong);
    }

    #[test]
    fn a_vector_of_the_standard_tool_is_understood() {
        // From the tests of the reference implementation, test.c: argon2id, v=19, t=2, m=2^16, p=1.
        let hash = PasswordHash::phc(
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        );
        let typed = Password::typed("password");
        assert!(matches!(
            checked(&typed, Some(&hash)),
            Checked::RightAndRehashed(_)
        ));
    }

    #[test]
    fn nobody_has_a_password() {
        assert_eq!(checked(&Password::typed("nobody's"), None), Checked::Wrong);
        let damaged = PasswordHash::phc("not a hash");
        assert_eq!(checked(&password(), Some(&damaged)), Checked::Wrong);
    }

    #[test]
    fn only_the_length_of_a_password_counts() {
        for (length, judged) in [
            (14, Err(PasswordError::TooShort)),
            (15, Ok(())),
            (1000, Ok(())),
            (1001, Err(PasswordError::TooLong)),
        ] {
            let password = Password::typed(&"ä".repeat(length));
            assert_eq!(judge(&password), judged, "{length}");
        }
        // One character, however it was typed.
        let typed = Password::typed(&"a\u{308}".repeat(14));
        assert_eq!(judge(&typed), Err(PasswordError::TooShort));
    }

    #[tokio::test]
    async fn a_flood_waits_for_its_turn() {
        let passwords = Passwords::default();
        let known = hash(&password());
        let checks = (0..3 * AT_ONCE).map(|_| passwords.check(password(), Some(known.clone())));
        for checked in futures_util::future::join_all(checks).await {
            assert_eq!(checked.unwrap(), Checked::Right);
        }
        assert_eq!(passwords.turns.available_permits(), AT_ONCE);
        // However many came, no more memory is held than is used at once.
        let memory = passwords.memory.lock().unwrap();
        assert!((1..=AT_ONCE).contains(&memory.len()), "{}", memory.len());
    }
}
