//! Who signed enough, told by a shop with a clerk, a chief and a machine, and by its bank.
// A test stops at the first surprise; that is what these do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;

use finchain_core::authority::{AuthorityError, Duty, KeyView, PartyView, judge, parse_key, parse_party};
use finchain_core::encoding::base64;

fn key_record(id: &str, holder: &str, duty: &str) -> String {
    let (party, public_key) = (id.split('/').next().unwrap(), base64(&[7; 32]));
    format!(
        r#"{{"duty":"{duty}","holder":"{holder}","id":"{id}","party":"{party}",{}"suite":"ed25519"}}"#,
        format_args!(r#""public_key":"{public_key}","#)
    )
}

struct Office {
    parties: HashMap<&'static str, PartyView>,
    keys: HashMap<&'static str, KeyView>,
}

impl Office {
    /// A shop where `threshold` holders sign, and a bank where one does.
    fn new(threshold: u32) -> Self {
        let keys = [
            ("shop/1", "Ann", "maker"),
            ("shop/2", "Bob", "checker"),
            ("shop/3", "Cleo", "any"),
            ("shop/4", "Dan", "maker"),
            ("shop/5", "Ann", "checker"),
            ("shop/6", "the night batch", "service"),
            ("shop/7", "the day batch", "service"),
            ("shop/8", "Eve", "checker"),
            ("bank/1", "Fay", "any"),
            ("bank/2", "the desk", "service"),
        ];
        let keys = keys.map(|(id, holder, duty)| (id, parse_key(key_record(id, holder, duty).as_bytes()).unwrap()));
        let parties = [("shop", PartyView { threshold }), ("bank", PartyView { threshold: 1 })];
        let mut office = Self { parties: parties.into(), keys: keys.into() };
        office.keys.get_mut("shop/4").unwrap().ended = threshold == 1;
        office
    }

    fn judge(&self, by: &[&str], keys: &[&str]) -> Result<Vec<bool>, AuthorityError> {
        judge(by, keys, |id| self.parties.get(id), |id| self.keys.get(id)).map(|judged| judged.service)
    }
}

#[test]
fn one_of_one_signs_whatever_the_duty() {
    let office = Office::new(1);
    for key in ["shop/1", "shop/2", "shop/3"] {
        assert_eq!(office.judge(&["shop"], &[key]), Ok(vec![false]));
    }
    assert_eq!(office.judge(&["shop"], &["shop/6"]), Ok(vec![true]));
}

#[test]
fn one_key_too_few_or_too_many_is_refused() {
    let office = Office::new(1);
    let missing = AuthorityError::Missing { party: "shop".into(), needed: 1, found: 0 };
    assert_eq!(office.judge(&["shop"], &[]), Err(missing));
    let superfluous = AuthorityError::Superfluous { party: "shop".into(), needed: 1, found: 2 };
    assert_eq!(office.judge(&["shop"], &["shop/1", "shop/2"]), Err(superfluous));
    let stranger = AuthorityError::Superfluous { party: "bank".into(), needed: 0, found: 1 };
    assert_eq!(office.judge(&["shop"], &["bank/1", "shop/1"]), Err(stranger));
}

#[test]
fn unknown_and_ended_keys_and_unknown_parties_are_refused() {
    let office = Office::new(1);
    let unknown = AuthorityError::UnknownKey { key: "shop/99".into() };
    assert_eq!(office.judge(&["shop"], &["shop/99"]), Err(unknown));
    assert_eq!(office.judge(&["shop"], &["shop/4"]), Err(AuthorityError::EndedKey { key: "shop/4".into() }));
    let nobody = AuthorityError::UnknownParty { party: "nobody".into() };
    assert_eq!(office.judge(&["nobody"], &[]), Err(nobody));
    let keys: Vec<String> = (0..17).map(|number| format!("shop/{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert_eq!(office.judge(&["shop"], &keys), Err(AuthorityError::TooMany { found: 17 }));
}

#[test]
fn two_of_two_are_two_holders_of_both_sides() {
    let office = Office::new(2);
    for keys in [["shop/1", "shop/2"], ["shop/1", "shop/3"], ["shop/2", "shop/3"]] {
        assert_eq!(office.judge(&["shop"], &keys), Ok(vec![false]), "{keys:?}");
    }
    let missing = AuthorityError::Missing { party: "shop".into(), needed: 2, found: 1 };
    assert_eq!(office.judge(&["shop"], &["shop/1"]), Err(missing));
    let twice = AuthorityError::SameHolder { party: "shop".into(), holder: "Ann".into() };
    assert_eq!(office.judge(&["shop"], &["shop/1", "shop/5"]), Err(twice));
    let makers = AuthorityError::OneSided { party: "shop".into(), duty: Duty::Maker };
    assert_eq!(office.judge(&["shop"], &["shop/1", "shop/4"]), Err(makers));
    let checkers = AuthorityError::OneSided { party: "shop".into(), duty: Duty::Checker };
    assert_eq!(office.judge(&["shop"], &["shop/2", "shop/8"]), Err(checkers));
}

#[test]
fn a_machine_signs_alone() {
    let office = Office::new(2);
    assert_eq!(office.judge(&["shop"], &["shop/6"]), Ok(vec![true]));
    let among = AuthorityError::ServiceAmongOthers { party: "shop".into() };
    for keys in [&["shop/1", "shop/6"][..], &["shop/1", "shop/2", "shop/6"], &["shop/6", "shop/7"]] {
        assert_eq!(office.judge(&["shop"], keys), Err(among.clone()), "{keys:?}");
    }
}

#[test]
fn every_party_is_judged_for_itself() {
    let office = Office::new(2);
    assert_eq!(office.judge(&["shop", "bank"], &["bank/2", "shop/1", "shop/2"]), Ok(vec![false, true]));
    assert_eq!(office.judge(&["bank", "shop"], &["bank/1", "shop/6"]), Ok(vec![false, true]));
    let missing = AuthorityError::Missing { party: "bank".into(), needed: 1, found: 0 };
    assert_eq!(office.judge(&["shop", "bank"], &["shop/1", "shop/2"]), Err(missing));
}

#[test]
fn records_say_what_the_rule_needs_and_may_say_more() {
    let record = key_record("shop/12", "Ann", "maker");
    let record = record.replace(r#""holder":"Ann""#, r#""ended_ms":5,"holder":"Ann","hue":"red""#);
    let view = parse_key(record.as_bytes()).unwrap();
    assert_eq!((&*view.id, &*view.party, &*view.holder), ("shop/12", "shop", "Ann"));
    assert_eq!((view.duty, view.public_key.suite().name(), view.ended), (Duty::Maker, "ed25519", true));
    let party = br#"{"id":"shop","keys":3,"name":"The shop","roles":["supplier"],"threshold":2,"whim":{}}"#;
    assert_eq!(parse_party(party), Ok(PartyView { threshold: 2 }));
}

#[test]
fn a_key_is_as_long_as_its_suite_asks_and_may_name_its_signer() {
    for (suite, length) in [("ed25519", 32), ("p256", 33), ("sm2", 33), ("ml-dsa-44", 1_312)] {
        for given in [length - 1, length, length + 1] {
            let key = base64(&vec![7; given]);
            let record = key_record("shop/1", "Ann", "maker")
                .replace("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", &key)
                .replace("ed25519", suite);
            assert_eq!(parse_key(record.as_bytes()).is_ok(), given == length, "{suite} {given}");
            let named = record.replace(r#""party""#, r#""identity":"CN=Ann","party""#);
            assert_eq!(parse_key(named.as_bytes()).is_ok(), given == length && suite == "sm2", "{suite} {given}");
        }
    }
}

#[test]
fn a_threshold_is_1_to_16() {
    let parse = |threshold: &str| parse_party(format!(r#"{{"threshold":{threshold}}}"#).as_bytes());
    assert_eq!(parse("1"), Ok(PartyView { threshold: 1 }));
    assert_eq!(parse("16"), Ok(PartyView { threshold: 16 }));
    for wrong in ["0", "17", "-1", "true", r#""1""#, "9007199254740991"] {
        assert!(matches!(parse(wrong), Err(AuthorityError::Member { member: "threshold", .. })), "{wrong}");
    }
    assert!(matches!(parse_party(b"{}"), Err(AuthorityError::Member { member: "threshold", .. })));
    assert!(matches!(parse_party(b"[]"), Err(AuthorityError::Member { .. })));
    assert!(matches!(parse_party(b"{"), Err(AuthorityError::NotCanonical(_))));
}

#[test]
fn a_key_record_with_a_wrong_member_is_refused() {
    let good = key_record("shop/1", "Ann", "maker");
    let cases = [
        ("duty", r#""duty":"maker""#, r#""duty":"owner""#),
        ("duty", r#""duty":"maker","#, ""),
        ("holder", r#""holder":"Ann""#, r#""holder":"""#),
        ("id", r#""id":"shop/1""#, r#""id":"bank/1""#),
        ("id", r#""id":"shop/1""#, r#""id":"shop/01""#),
        ("id", r#""id":"shop/1""#, r#""id":"shop/""#),
        ("id", r#""id":"shop/1""#, r#""id":"shop""#),
        ("party", r#""party":"shop","#, ""),
        ("suite", r#""suite":"ed25519""#, r#""suite":"ed448""#),
        ("public_key", r"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "BwcH"),
        ("public_key", r#""suite":"ed25519""#, r#""suite":"p256""#),
        ("identity", r#""party""#, r#""identity":"CN=Ann","party""#),
        ("ended_ms", r#""holder""#, r#""ended_ms":"soon","holder""#),
        ("ended_ms", r#""holder""#, r#""ended_ms":-1,"holder""#),
    ];
    for (wanted, from, to) in cases {
        let record = good.replace(from, to);
        assert_ne!(record, good, "{from}");
        match parse_key(record.as_bytes()) {
            Err(AuthorityError::Member { member, .. }) => assert_eq!(member, wanted, "{record}"),
            other => panic!("{record}: {other:?}"),
        }
    }
}
