//! The check stage: parse, one spelling only, hashes, signatures. It needs no order, so it runs on all cores.
//!
//! It establishes that a public key made a signature. Whether that key may sign is judged when a block is opened, by
//! the state after the block before (`docs/format.md` section 3.4).

use std::sync::Arc;

use rayon::prelude::*;

use super::StoredBlock;
use super::authorities::Authorities;
use crate::block::Payload;
use crate::cores::on_all_cores;
use crate::error::{Code, Rejection};
use crate::hash::HashSuite;
use crate::signature::{PublicKey, Signed, verify_signed};
use crate::transaction::Transaction;

/// A transaction whose signatures were checked against the keys known then.
#[derive(Debug)]
pub struct CheckedTransaction {
    /// The transaction.
    pub transaction: Transaction,
    /// For each signature the public key under which it verified; `None` where the key was not known.
    pub(super) verified: Vec<Option<Arc<PublicKey>>>,
}

/// What the check stage made of a chunk of transactions, in their order.
#[derive(Debug)]
pub struct Checked {
    /// One result a transaction.
    pub items: Vec<Result<CheckedTransaction, Rejection>>,
}

/// A stored block whose transactions were checked, perhaps while those before it were still executed.
#[derive(Debug)]
pub struct CheckedBlock {
    pub(super) stored: Arc<StoredBlock>,
    pub(super) checked: Checked,
    pub(super) verify_signatures: bool,
}

/// Transactions that one core takes at a time: each costs some microseconds.
const PARSED_TOGETHER: usize = 16;

/// Parses transactions and checks their ledger's name.
pub(super) fn parse(texts: &[Vec<u8>], ledger: &str, suite: &dyn HashSuite) -> Vec<Result<Transaction, Rejection>> {
    let parse = |text: &Vec<u8>| of_ledger(Transaction::parse(text, suite)?, ledger);
    on_all_cores(|| texts.par_iter().with_min_len(PARSED_TOGETHER).map(parse).collect())
}

/// The same for the transactions of a stored block.
pub(super) fn parse_stored(
    payload: &Payload,
    ledger: &str,
    suite: &dyn HashSuite,
) -> Vec<Result<Transaction, Rejection>> {
    let parse = |index| of_ledger(payload.transaction(index, suite)?.0, ledger);
    on_all_cores(|| (0..payload.count()).into_par_iter().with_min_len(PARSED_TOGETHER).map(parse).collect())
}

fn of_ledger(transaction: Transaction, ledger: &str) -> Result<Transaction, Rejection> {
    if *transaction.ledger == *ledger {
        return Ok(transaction);
    }
    let found = format!("made for the ledger {}", transaction.ledger);
    Err(Rejection::new(Code::WrongLedger, found, format!("this is {ledger}")))
}

/// For each transaction the public key of each of its signatures, where it is known now.
pub(super) fn known_keys(
    transactions: &[Result<Transaction, Rejection>],
    authorities: &Authorities,
) -> Vec<Vec<Option<Arc<PublicKey>>>> {
    let of = |t: &Transaction| {
        t.signatures.iter().map(|s| authorities.key(&s.key).map(|key| key.public_key.clone())).collect()
    };
    transactions.iter().map(|item| item.as_ref().map(of).unwrap_or_default()).collect()
}

/// Verifies the signatures of a chunk in batches, by `keys` as [`known_keys`] gave them.
pub(super) fn verify(
    transactions: Vec<Result<Transaction, Rejection>>,
    keys: Vec<Vec<Option<Arc<PublicKey>>>>,
) -> Checked {
    let mut claims = Vec::new();
    for (item, of) in transactions.iter().zip(&keys) {
        let Ok(transaction) = item else { continue };
        for (signature, key) in transaction.signatures.iter().zip(of) {
            if let Some(key) = key {
                claims.push(Signed { key, signature: &signature.bytes, message: transaction.header() });
            }
        }
    }
    let mut verdicts = verify_signed(&claims).into_iter();
    let mut failures: Vec<Option<Rejection>> = Vec::with_capacity(transactions.len());
    for (item, of) in transactions.iter().zip(&keys) {
        let mut failure = None;
        if let Ok(transaction) = item {
            for (signature, _) in transaction.signatures.iter().zip(of).filter(|(_, key)| key.is_some()) {
                if let Some(Err(error)) = verdicts.next() {
                    failure.get_or_insert_with(|| bad_signature(&signature.key, &error.to_string()));
                }
            }
        }
        failures.push(failure);
    }
    drop(claims);
    let items = transactions
        .into_iter()
        .zip(keys)
        .zip(failures)
        .map(|((item, verified), failure)| match failure {
            Some(rejection) => Err(rejection),
            None => item.map(|transaction| CheckedTransaction { transaction, verified }),
        })
        .collect();
    Checked { items }
}

/// The rejection of a signature that is not its key's.
pub(super) fn bad_signature(key: &str, why: &str) -> Rejection {
    Rejection::new(
        Code::BadSignature,
        format!("the signature by key {key} does not verify: {why}"),
        "sign the header's exact bytes with the private key enrolled under this key id",
    )
}
