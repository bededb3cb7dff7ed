//! Why a transaction never entered a block: a code, what was wrong and where, and what would have been right.
//!
//! The codes are those of `docs/format.md` section 3.6 and of `finchain/errors.py`. Errors of one part of the core
//! (log, trees, receipts) stand in that part's own file.

use std::fmt;

/// Cause of a rejection; the name is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Not canonical JSON, not a transaction, or not an instruction of the rulebook.
    Malformed,
    /// Larger, deeper or more than the format allows.
    Limit,
    /// Made for another ledger.
    WrongLedger,
    /// Made for a rulebook that is not in force.
    WrongRulebook,
    /// Its time is over, or lies too far ahead.
    Expired,
    /// No such party or key, or the key has ended.
    UnknownKey,
    /// The signature is not the key's over this header.
    BadSignature,
    /// Fewer keys, holders or sides than the threshold asks.
    MissingSignature,
    /// More signatures than asked for, or of somebody who is not in `by`.
    SuperfluousSignature,
    /// A sequence of the lane was left out.
    Gap,
    /// The sequence is taken by another content.
    Conflict,
    /// The sender has all the lanes it may have.
    TooManyLanes,
    /// A rule failed unexpectedly.
    InternalError,
}

impl Code {
    /// The stable word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Limit => "limit",
            Self::WrongLedger => "wrong_ledger",
            Self::WrongRulebook => "wrong_rulebook",
            Self::Expired => "expired",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::MissingSignature => "missing_signature",
            Self::SuperfluousSignature => "superfluous_signature",
            Self::Gap => "gap",
            Self::Conflict => "conflict",
            Self::TooManyLanes => "too_many_lanes",
            Self::InternalError => "internal_error",
        }
    }
}

/// A transaction that is not kept, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The cause.
    pub code: Code,
    /// What was wrong and where.
    pub message: String,
    /// What would have been right.
    pub advice: String,
}

impl Rejection {
    /// A rejection from its three parts.
    pub fn new(code: Code, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code, message: message.into(), advice: advice.into() }
    }

    /// A rejection as malformed.
    pub fn malformed(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Code::Malformed, message, advice)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.code.name(), self.message, self.advice)
    }
}

impl std::error::Error for Rejection {}
