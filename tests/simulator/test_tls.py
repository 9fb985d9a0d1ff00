"""Contexts of TLS that code under test makes in each run: they are its own, and cost little."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import pytest

from sagafuzz.simulator import Setup, simulate

from .conftest import Laboratory

Make = Callable[[], ssl.SSLContext]


@pytest.fixture
def authorities(tmp_path: Path) -> Path:
    file = tmp_path / "authorities.pem"
    first, end, _ = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----")
    file.write_text(f"{first}{end}\n")
    return file


def in_runs(lab: Laboratory, *each: Callable[[], Any]) -> list[Any]:
    """What each of these gives, in the boot of a run of its own."""
    left = list(each)
    given: list[Any] = []
    setup = Setup(
        adapter=(system := lab.system(lambda world, order: True, boot=lambda world: given.append(left.pop(0)()))),
        scenario=system.scenarios[0],
    )
    for _ in each:
        simulate(setup)
    return given


def test_certificates_are_read_in_the_first_run_only(lab: Laboratory, authorities: Path) -> None:
    def make() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(authorities))

    def make_without_the_file() -> ssl.SSLContext:
        authorities.rename(authorities.with_name("elsewhere.pem"))
        return make()

    first, second = in_runs(lab, make, make_without_the_file)
    authorities.with_name("elsewhere.pem").rename(authorities)
    assert first is not second
    assert len(first.get_ca_certs()) == 1 and second.get_ca_certs() == first.get_ca_certs()


def test_a_context_that_is_asked_within_its_run_has_read_them(lab: Laboratory, authorities: Path) -> None:
    def ask() -> dict[str, int]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(authorities)
        return context.cert_store_stats()

    assert in_runs(lab, ask, ask) == [{"x509": 1, "crl": 0, "x509_ca": 1}] * 2


def test_what_one_run_does_to_its_context_no_other_sees(lab: Laboratory, authorities: Path) -> None:
    def make() -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(authorities))

    def make_lenient() -> ssl.SSLContext:
        context = make()
        context.check_hostname = False
        context.load_verify_locations(certifi.where())
        return context

    _, lenient, usual = in_runs(lab, make, make_lenient, make)
    assert not lenient.check_hostname and usual.check_hostname
    assert len(lenient.get_ca_certs()) > len(usual.get_ca_certs()) == 1


def test_a_file_that_cannot_be_read_is_refused_in_each_run(lab: Laboratory, tmp_path: Path) -> None:
    def make() -> type[Exception] | None:
        try:
            ssl.create_default_context(cafile=str(tmp_path / "missing.pem"))
        except OSError as error:
            return type(error)
        return None

    assert in_runs(lab, make, make) == [FileNotFoundError] * 2
