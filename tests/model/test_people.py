"""Who somebody is: an e-mail address is the one that the provider vouches for, and no other that looks like it."""

from __future__ import annotations

import pytest

from lib.journal.text_rules import same_person
from lib.model.people import NO_LOGIN, Actor, Role, Via, email_is_verified, is_listed, normal_address

LISTED = ("Sam.Knight@example.com", "bob@example.com")


@pytest.mark.parametrize("address", ["sam.knight@example.com", " SAM.KNIGHT@EXAMPLE.COM ", "bob@example.com"])
def test_an_address_is_listed_whatever_the_case_of_its_letters(address: str) -> None:
    assert is_listed(address, LISTED)


@pytest.mark.parametrize(
    "address",
    [
        "\u017fam.knight@example.com",  # long s: casefold makes an s of it
        "sam.\u212anight@example.com",  # the Kelvin sign: casefold and lower make a k of it
        "sam.knight@exam\uff50le.com",  # a wide p
        "sam.knıght@example.com",
        "sam.knight@example.co",
        "",
        " ",
    ],
)
def test_an_address_of_other_letters_is_another_address(address: str) -> None:
    assert not is_listed(address, LISTED)
    assert not is_listed(address, ("", *LISTED))


def test_letters_outside_of_ascii_are_compared_as_they_are() -> None:
    assert is_listed("zoë@example.com", ["Zoë@example.com"])
    assert not is_listed("ZOË@example.com", ["zoë@example.com"])
    assert normal_address(" Zoë@Example.com ") == "zoë@example.com"


@pytest.mark.parametrize("claim", [False, "False", "false", 0, 1, None, [], {}, "", "yes", "1", [True]])
def test_an_address_counts_as_verified_only_where_the_claim_is_true(claim: object) -> None:
    assert not email_is_verified({"email_verified": claim})


def test_a_true_claim_and_no_claim_count_as_verified() -> None:
    assert email_is_verified({"email_verified": True})
    assert email_is_verified({"email_verified": "true"})
    assert email_is_verified({"email": "ana@example.com"})


def person(name: str, via: Via = Via.PAGE) -> Actor:
    return Actor(name, Role.OPERATOR, via)


def test_two_people_are_one_if_their_addresses_are_one() -> None:
    assert same_person(person("Ana@example.com"), person("ana@EXAMPLE.com"))
    assert same_person(person("ANA", Via.COMMAND_LINE), person("ana@example.com"))
    assert same_person(person(NO_LOGIN), person("ana@example.com"))
    assert not same_person(person("ana@example.com"), person("ben@example.com"))


def test_two_addresses_whose_letters_only_look_alike_are_two_people() -> None:
    assert not same_person(person("\u017fam@example.com"), person("sam@example.com"))
    assert not same_person(person("ni\u212ai@example.com"), person("niki@example.com"))
