//! stub
#![allow(missing_docs, unused)]
use crate::hash::Hash; use crate::note::VerifierKey; use crate::state_map::MapPath;
pub mod write { use super::*;
 pub struct InstructionParts<'a>{ pub hash:&'a str, pub block:&'a [u8], pub entry:&'a [u8], pub entry_index:u32, pub entry_path:&'a[Hash], pub index:u32, pub instruction:&'a[u8], pub path:&'a[Hash], pub salt:&'a[u8;16], pub signers:Option<&'a[u8]> }
 pub struct RecordPart<'a>{ pub kind:&'a str, pub id:&'a str, pub record:&'a[u8], pub salt:&'a[u8;16], pub siblings:&'a[Hash] }
 pub fn record(h:&str,b:&[u8],k:&str,i:&str,r:&[u8],s:&[u8;16],p:&[Hash])->Vec<u8>{vec![]}
 pub fn absence(h:&str,b:&[u8],k:&str,i:&str,p:&MapPath)->Vec<u8>{vec![]}
 pub fn instruction(p:&InstructionParts<'_>)->Vec<u8>{vec![]}
 pub fn signers(h:&[u8],p:&[RecordPart<'_>])->Vec<u8>{vec![]}
 pub fn receipt(i:&[u8],h:u64,p:&[Hash],n:&[u8])->Vec<u8>{vec![]}
}
