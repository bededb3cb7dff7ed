"""The page about the domain says what the code does."""

import domain_page
from finchain.domain import rulebook


def test_the_page_is_what_the_code_makes_of_it() -> None:
    assert domain_page.PAGE.read_text("utf-8") == domain_page.page(), "run: python tests/domain_page.py --write"


def test_every_instruction_and_record_is_on_the_page() -> None:
    text = domain_page.page()
    for instruction in rulebook.RULES:
        assert f"`{instruction.__struct_config__.tag}`" in text
    for kind in rulebook.RECORDS:
        assert f"Record `{kind}`" in text


def test_every_instruction_says_who_signs_it() -> None:
    silent = [cls.__name__ for cls in rulebook.RULES if "igned by" not in (cls.__doc__ or "")]
    assert not silent, silent
