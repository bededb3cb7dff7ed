"""Keys of every signature suite on a real ledger: made, enrolled, mixed, exchanged, audited and proven offline."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

import finchain as fc
import format_examples
import reference
import second_suites
import second_verifier
from finchain import _core
from finchain import instructions as do
from finchain.domain.key import IDENTITY_MAX, SUITES, PartyKey, Suite, public_key_id
from finchain.keys import public_key_from_point, signature_from_der, signature_from_raw, signature_to_der
from finchain.transaction import Transaction
from real_ledger import claim, found, key, reopen, unmoved

ALL: tuple[Suite, ...] = get_args(Suite)
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SM2_ORDER = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[fc.Ledger]:
    with found(tmp_path) as ledger:
        yield ledger


@pytest.fixture(scope="module")
def keys() -> dict[Suite, fc.Key]:
    """A key of every suite."""
    return {suite: fc.Key.generate(suite) for suite in ALL}


def offered(ledger: fc.Ledger, key_id: str, new: fc.Key) -> do.NewKey:
    """A key as its holder offers it to become `key_id`."""
    party, _, number = key_id.partition("/")
    holders = [fc.Holder(fc.Key.from_seed(bytes([n]) * 32), f"holder {n}") for n in range(1, int(number))]
    return fc.request_enrolment(ledger.name, party, [*holders, fc.Holder(new, "holder")]).keys[-1]


def claim_of(party: str, id: str = "r-1") -> do.SubmitReceivable:
    """A claim of a party of this test, which takes the place of the shop."""
    return msgspec.structs.replace(claim(id), creditor=party)


def flipped(signature: bytes, place: int) -> bytes:
    """The signature with one bit changed in the byte at a place."""
    return signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :]


# ---- keys alone


@pytest.mark.parametrize("suite", ALL)
def test_a_key_survives_its_file_and_is_of_its_suite(suite: Suite, tmp_path: Path) -> None:
    made = fc.Key.generate(suite)
    made.save(tmp_path / "clear.pem")
    made.save(tmp_path / "secret.pem", b"a passphrase")
    for read in (fc.Key.load(tmp_path / "clear.pem"), fc.Key.load(tmp_path / "secret.pem", b"a passphrase")):
        assert (read, read.suite, read.public_key) == (made, suite, made.public_key)
        assert _core.verify_signature(made.public_key, read.sign(b"m"), b"m", suite=suite) is None
    assert len(made.public_key) == SUITES[suite].public_key
    assert len(made.sign(b"m")) == SUITES[suite].signature
    with pytest.raises(fc.KeyFileError, match="passphrase is wrong"):
        fc.Key.load(tmp_path / "secret.pem", b"another")


@pytest.mark.parametrize("suite", ALL)
def test_every_changed_byte_of_signature_message_or_key_is_refused(suite: Suite, keys: dict[Suite, fc.Key]) -> None:
    signature, public_key = keys[suite].sign(b"order"), keys[suite].public_key
    for place in range(0, len(signature), max(1, len(signature) // 64)):
        assert _core.verify_signature(public_key, flipped(signature, place), b"order", suite=suite) is not None
    for place in range(0, len(public_key), max(1, len(public_key) // 33)):
        assert _core.verify_signature(flipped(public_key, place), signature, b"order", suite=suite) is not None
    assert _core.verify_signature(public_key, signature, b"orders", suite=suite) is not None
    for other in set(ALL) - {suite}:
        assert _core.verify_signature(public_key, signature, b"order", suite=other) is not None


def test_a_suite_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(fc.ConfigError, match="there are ed25519, p256, sm2 and ml-dsa-44"):
        _core.SecretKey.generate("rsa")
    with pytest.raises(fc.ConfigError, match="no signature suite"):
        _core.verify_batch([], suite="rsa")


@pytest.mark.parametrize("made", [ec.generate_private_key(ec.SECP256R1()), mldsa.MLDSA44PrivateKey.generate()])
def test_key_files_go_both_ways_between_programs(
    made: ec.EllipticCurvePrivateKey | mldsa.MLDSA44PrivateKey, tmp_path: Path
) -> None:
    """What another library writes is read, and the other way round: the public halves say so."""
    ours = write_key(tmp_path / "theirs.pem", made)
    assert ours.public_key == raw_public(made.public_key())
    ours.save(tmp_path / "ours.pem")
    back = load_pem_private_key((tmp_path / "ours.pem").read_bytes(), None)
    assert isinstance(back, type(made))
    assert raw_public(back.public_key()) == ours.public_key


def test_a_key_of_another_curve_or_kind_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(fc.KeyFileError, match="not a whole one on the curve P-256 or SM2"):
        write_key(tmp_path / "p384.pem", ec.generate_private_key(ec.SECP384R1()))
    with pytest.raises(fc.KeyFileError, match=r"for algorithm 2\.16\.840\.1\.101\.3\.4\.3\.18, expected"):
        write_key(tmp_path / "ml-dsa-65.pem", mldsa.MLDSA65PrivateKey.generate())


def write_key(path: Path, made: Any) -> fc.Key:
    """The key of another library, by way of a file."""
    path.touch(mode=0o600)
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return fc.Key.load(path)


def raw_public(public: Any) -> bytes:
    """A public key of another library in the ledger's spelling."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return bytes(public.public_bytes_raw())


# ---- beside a second implementation


@pytest.mark.parametrize("suite", [suite for suite in ALL if suite != "ed25519"])
def test_both_implementations_judge_alike(suite: Suite, keys: dict[Suite, fc.Key]) -> None:
    """Good ones, ones with a byte changed anywhere, and ones of another length."""
    public_key, chance = keys[suite].public_key, random.Random(suite)
    for number in range(24):
        message = chance.randbytes(number)
        signature = keys[suite].sign(message)
        changed = flipped(signature, chance.randrange(len(signature)))
        for case in ((public_key, signature), (public_key, changed), (public_key, signature[:-1]), (b"\5", signature),
                     (flipped(public_key, chance.randrange(len(public_key))), signature)):  # fmt: skip
            ours = _core.verify_signature(*case, message, suite=suite)
            try:
                second_suites.verify(suite, *case, message)
            except ValueError as theirs:
                assert ours is not None, theirs
            else:
                assert ours is None


def test_the_other_implementation_of_sm2_signs_what_ours_accepts() -> None:
    for secret in range(1, 6):
        point = second_suites.compressed(second_suites.times(secret, second_suites.G))
        for identity in (None, "CN=Shop"):
            named = identity or second_suites.USUAL_IDENTITY
            signature = second_suites.sm2_sign(secret, 2**250 + secret, b"order", named)
            assert _core.verify_signature(point, signature, b"order", suite="sm2", identity=identity) is None


def test_the_signatures_of_the_format_hold_and_those_of_its_neighbours_do_not() -> None:
    """The page's own bytes, by the library and by the second implementation."""
    shown = dict(line.split("  ", 1) for line in format_examples.suites().splitlines())
    shown = {name: value.strip() for name, value in shown.items()}
    message = reference.canonical(format_examples.SUBMITTED.header)
    for suite, what, identity in (
        ("p256", "p256 signature", None), ("sm2", "sm2 signature, usual identity", None),
        ("sm2", "sm2 signature, identity CN=Shop", "CN=Shop"), ("ml-dsa-44", "ml-dsa-44 signature", None),
    ):  # fmt: skip
        key_bytes, signature = bytes.fromhex(shown[f"{suite} key"]), bytes.fromhex(shown[what])
        second_suites.verify(suite, key_bytes, signature, message, identity)
        assert _core.verify_signature(key_bytes, signature, message, suite=suite, identity=identity) is None
        assert _core.verify_signature(key_bytes, signature, message + b" ", suite=suite, identity=identity) is not None


# ---- on a ledger


@pytest.mark.parametrize("suite", ALL)
def test_a_party_lives_by_a_key_of_any_suite(suite: Suite, tmp_path: Path, keys: dict[Suite, fc.Key]) -> None:
    """Enrolled by request, it signs; the receipt shows who; the ledger opens again and passes its audit."""
    with found(tmp_path) as ledger:
        request = fc.request_enrolment(ledger.name, "yard", [fc.Holder(keys[suite], "Ms Wei")])
        ledger.register("yard", "The yard", roles=["supplier"], request=request)
        assert ledger.get(PartyKey, "yard/1").suite == suite
        order = claim_of("yard")
        outcome = ledger.submit(order, by=keys[suite])
        receipt, trust = ledger.prove_instruction(outcome, signers=True), ledger.verifier_key
        state = ledger.state_root
    shown = fc.verify(receipt, trust=trust, unwitnessed=True)
    assert (shown.signers, shown.by) == (("yard/1",), ("yard",))
    with reopen(tmp_path) as ledger:
        assert ledger.state_root == state
    assert fc.check(tmp_path / "real.finchain").state_root == state.hex()


@pytest.mark.parametrize("old", ALL)
@pytest.mark.parametrize("new", ALL)
def test_a_key_of_one_suite_is_exchanged_for_one_of_another(ledger: fc.Ledger, old: Suite, new: Suite) -> None:
    before, after = fc.Key.generate(old), fc.Key.generate(new)
    ledger.register("yard", "The yard", roles=["supplier"], key=before)
    offer = offered(ledger, "yard/2", after)
    rotate = do.RotateKey("yard/1", "yard/2", offer.suite, offer.public_key, str(offer.possession))
    ledger.submit(rotate, by=before)
    order = claim_of("yard")
    with unmoved(ledger, fc.errors.UnknownKey):
        ledger.submit(order, by=before)
    assert ledger.submit(order, by=after).status == "applied"
    assert ledger.get(PartyKey, "yard/2").suite == new


def a_board(ledger: fc.Ledger, keys: dict[Suite, fc.Key]) -> do.SubmitReceivable:
    """Registers a party that needs one holder of each suite, and gives an order of it."""
    holders = [fc.Holder(keys[suite], suite) for suite in ALL]
    ledger.register("board", "The board", roles=["supplier"], keys=holders, threshold=len(ALL))
    return claim_of("board")


def test_a_transaction_mixes_suites(ledger: fc.Ledger, keys: dict[Suite, fc.Key]) -> None:
    order = a_board(ledger, keys)
    outcome = ledger.submit(order, by=list(keys.values()))
    receipt = ledger.prove_instruction(outcome, signers=True)
    shown = fc.verify(receipt, trust=ledger.verifier_key, unwitnessed=True)
    assert shown.signers == tuple(f"board/{number}" for number in range(1, len(ALL) + 1))
    second_verifier.verify_receipt(bytes(receipt), ledger.verifier_key, 0, [])


@pytest.mark.parametrize("bad", ALL)
def test_one_bad_signature_among_several_suites_rejects_alone(
    ledger: fc.Ledger, keys: dict[Suite, fc.Key], bad: Suite
) -> None:
    """The others of the same chunk go on, whatever suite they are of."""
    a_board(ledger, keys)

    def signed(lane: str, spoilt: Suite | None) -> Transaction:
        made = ledger.prepare(claim_of("board", lane), by=["board"], lane=lane)
        for number, (suite, one) in enumerate(keys.items(), 1):
            signature = one.sign(made.header)
            made.add_signature(f"board/{number}", flipped(signature, 40) if suite == spoilt else signature)
        return made

    outcomes = list(ledger.submit_all([signed("a", None), signed("b", bad), signed("c", None)]))
    assert [outcome.status for outcome in outcomes] == ["applied", "rejected", "applied"]
    assert f"board/{ALL.index(bad) + 1}" in str(outcomes[1].error)


def test_a_key_is_enrolled_once_whatever_its_suite(ledger: fc.Ledger, keys: dict[Suite, fc.Key]) -> None:
    for suite, one in keys.items():
        ledger.register(f"first-{suite}", "First", roles=["supplier"], key=one)
        with pytest.raises(fc.Refused) as refusal:
            ledger.register(f"second-{suite}", "Second", roles=["supplier"], key=one)
        assert refusal.value.code == "key.duplicate"
        assert len(public_key_id(base64.b64encode(one.public_key).decode())) == 64


def test_the_bytes_of_a_key_fit_its_suite(ledger: fc.Ledger, keys: dict[Suite, fc.Key]) -> None:
    for suite, one in keys.items():
        offer = offered(ledger, "yard/1", one)
        for public_key in (one.public_key[:-1], one.public_key + b"\0"):
            spoilt = msgspec.structs.replace(offer, public_key=base64.b64encode(public_key).decode())
            with pytest.raises(fc.Refused) as refusal:
                ledger.submit(do.RegisterParty("yard", "The yard", ["supplier"], 1, [spoilt]), by=key("operator"))
            assert refusal.value.code == "key.public_key"
        for other in set(ALL) - {suite}:
            with pytest.raises(fc.Refused) as refusal:
                ledger.submit(
                    do.RegisterParty(
                        "yard", "The yard", ["supplier"], 1, [msgspec.structs.replace(offer, suite=other)]
                    ),
                    by=key("operator"),
                )
            assert refusal.value.code in ("key.public_key", "key.possession")


# ---- hardware modules


def test_a_module_that_gives_der_and_a_high_s_signs(ledger: fc.Ledger) -> None:
    """What it gives is converted first; unconverted, the ledger says what is wrong and is sent nothing twice."""
    module = fc.Key.generate("p256")
    ledger.register("yard", "The yard", roles=["supplier"], key=module)
    made = ledger.prepare(claim_of("yard"), by=["yard"])
    low = module.sign(made.header)
    high = low[:32] + (P256_ORDER - int.from_bytes(low[32:])).to_bytes(32)
    assert _core.verify_signature(module.public_key, low, made.header, suite="p256") is None
    with unmoved(ledger, fc.errors.BadSignature) as caught:
        ledger.submit(made.add_signature("yard/1", high))
    assert "above half the group order" in str(caught.value)
    assert signature_from_raw("p256", high) == low
    assert signature_from_der("p256", signature_to_der(high)) == low
    assert ledger.submit(made.add_signature("yard/1", signature_from_der("p256", signature_to_der(high)))).height


def test_what_is_no_signature_is_not_converted() -> None:
    der = signature_to_der(fc.Key.generate("sm2").sign(b"m"))
    assert signature_to_der(signature_from_der("sm2", der)) == der
    for bad in (der[:-1], der + b"\0", b"", b"\x30\x00", b"\x30\x81" + der[1:]):
        with pytest.raises(fc.ConfigError, match="not strict DER"):
            signature_from_der("sm2", bad)
    for length in (63, 65):
        with pytest.raises(fc.ConfigError, match="expected 64"):
            signature_from_raw("p256", bytes(length))
        with pytest.raises(fc.ConfigError, match="expected 64"):
            signature_to_der(bytes(length))


@pytest.mark.parametrize(("suite", "order"), [("p256", P256_ORDER), ("sm2", SM2_ORDER)])
def test_halves_outside_of_the_group_are_not_converted(suite: Suite, order: int) -> None:
    for half in (0, 1):
        for value in (0, order, order + 1, 2**256 - 1):
            halves = [1, 1]
            halves[half] = value
            raw = b"".join(number.to_bytes(32) for number in halves)
            with pytest.raises(fc.ConfigError, match=f"half {'rs'[half]} is not from 1"):
                signature_from_raw(suite, raw)
            with pytest.raises(fc.ConfigError, match=f"half {'rs'[half]} is not from 1"):
                signature_from_der(suite, signature_to_der(raw))
    low, high = (1).to_bytes(32) + (1).to_bytes(32), (1).to_bytes(32) + (order - 1).to_bytes(32)
    assert signature_from_raw(suite, low) == low
    assert signature_from_raw(suite, high) == (low if suite == "p256" else high)


@pytest.mark.parametrize("suite", ["ed25519", "ml-dsa-44", "p384", ""])
def test_signatures_of_other_suites_have_nothing_to_convert(suite: Any) -> None:
    with pytest.raises(fc.ConfigError, match="expected p256 or sm2"):
        signature_from_raw(suite, bytes(31) + b"\1" + bytes(31) + b"\1")


def test_a_point_has_one_spelling(keys: dict[Suite, fc.Key]) -> None:
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), keys["p256"].public_key)
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert public_key_from_point(point) == keys["p256"].public_key
    signature = keys["p256"].sign(b"m")
    assert _core.verify_signature(keys["p256"].public_key, signature, b"m", suite="p256") is None
    assert "expected 33" in str(_core.verify_signature(point, signature, b"m", suite="p256"))
    for bad in (point[:-1], point + b"\0", b"\x06" + point[1:], keys["p256"].public_key):
        with pytest.raises(fc.ConfigError, match="no uncompressed point"):
            public_key_from_point(bad)


# ---- identities of SM2


def test_an_identity_binds_every_signature_of_its_key(ledger: fc.Ledger, tmp_path: Path) -> None:
    signer = fc.Key.generate("sm2", identity="CN=Wei,O=The yard")
    signer.save(tmp_path / "wei.pem")
    ledger.register("yard", "The yard", roles=["supplier"], key=signer)
    assert ledger.get(PartyKey, "yard/1").identity == "CN=Wei,O=The yard"
    order = claim_of("yard")
    with unmoved(ledger, fc.errors.BadSignature):
        ledger.submit(order, by=fc.Key.load(tmp_path / "wei.pem"))
    outcome = ledger.submit(order, by=fc.Key.load(tmp_path / "wei.pem", identity="CN=Wei,O=The yard"))
    receipt = ledger.prove_instruction(outcome, signers=True)
    assert fc.verify(receipt, trust=ledger.verifier_key, unwitnessed=True).signers == ("yard/1",)
    second_verifier.verify_receipt(bytes(receipt), ledger.verifier_key, 0, [])


def test_who_states_no_identity_has_the_usual_one() -> None:
    signer = fc.Key.generate("sm2")
    signature = signer.sign(b"m")
    usual = {"suite": "sm2", "identity": "1234567812345678"}
    assert _core.verify_signature(signer.public_key, signature, b"m", suite="sm2") is None
    assert _core.verify_signature(signer.public_key, signature, b"m", **usual) is None
    assert _core.verify_signature(signer.public_key, signature, b"m", suite="sm2", identity="other") is not None


def test_an_identity_is_short_plain_and_of_sm2_only(ledger: fc.Ledger, keys: dict[Suite, fc.Key]) -> None:
    for bad in ("", "x" * (IDENTITY_MAX + 1), "é"):
        with pytest.raises(fc.ConfigError, match="identity is refused"):
            fc.Key.generate("sm2", identity=bad)
        offer = msgspec.structs.replace(offered(ledger, "yard/1", keys["sm2"]), identity=bad)
        with pytest.raises(fc.Refused) as refusal:
            ledger.submit(do.RegisterParty("yard", "The yard", ["supplier"], 1, [offer]), by=key("operator"))
        assert refusal.value.code == "key.identity"
    for suite in set(ALL) - {"sm2"}:
        with pytest.raises(fc.ConfigError, match="identity is refused"):
            fc.Key.generate(suite, identity="x")
        offer = msgspec.structs.replace(offered(ledger, "yard/1", keys[suite]), identity="x")
        with pytest.raises(fc.Refused) as refusal:
            ledger.submit(do.RegisterParty("yard", "The yard", ["supplier"], 1, [offer]), by=key("operator"))
        assert refusal.value.code == "key.identity"
    longest = fc.Key.generate("sm2", identity="~" * IDENTITY_MAX)
    assert ledger.register("yard", "The yard", roles=["supplier"], key=longest).status == "applied"


# ---- sizes


def test_three_proven_keys_of_the_longest_suite_fit_one_instruction(ledger: fc.Ledger) -> None:
    """Four do not: a party with more is registered with three, and adds the others one by one."""
    board = [fc.Holder(fc.Key.generate("ml-dsa-44"), f"holder {number}") for number in range(1, 5)]
    with unmoved(ledger, fc.errors.LimitExceeded):
        ledger.register("board", "The board", roles=["supplier"], keys=board, threshold=3)
    ledger.register("board", "The board", roles=["supplier"], keys=board[:3], threshold=3)
    (offer,) = fc.request_enrolment(ledger.name, "board", board).keys[3:]
    add = do.AddKey("board/4", offer.holder, offer.duty, offer.suite, offer.public_key, str(offer.possession))
    assert ledger.submit(add, by=[holder.key for holder in board[:3]]).status == "applied"


def test_sixteen_of_the_longest_signatures_fit_a_receipt(ledger: fc.Ledger) -> None:
    """The most signatures of a transaction, the most bytes of each, with all keys proven."""
    board = [fc.Key.generate("ml-dsa-44") for _ in range(16)]
    holders = [fc.Holder(one, f"holder {number}") for number, one in enumerate(board, 1)]
    offers = fc.request_enrolment(ledger.name, "board", holders).keys
    ledger.register("board", "The board", roles=["supplier"], keys=holders[:1])
    for number, offer in enumerate(offers[1:], 2):
        add = do.AddKey(
            f"board/{number}", offer.holder, offer.duty, offer.suite, offer.public_key, str(offer.possession)
        )
        ledger.submit(add, by=board[0])
    ledger.submit(do.SetThreshold("board", 16), by=board[0])
    outcome = ledger.submit(claim_of("board"), by=board)
    receipt = ledger.prove_instruction(outcome, signers=True)
    assert len(bytes(receipt)) < 524_288
    assert len(fc.verify(receipt, trust=ledger.verifier_key, unwitnessed=True).signers or ()) == 16
