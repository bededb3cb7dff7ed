//! What the rules made of a block, as they hand it over: one column for each property of the records that they wrote.
//!
//! Taking the columns apart reads every record once, to see that it is canonical JSON. It needs no order and no lock,
//! so the sealing thread does it while the rules go on with the next block.

use std::sync::Arc;

use super::LedgerError;
use crate::block::Refusal;
use crate::canonical;

/// Most bytes of a record: one page of a form, and what a receipt can carry with its proofs.
pub const RECORD_BYTES_MAX: usize = 16 << 10;

/// What the rules made of the first transactions of an open block; the rest of it is not in the block.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// For each executed transaction how many records it wrote.
    pub counts: Vec<usize>,
    /// For each executed transaction its refused instructions.
    pub refused: Vec<Vec<Refusal>>,
    /// The kind of each record, a line each.
    pub kinds: String,
    /// The id of each record, a line each.
    pub ids: String,
    /// For each record the indices of the instructions that wrote it, rising, at least one: a JSON array of arrays.
    pub instructions: Vec<u8>,
    /// Every record, in the order of first writing within its transaction: one JSON array.
    pub records: Vec<u8>,
}

/// A record that a transaction wrote, as the rules left it.
#[derive(Clone, Debug)]
pub(super) struct NewRecord {
    pub kind: Arc<str>,
    pub id: Box<str>,
    /// Indices of the instructions that wrote it; none for a lane.
    pub instructions: Vec<u16>,
    /// Canonical JSON.
    pub record: Vec<u8>,
}

impl Columns {
    /// Whether a record of one of these kinds was written.
    pub(super) fn has_kind(&self, kinds: &[&str]) -> bool {
        self.kinds.split_terminator('\n').any(|kind| kinds.contains(&kind))
    }

    /// For each executed transaction the records that it wrote.
    ///
    /// # Errors
    /// [`LedgerError::Internal`]: the columns do not fit each other, or a record breaks the format.
    pub(super) fn rows(&self) -> Result<Vec<Vec<NewRecord>>, LedgerError> {
        let wrong = |what: String| LedgerError::Internal(what);
        let spelling = |e: canonical::CanonicalError| wrong(format!("a rule wrote a record outside the format: {e}"));
        let records = canonical::elements(&self.records, canonical::DEPTH_MAX + 1).map_err(spelling)?;
        let touches = canonical::elements(&self.instructions, 2).map_err(spelling)?;
        let kinds: Vec<&str> = self.kinds.split_terminator('\n').collect();
        let ids: Vec<&str> = self.ids.split_terminator('\n').collect();
        let total: usize = self.counts.iter().sum();
        let found = [kinds.len(), ids.len(), touches.len(), records.len()];
        if found != [total; 4] || self.counts.len() != self.refused.len() {
            return Err(wrong(format!("columns of {found:?} rows for {total} records")));
        }
        let mut names = Names::default();
        let mut rows = Vec::with_capacity(total);
        for (((kind, id), touched), record) in kinds.into_iter().zip(ids).zip(touches).zip(records) {
            let instructions = indices(&self.instructions[touched]);
            if record.len() > RECORD_BYTES_MAX || instructions.is_empty() {
                return Err(wrong(format!("record {kind} {id} has {} bytes", record.len())));
            }
            let record = self.records[record].to_vec();
            rows.push(NewRecord { kind: names.shared(kind), id: id.into(), instructions, record });
        }
        let mut rows = rows.into_iter();
        Ok(self.counts.iter().map(|count| rows.by_ref().take(*count).collect()).collect())
    }
}

/// One copy of each kind, of which a ledger has a few dozen.
#[derive(Default)]
pub(super) struct Names(Vec<Arc<str>>);

impl Names {
    /// The copy of that name.
    pub fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.iter().find(|known| ***known == *name) {
            return Arc::clone(known);
        }
        let new: Arc<str> = name.into();
        self.0.push(Arc::clone(&new));
        new
    }
}

/// The numbers of a JSON array of canonical integers; none where one is no index.
fn indices(array: &[u8]) -> Vec<u16> {
    let inner = array.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or_default();
    let numbers = inner.split(|byte| *byte == b',').map(|number| std::str::from_utf8(number).ok()?.parse().ok());
    numbers.collect::<Option<Vec<u16>>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Columns, RECORD_BYTES_MAX};

    fn columns() -> Columns {
        Columns {
            counts: vec![2, 0, 1],
            refused: vec![Vec::new(); 3],
            kinds: "party\nkey\nparty".into(),
            ids: "a\na/1\nb".into(),
            instructions: b"[[0],[0,3],[4095]]".to_vec(),
            records: br#"[{"id":"a"},{"id":"a/1"},{"id":"b"}]"#.to_vec(),
        }
    }

    #[test]
    fn columns_become_rows_of_their_transactions() {
        let rows = columns().rows().unwrap_or_default();
        let shown: Vec<Vec<String>> = rows
            .iter()
            .map(|of| {
                of.iter().map(|r| format!("{} {} {:?} {}", r.kind, r.id, r.instructions, r.record.len())).collect()
            })
            .collect();
        let expected = [vec!["party a [0] 10", "key a/1 [0, 3] 12"], vec![], vec!["party b [4095] 10"]];
        assert_eq!(shown, expected);
        assert!(columns().has_kind(&["key"]) && !columns().has_kind(&["lane"]));
    }

    #[test]
    fn a_block_in_which_nothing_was_written_has_no_rows() {
        let none = Columns {
            counts: vec![0],
            refused: vec![Vec::new()],
            instructions: b"[]".to_vec(),
            records: b"[]".to_vec(),
            ..Columns::default()
        };
        assert!(none.rows().is_ok_and(|rows| rows.len() == 1 && rows[0].is_empty()));
    }

    #[test]
    fn columns_that_do_not_fit_are_refused() {
        let long = |bytes: usize| {
            format!("[{{\"id\":\"{}\"}},{{\"id\":\"a/1\"}},{{\"id\":\"b\"}}]", "x".repeat(bytes - 9)).into_bytes()
        };
        assert!(Columns { records: long(RECORD_BYTES_MAX), ..columns() }.rows().is_ok());
        let wrong = [
            Columns { counts: vec![2, 0], ..columns() },
            Columns { kinds: "party\nkey".into(), ..columns() },
            Columns { ids: "a\na/1\nb\n\n".into(), ..columns() },
            Columns { instructions: b"[[0],[],[1]]".to_vec(), ..columns() },
            Columns { instructions: b"[[0],[65536],[1]]".to_vec(), ..columns() },
            Columns { instructions: b"[[0],[-1],[1]]".to_vec(), ..columns() },
            Columns { records: br#"[{"id":"a"},{"id":"a/1"},{"id":1.5}]"#.to_vec(), ..columns() },
            Columns { records: long(RECORD_BYTES_MAX + 1), ..columns() },
        ];
        for (index, columns) in wrong.iter().enumerate() {
            assert!(columns.rows().is_err(), "{index}");
        }
    }
}
