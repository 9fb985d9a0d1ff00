"""``sagafuzz verify``: its words, its exit codes, and how it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from .conftest import Run

QUICK = ("--faults", 1, "--random", 0, "--scenario", "succeeds")
CERTIFICATE = Path("sagafuzz-report", "certificate.json")


def test_a_consistent_campaign_leaves_a_certificate_that_holds(sagafuzz: Run) -> None:
    result = sagafuzz("run", "reference", *QUICK)
    assert "sagafuzz-report/certificate.json\nCONSISTENT: " in result.out
    result = sagafuzz("verify", CERTIFICATE, "--sample", 20, "--seed", 4)
    assert (result.code, result.err) == (0, "")
    first, second = result.out.splitlines()
    assert first == "sagafuzz-report/certificate.json for reference: CONFIRMED"
    assert second.endswith(" plans with one fault, 20 random plans of seed 4")


def test_a_violated_campaign_takes_an_old_certificate_away(sagafuzz: Run) -> None:
    sagafuzz("run", "reference", *QUICK)
    assert CERTIFICATE.is_file()
    result = sagafuzz("run", "seed", *QUICK)
    assert not CERTIFICATE.exists()
    assert "certificate" not in result.out


def test_it_is_refuted_by_a_system_that_fails(sagafuzz: Run) -> None:
    sagafuzz("run", "reference", *QUICK)
    result = sagafuzz("verify", CERTIFICATE, "--adapter", "seed")
    assert result.code == 1
    assert result.out.startswith(
        "sagafuzz-report/certificate.json for seed: REFUTED\n  differs: the file of the adapter"
    )
    assert "◀── violation" in result.out


def test_a_change_of_the_source_is_said(sagafuzz: Run, shop: Callable[..., str]) -> None:
    spec = shop('self.world.call("order.create", key="o")\nself.world.call("payment.charge", key="p")\nreturn True')
    sagafuzz("run", spec, "--faults", 1, "--kinds", "duplicate", "--random", 0)
    with Path("shop.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    result = sagafuzz("verify", CERTIFICATE, "--sample", 5)
    assert result.code == 0
    assert "differs: the file of the adapter was" in result.out


def test_another_saga_cannot_be_run(sagafuzz: Run, shop: Callable[..., str]) -> None:
    sagafuzz("run", "reference", *QUICK)
    result = sagafuzz("verify", CERTIFICATE, "--adapter", shop("return True"))
    assert result.code == 3
    assert "CANNOT RUN (the saga of 'Shop' has other steps now)" in result.out


def test_another_version_is_one_clear_line(sagafuzz: Run) -> None:
    sagafuzz("run", "reference", *QUICK)
    said = json.loads(CERTIFICATE.read_text(encoding="utf-8"))
    CERTIFICATE.write_text(json.dumps({**said, "sagafuzz_certificate": 9}), encoding="utf-8")
    result = sagafuzz("verify", CERTIFICATE)
    assert result.code == 2
    assert "is a certificate of version 9" in result.complaint


def test_what_cannot_be_read_is_named(sagafuzz: Run) -> None:
    result = sagafuzz("verify", "nothing.json")
    assert result.code == 2
    assert result.complaint.startswith("verify: cannot read 'nothing.json'")
