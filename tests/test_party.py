"""Parties: who enters them, who may speak for them, and how their keys come and go."""

from __future__ import annotations

import base64
from datetime import date

import msgspec
import pytest

from book import (
    LEDGER,
    MemoryBook,
    create_ledger,
    new_key,
    new_ledger,
    possession,
    public_key,
    refused,
    town,
)  # fmt: skip
from finchain import instructions as do
from finchain.domain.key import Duty, PartyKey, PublicKey, can_sign, possession_message, public_key_id
from finchain.domain.party import LIVE_KEYS_MAX, THRESHOLD_MAX, Party, Role, require, require_any, require_role
from finchain.domain.rule import Absent
from finchain.errors import Refused

REGISTRAR = {"registrar"}


def a_shop(**changes: object) -> do.RegisterParty:
    shop = do.RegisterParty("shop", "Shop 双联 Ltd", ["supplier"], 1, [new_key("shop/1", "Ms Chen")])
    return msgspec.structs.replace(shop, **changes)


def add_key(key_id: str, holder: str, duty: Duty = "any", name: str | None = None) -> do.AddKey:
    key = new_key(key_id, holder, duty, name)
    assert key.possession is not Absent
    return do.AddKey(key_id, key.holder, key.duty, key.suite, key.public_key, key.possession)


def rotate_key(key_id: str, successor: str) -> do.RotateKey:
    key = new_key(successor, "whoever")
    assert key.possession is not Absent
    return do.RotateKey(key_id, successor, key.suite, key.public_key, key.possession)


@pytest.fixture
def ledger() -> MemoryBook:
    return new_ledger()


@pytest.fixture
def shop(ledger: MemoryBook) -> MemoryBook:
    """A ledger with a shop of two persons that must both sign."""
    ledger.register("shop", "supplier", holders=[("Ms Chen", "maker"), ("Mr Wu", "checker")], threshold=2)
    return ledger


# --- register ---------------------------------------------------------------------------------------------------


def test_a_registrar_enters_a_party_with_its_keys(ledger: MemoryBook) -> None:
    keys = [new_key("shop/1", "Ms Chen", "maker"), new_key("shop/2", "Mr Wu", "checker")]
    numbers = {"uscc": "91510100MA61R2XX1K", "lei": "5493001KJTIIGC8Y1R12"}
    ledger.apply(do.RegisterParty("shop", "Shop", ["supplier", "debtor"], 2, keys, numbers), by=REGISTRAR)
    party = ledger.get(Party, "shop")
    assert party == Party(
        id="shop", keys=2, live=(1, 2), name="Shop", roles=("debtor", "supplier"), threshold=2, identifiers=numbers
    )  # fmt: skip
    assert str(party) == "shop Shop (debtor, supplier), 2 of 2 keys"
    assert ledger.get(PartyKey, "shop/2").holder == "Mr Wu"
    assert str(ledger.get(PartyKey, "shop/2")) == "shop/2 Mr Wu (checker)"
    assert ledger.get(PublicKey, public_key_id(keys[0].public_key)).key == "shop/1"


def test_the_records_have_the_members_that_the_core_reads(ledger: MemoryBook) -> None:
    ledger.apply(a_shop(), by=REGISTRAR)
    party = msgspec.to_builtins(ledger.get(Party, "shop"))
    assert party == {
        "id": "shop", "keys": 1, "live": (1,), "name": "Shop 双联 Ltd", "roles": ("supplier",), "threshold": 1,
    }  # fmt: skip
    key = msgspec.to_builtins(ledger.get(PartyKey, "shop/1"))
    assert sorted(key) == ["duty", "holder", "id", "party", "public_key", "suite"]


@pytest.mark.parametrize("by", [set(), {"shop"}, {"operator"}])
def test_nobody_but_a_registrar_enters_parties(ledger: MemoryBook, by: set[str]) -> None:
    with refused(ledger, "party.not_signed"):
        ledger.apply(a_shop(), by=by)


def test_a_service_key_of_the_registrar_enters_nobody(ledger: MemoryBook) -> None:
    with refused(ledger, "party.not_signed"):
        ledger.apply(a_shop(), by=REGISTRAR, service=REGISTRAR)


@pytest.mark.parametrize("id", ["a", "A.b_c:9-z", "x" * 64])
def test_ids_of_parties_that_are_good(ledger: MemoryBook, id: str) -> None:
    ledger.apply(a_shop(id=id, keys=[new_key(f"{id}/1", "Ms Chen")]), by=REGISTRAR)
    assert ledger.get(Party, id).id == id


@pytest.mark.parametrize("id", ["", "x" * 65, "a/b", "a b", "店", "a\n"])
def test_ids_of_parties_that_are_not(ledger: MemoryBook, id: str) -> None:
    with refused(ledger, "party.identifier"):
        ledger.apply(a_shop(id=id, keys=[new_key(f"{id}/1", "Ms Chen")]), by=REGISTRAR)


@pytest.mark.parametrize("name", ["", "   ", "x" * 129, "é" * 65, "two\nlines"])
def test_names_that_are_refused(ledger: MemoryBook, name: str) -> None:
    with refused(ledger, "party.reference"):
        ledger.apply(a_shop(name=name), by=REGISTRAR)


@pytest.mark.parametrize("name", ["S", "x" * 128, "é" * 64, "中科大旗"])
def test_names_that_are_good(ledger: MemoryBook, name: str) -> None:
    ledger.apply(a_shop(name=name), by=REGISTRAR)
    assert ledger.get(Party, "shop").name == name


def test_a_party_is_registered_once(ledger: MemoryBook) -> None:
    ledger.apply(a_shop(), by=REGISTRAR)
    with refused(ledger, "party.duplicate") as refusal:
        ledger.apply(a_shop(name="Another", keys=[new_key("shop/1", "Mr Li")]), by=REGISTRAR)
    assert "双联" in refusal.value.message


@pytest.mark.parametrize("roles", [[], ["supplier", "supplier"], ["registrar", "operator", "supplier"]])
def test_roles_that_are_missing_or_doubled(ledger: MemoryBook, roles: list[Role]) -> None:
    with refused(ledger, "party.wrong_role" if "operator" in roles else "party.roles"):
        ledger.apply(a_shop(roles=roles), by={"registrar", "operator"})


def test_official_numbers_are_few_and_short(ledger: MemoryBook) -> None:
    for wrong, code in (
        ({f"n{i}": "1" for i in range(17)}, "party.identifiers"), ({"a b": "1"}, "party.identifier"),
        ({"uscc": ""}, "party.reference"),
    ):  # fmt: skip
        with refused(ledger, code):
            ledger.apply(a_shop(identifiers=wrong), by=REGISTRAR)
    ledger.apply(a_shop(identifiers={f"n{i}": "1" for i in range(16)}), by=REGISTRAR)


def test_a_party_has_at_least_one_key_and_not_too_many(ledger: MemoryBook) -> None:
    with refused(ledger, "party.keys"):
        ledger.apply(a_shop(keys=[]), by=REGISTRAR)
    keys = [new_key(f"shop/{number}", f"person {number}") for number in range(1, LIVE_KEYS_MAX + 2)]
    with refused(ledger, "party.keys"):
        ledger.apply(a_shop(keys=keys), by=REGISTRAR)
    ledger.apply(a_shop(keys=keys[:-1]), by=REGISTRAR)
    with refused(ledger, "key.limit"):
        ledger.apply(add_key(f"shop/{LIVE_KEYS_MAX + 1}", "one more"), by={"shop"})


@pytest.mark.parametrize(
    ("holders", "threshold", "reached"),
    [
        ([("A", "any")], 1, True),
        ([("A", "any")], 0, False),
        ([("A", "any")], 2, False),
        ([("A", "service")], 1, False),
        ([("A", "maker"), ("A", "checker")], 2, False),
        ([("A", "maker"), ("B", "maker")], 2, False),
        ([("A", "checker"), ("B", "checker")], 2, False),
        ([("A", "maker"), ("B", "maker")], 1, True),
        ([("A", "maker"), ("B", "checker")], 2, True),
        ([("A", "maker"), ("B", "any")], 2, True),
        ([("A", "any"), ("B", "any")], 2, True),
        ([("A", "maker"), ("A", "checker"), ("B", "maker")], 2, True),
        ([("A", "maker"), ("B", "checker"), ("C", "service")], 3, False),
    ],
)
def test_a_threshold_must_be_one_that_can_be_reached(
    ledger: MemoryBook, holders: list[tuple[str, Duty]], threshold: int, reached: bool
) -> None:
    keys = [new_key(f"shop/{number}", holder, duty) for number, (holder, duty) in enumerate(holders, 1)]
    keys = [msgspec.structs.replace(key, public_key=public_key(str(n)), possession=possession(str(n), f"shop/{n}"))
            for n, key in enumerate(keys, 1)]  # fmt: skip
    if reached:
        ledger.apply(a_shop(keys=keys, threshold=threshold), by=REGISTRAR)
        assert ledger.get(Party, "shop").threshold == threshold
    else:
        with refused(ledger, "party.threshold"):
            ledger.apply(a_shop(keys=keys, threshold=threshold), by=REGISTRAR)


def test_the_largest_threshold_is_what_a_transaction_can_carry(ledger: MemoryBook) -> None:
    keys = [new_key(f"shop/{number}", f"person {number}") for number in range(1, THRESHOLD_MAX + 2)]
    with refused(ledger, "party.threshold"):
        ledger.apply(a_shop(keys=keys, threshold=THRESHOLD_MAX + 1), by=REGISTRAR)
    ledger.apply(a_shop(keys=keys, threshold=THRESHOLD_MAX), by=REGISTRAR)


# --- possession -------------------------------------------------------------------------------------------------


def test_the_message_of_possession_is_that_of_the_format() -> None:
    assert possession_message("o#00", "shop/1", "ed25519", "AAAA") == (
        b'{"key":"shop/1","ledger":"o#00","public_key":"AAAA","suite":"ed25519","type":"finchain.key.1"}'
    )


def test_a_key_is_enrolled_only_by_who_holds_it(ledger: MemoryBook) -> None:
    good = new_key("shop/1", "Ms Chen", name="chen")
    other_ledger = possession("chen", "shop/1", "test.example/other#" + "00" * 32)
    other_number = possession("chen", "shop/2")
    other_key = possession("wu", "shop/1")
    nothing = base64.b64encode(bytes(64)).decode()
    for possessed in (other_ledger, other_number, other_key, nothing, Absent):
        with refused(ledger, "key.possession"):
            ledger.apply(a_shop(keys=[msgspec.structs.replace(good, possession=possessed)]), by=REGISTRAR)
    ledger.apply(a_shop(keys=[good]), by=REGISTRAR)


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_is_refused(ledger: MemoryBook, length: int) -> None:
    key = msgspec.structs.replace(new_key("shop/1", "Ms Chen"), possession=base64.b64encode(bytes(length)).decode())
    with refused(ledger, "key.possession"):
        ledger.apply(a_shop(keys=[key]), by=REGISTRAR)


def test_a_public_key_has_one_spelling(ledger: MemoryBook) -> None:
    good = new_key("shop/1", "Ms Chen")
    canonical = good.public_key
    assert canonical.endswith("=")
    # The last character before the padding carries two bits that must be zero.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    spelled_otherwise = canonical[:-2] + alphabet[alphabet.index(canonical[-2]) | 1] + "="
    assert base64.b64decode(spelled_otherwise) == base64.b64decode(canonical)
    for wrong in (spelled_otherwise, canonical[:-1], canonical + "\n", canonical[:-4], "", "é" * 44):
        with refused(ledger, "key.public_key"):
            ledger.apply(a_shop(keys=[msgspec.structs.replace(good, public_key=wrong)]), by=REGISTRAR)


def test_one_key_does_not_sign_as_two_persons_or_two_parties(ledger: MemoryBook) -> None:
    keys = [new_key("shop/1", "Ms Chen", "maker", "chen"), new_key("shop/2", "Mr Wu", "checker", "chen")]
    with refused(ledger, "key.duplicate"):
        ledger.apply(a_shop(keys=keys, threshold=2), by=REGISTRAR)
    ledger.apply(a_shop(keys=keys[:1]), by=REGISTRAR)
    with refused(ledger, "key.duplicate") as refusal:
        ledger.apply(a_shop(id="core", keys=[new_key("core/1", "Ms Chen", "any", "chen")]), by=REGISTRAR)
    assert "shop/1" in refusal.value.message


@pytest.mark.parametrize("holder", ["", " ", "x" * 129, "a\tb"])
def test_a_key_names_its_holder(ledger: MemoryBook, holder: str) -> None:
    key = msgspec.structs.replace(new_key("shop/1", "Ms Chen"), holder=holder)
    with refused(ledger, "key.reference"):
        ledger.apply(a_shop(keys=[key]), by=REGISTRAR)


# --- keys come and go -------------------------------------------------------------------------------------------


def test_a_new_holder_is_added_by_the_party_itself(shop: MemoryBook) -> None:
    with refused(shop, "key.not_signed"):
        shop.apply(add_key("shop/3", "Ms Zhao"), by=REGISTRAR)
    with refused(shop, "key.not_signed"):
        shop.apply(add_key("shop/3", "Ms Zhao"), by=(), service={"shop"})
    shop.apply(add_key("shop/3", "Ms Zhao"), by={"shop"})
    assert shop.get(Party, "shop").live == (1, 2, 3)
    assert shop.get(Party, "shop").keys == 3


def test_two_keys_can_be_added_in_one_transaction(shop: MemoryBook) -> None:
    shop.apply(add_key("shop/3", "Ms Zhao"), add_key("shop/4", "robot", "service"), by={"shop"})
    assert shop.get(Party, "shop").live == (1, 2, 3, 4)


@pytest.mark.parametrize("number", ["0", "1", "2", "4", "03", "", "x"])
def test_key_numbers_rise_by_one(shop: MemoryBook, number: str) -> None:
    with refused(shop, "key.number"):
        shop.apply(add_key(f"shop/{number}", "Ms Zhao"), by={"shop"})


def test_a_key_of_nobody_is_refused(shop: MemoryBook) -> None:
    with refused(shop, "party.not_found"):
        shop.apply(add_key("nobody/1", "Ms Zhao"), by={"shop"})
    with refused(shop, "party.not_found"):
        shop.apply(do.EndKey("nobody"), by={"shop"})


def test_a_rotated_key_ends_and_its_successor_keeps_holder_and_duty(shop: MemoryBook) -> None:
    with refused(shop, "key.not_signed"):
        shop.apply(rotate_key("shop/1", "shop/3"), by=REGISTRAR)
    shop.apply(rotate_key("shop/1", "shop/3"), by={"shop"})
    old, new = shop.get(PartyKey, "shop/1"), shop.get(PartyKey, "shop/3")
    assert (new.holder, new.duty, new.ended_ms) == ("Ms Chen", "maker", Absent)
    assert old.ended_ms is not Absent
    assert str(old) == "shop/1 Ms Chen (maker), ended"
    assert shop.get(Party, "shop").live == (2, 3)
    with refused(shop, "key.bad_state"):
        shop.apply(rotate_key("shop/1", "shop/4"), by={"shop"})
    with refused(shop, "key.number"):
        shop.apply(rotate_key("shop/2", "shop/3"), by={"shop"})
    with refused(shop, "key.not_found"):
        shop.apply(rotate_key("shop/9", "shop/4"), by={"shop"})


def test_an_ended_key_is_never_enrolled_again(shop: MemoryBook) -> None:
    first = shop.get(PartyKey, "shop/1")
    shop.apply(rotate_key("shop/1", "shop/3"), by={"shop"})
    again = do.AddKey(
        "shop/4", "Ms Chen", "any", "ed25519", first.public_key, possession("shop/1 Ms Chen", "shop/4")
    )  # fmt: skip
    with refused(shop, "key.duplicate"):
        shop.apply(again, by={"shop"})


def test_a_party_does_not_lock_itself_out(shop: MemoryBook) -> None:
    with refused(shop, "key.bad_state") as refusal:
        shop.apply(do.EndKey("shop/1"), by={"shop"})
    assert "threshold of 2" in refusal.value.message
    shop.apply(add_key("shop/3", "Ms Zhao"), do.EndKey("shop/1"), by={"shop"})
    assert shop.get(Party, "shop").live == (2, 3)
    with refused(shop, "key.bad_state"):
        shop.apply(do.EndKey("shop/1"), by={"shop"})


def test_a_registrar_ends_a_stolen_key_and_helps_a_party_that_lost_its_keys(shop: MemoryBook) -> None:
    with refused(shop, "key.not_signed"):
        shop.apply(do.EndKey("shop/1"), by={"operator"})
    shop.apply(do.EndKey("shop/1", date(2026, 2, 20)), by=REGISTRAR)
    ended = shop.get(PartyKey, "shop/1")
    assert shop.get(PublicKey, public_key_id(ended.public_key)).compromised_since == date(2026, 2, 20)
    # One key is left where two must sign: now, and only now, a registrar may enrol one.
    shop.apply(add_key("shop/3", "Ms Zhao", "maker"), by=REGISTRAR)
    with refused(shop, "key.not_signed"):
        shop.apply(add_key("shop/4", "Mr Li"), by=REGISTRAR)


def test_doubt_about_a_key_may_come_later_and_reach_further_back(shop: MemoryBook) -> None:
    shop.apply(rotate_key("shop/1", "shop/3"), by={"shop"})
    shop.apply(do.EndKey("shop/1", date(2026, 2, 20)), by={"shop"})
    shop.apply(do.EndKey("shop/1", date(2026, 2, 1)), by=REGISTRAR)
    for since in (date(2026, 2, 1), date(2026, 2, 2)):
        with refused(shop, "key.bad_state"):
            shop.apply(do.EndKey("shop/1", since), by=REGISTRAR)
    with refused(shop, "key.date"):
        shop.apply(do.EndKey("shop/2", date(2026, 3, 3)), by=REGISTRAR)
    shop.apply(do.EndKey("shop/2", date(2026, 3, 2)), by=REGISTRAR)
    assert shop.get(Party, "shop").live == (3,)


def test_can_sign_counts_persons_not_keys(shop: MemoryBook) -> None:
    keys = [shop.get(PartyKey, "shop/1"), shop.get(PartyKey, "shop/2")]
    assert can_sign(2, keys)
    assert not can_sign(2, keys[:1])
    assert not can_sign(1, [])


# --- roles and thresholds ---------------------------------------------------------------------------------------


def test_a_party_sets_its_own_threshold(shop: MemoryBook) -> None:
    with refused(shop, "party.not_signed"):
        shop.apply(do.SetThreshold("shop", 1), by=REGISTRAR)
    with refused(shop, "party.threshold"):
        shop.apply(do.SetThreshold("shop", 3), by={"shop"})
    shop.apply(do.SetThreshold("shop", 1), by={"shop"})
    assert shop.get(Party, "shop").threshold == 1


def test_a_registrar_sets_roles(shop: MemoryBook) -> None:
    with refused(shop, "party.not_signed"):
        shop.apply(do.SetRoles("shop", ["lender"]), by={"shop"})
    with refused(shop, "party.not_found"):
        shop.apply(do.SetRoles("nobody", ["lender"]), by=REGISTRAR)
    shop.apply(do.SetRoles("shop", ["supplier", "debtor"]), by=REGISTRAR)
    assert shop.get(Party, "shop").roles == ("debtor", "supplier")


def test_registrars_are_made_and_unmade_with_the_operator_only(shop: MemoryBook) -> None:
    for roles in (["registrar"], ["registrar", "supplier"]):
        with refused(shop, "party.not_signed"):
            shop.apply(do.SetRoles("shop", roles), by=REGISTRAR)  # type: ignore[arg-type]
    shop.apply(do.SetRoles("shop", ["registrar"]), by={"registrar", "operator"})
    with refused(shop, "party.not_signed"):
        shop.apply(do.SetRoles("registrar", ["regulator"]), by={"shop"})
    shop.apply(do.SetRoles("registrar", ["regulator"]), by={"shop", "operator"})
    with refused(shop, "party.not_signed"):
        shop.apply(a_shop(id="core"), by=REGISTRAR)


def test_there_is_one_operator_and_it_has_no_part_in_the_business(shop: MemoryBook) -> None:
    both = {"registrar", "operator"}
    with refused(shop, "party.wrong_role"):
        shop.apply(do.SetRoles("shop", ["operator"]), by=both)
    with refused(shop, "party.wrong_role"):
        shop.apply(do.SetRoles("operator", ["registrar"]), by=both)
    with refused(shop, "party.roles"):
        shop.apply(do.SetRoles("operator", ["operator", "lender"]), by=both)
    shop.apply(do.SetRoles("operator", ["operator", "registrar"]), by=both)


# --- require ----------------------------------------------------------------------------------------------------


def code_of(call: object) -> str:
    assert callable(call)
    with pytest.raises(Refused) as refusal:
        call()
    return refusal.value.code


def test_require_asks_for_signature_role_and_a_person() -> None:
    ledger = town()
    signed = ledger.book(by={"shop"})
    assert require(signed, "receivable", "shop", role="supplier").id == "shop"
    assert require(signed, "receivable", "shop", role=("debtor", "supplier")).id == "shop"
    assert require(signed, "receivable", "shop").id == "shop"
    assert code_of(lambda: require(signed, "receivable", "core")) == "receivable.not_signed"
    assert code_of(lambda: require(signed, "loan", "shop", role="lender")) == "loan.wrong_role"
    assert code_of(lambda: require(signed, "loan", "shop", role=("lender", "factor"))) == "loan.wrong_role"


def test_a_service_key_is_enough_for_cash_facts_and_where_the_rule_says_so() -> None:
    machine = town().book(service={"bank"})
    assert require(machine, "payment", "bank", role="settlement_bank").id == "bank"
    assert require(machine, "loan", "bank", role="lender", service_ok=True).id == "bank"
    assert code_of(lambda: require(machine, "loan", "bank", role="lender")) == "loan.not_signed"
    assert code_of(lambda: require(machine, "loan", "bank")) == "loan.not_signed"


def test_require_role_does_not_ask_for_a_signature() -> None:
    unsigned = town().book()
    assert require_role(unsigned, "loan", "bank", role="lender").id == "bank"
    assert code_of(lambda: require_role(unsigned, "loan", "shop", role="lender")) == "loan.wrong_role"
    assert code_of(lambda: require_role(unsigned, "loan", "nobody", role="lender")) == "party.not_found"


def test_require_any_finds_who_signed_with_a_role() -> None:
    ledger = town()
    assert require_any(ledger.book(by={"shop", "bank"}), "loan", "lender").id == "bank"
    assert code_of(lambda: require_any(ledger.book(by={"shop"}), "loan", "lender")) == "loan.not_signed"
    assert code_of(lambda: require_any(ledger.book(by={"ghost"}), "loan", "lender")) == "loan.not_signed"


def test_the_founders_keys_may_prove_themselves_in_block_0() -> None:
    # Block 0 has no hash yet when its keys are signed over.
    name = "test.example/ledger#"
    ledger = MemoryBook(ledger=name)
    founding = create_ledger()
    key = do.NewKey("Ms operator", "any", "ed25519", public_key("operator"), possession("operator", "operator/1", name))
    proven = msgspec.structs.replace(founding, operator=msgspec.structs.replace(founding.operator, keys=[key]))
    wrong = msgspec.structs.replace(key, possession=possession("operator", "operator/1", LEDGER))
    with refused(ledger, "key.possession"):
        ledger.apply(
            msgspec.structs.replace(founding, operator=msgspec.structs.replace(founding.operator, keys=[wrong])),
            by={"operator", "registrar"},
        )
    ledger.apply(proven, by={"operator", "registrar"})
