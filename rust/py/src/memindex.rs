//! temporary
use finchain_core::hash::Hash;
use finchain_core::index::*;
use std::collections::HashMap;
use std::sync::Mutex;
#[derive(Default)]
pub struct Mem(Mutex<M>);
#[derive(Default)]
struct M {
    ids: HashMap<Hash, usize>,
    recs: Vec<Stored>,
    hist: HashMap<Hash, Vec<Touch>>,
    lanes: HashMap<(Hash, u64), (u64, u32)>,
    blocks: Vec<BlockRow>,
    zero: Hash,
}
impl RecordIndex for Mem {
    fn meta(&self) -> Result<Option<Meta>, IndexFailure> {
        Ok(None)
    }
    fn apply(&self, l: &Hash, b: &[BlockRows]) -> Result<(), IndexFailure> {
        let mut m = self.0.lock().unwrap();
        m.zero = *l;
        for x in b {
            for w in &x.writes {
                let s = Stored {
                    number: 0,
                    height: x.height,
                    entry: w.entry,
                    salt: w.salt,
                    kind: w.kind.to_string(),
                    id: w.id.to_string(),
                    record: w.record.to_vec(),
                };
                match m.ids.get(&w.key).copied() {
                    Some(i) => {
                        let n = m.recs[i].number;
                        m.recs[i] = Stored { number: n, ..s }
                    }
                    None => {
                        let i = m.recs.len();
                        m.ids.insert(w.key, i);
                        m.recs.push(Stored { number: i as u64, ..s });
                    }
                }
                m.hist.entry(w.key).or_default().push(Touch {
                    height: x.height,
                    entry: w.entry,
                    instructions: w.instructions.clone(),
                });
            }
            for r in &x.lanes {
                m.lanes.insert((r.key, r.sequence), (x.height, r.entry));
            }
            m.blocks.push(BlockRow {
                block_hash: x.block_hash,
                segment: x.segment,
                offset: x.offset,
                length: x.length,
                time_ms: x.time_ms,
            });
        }
        Ok(())
    }
    fn get_many(&self, k: &[Hash]) -> Result<Vec<Option<Stored>>, IndexFailure> {
        let m = self.0.lock().unwrap();
        Ok(k.iter().map(|k| m.ids.get(k).map(|i| m.recs[*i].clone())).collect())
    }
    fn scan(&self, f: u64, l: usize, k: Option<&str>) -> Result<(Vec<Stored>, Option<u64>), IndexFailure> {
        let m = self.0.lock().unwrap();
        let mut o = vec![];
        let mut i = f as usize;
        while i < m.recs.len() && o.len() < l {
            if k.is_none_or(|k| k == m.recs[i].kind) {
                o.push(m.recs[i].clone());
            }
            i += 1;
        }
        let n = (i < m.recs.len()).then_some(i as u64);
        Ok((o, n))
    }
    fn for_each_record(&self, _v: &mut Visit<'_>) -> Result<(), IndexFailure> {
        Ok(())
    }
    fn history(&self, k: &Hash, l: usize) -> Result<Vec<Touch>, IndexFailure> {
        let m = self.0.lock().unwrap();
        let mut h = m.hist.get(k).cloned().unwrap_or_default();
        h.reverse();
        h.truncate(l);
        Ok(h)
    }
    fn lane_place(&self, l: &Hash, s: u64) -> Result<Option<(u64, u32)>, IndexFailure> {
        Ok(self.0.lock().unwrap().lanes.get(&(*l, s)).copied())
    }
    fn block(&self, h: u64) -> Result<Option<BlockRow>, IndexFailure> {
        Ok(self.0.lock().unwrap().blocks.get(h as usize).cloned())
    }
    fn block_hashes(&self) -> Result<Vec<Hash>, IndexFailure> {
        Ok(vec![])
    }
    fn mark_open(&self) -> Result<(), IndexFailure> {
        Ok(())
    }
    fn mark_clean(&self) -> Result<(), IndexFailure> {
        Ok(())
    }
}
