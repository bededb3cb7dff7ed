//! stub
#![allow(missing_docs, unused)]
use crate::{canonical::{Value}, encoding};
#[derive(Debug)] pub struct PartyView { pub threshold: u32 }
#[derive(Debug)] pub struct KeyView { pub party: String, pub public_key: [u8;32], pub ended: bool }
#[derive(Debug, thiserror::Error)] pub enum AuthorityError { #[error("unknown party {party}")] UnknownParty{party:String}, #[error("unknown key {key}")] UnknownKey{key:String}, #[error("ended {key}")] EndedKey{key:String}, #[error("superfluous {party}")] Superfluous{party:String}, #[error("missing {party}")] Missing{party:String} }
pub struct Judged { pub service: Vec<bool> }
pub fn parse_party(r:&[u8])->Result<PartyView,AuthorityError>{ let v=Value::parse(r,8).unwrap(); Ok(PartyView{threshold:v.get("threshold").unwrap().as_integer().unwrap() as u32}) }
pub fn parse_key(r:&[u8])->Result<KeyView,AuthorityError>{let v=Value::parse(r,8).unwrap(); Ok(KeyView{party:v.get("party").unwrap().as_text().unwrap().into(), public_key: encoding::unbase64_array(v.get("public_key").unwrap().as_text().unwrap()).unwrap(), ended: v.get("ended_ms").is_some()})}
pub fn judge<'a>(by:&[&str],keys:&[&str],p:impl Fn(&str)->Option<&'a PartyView>,k:impl Fn(&str)->Option<&'a KeyView>)->Result<Judged,AuthorityError>{
 for b in by { let pv=p(b).ok_or(AuthorityError::UnknownParty{party:b.to_string()})?; let n=keys.iter().filter(|x| x.split('/').next()==Some(b)).count(); if n < pv.threshold as usize {return Err(AuthorityError::Missing{party:b.to_string()})} if n> pv.threshold as usize {return Err(AuthorityError::Superfluous{party:b.to_string()})} }
 for x in keys { let kv=k(x).ok_or(AuthorityError::UnknownKey{key:x.to_string()})?; if kv.ended {return Err(AuthorityError::EndedKey{key:x.to_string()})} if !by.contains(&kv.party.as_str()) {return Err(AuthorityError::Superfluous{party:kv.party.clone()})} }
 Ok(Judged{service:vec![false;by.len()]}) }
