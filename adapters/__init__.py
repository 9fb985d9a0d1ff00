"""Systems under test that come with sagafuzz."""

from __future__ import annotations

BUILT_IN = {
    "reference": "sagafuzz.adapters.reference:Reference",
    "reference-sqlite": "sagafuzz.adapters.reference:ReferenceOnSQLite",
    "seed": "sagafuzz.adapters.seed:Seed",
    "simple-saga": "sagafuzz.adapters.simple_saga:SimpleSagaCheckout",
}
"""The names of the built-in adapters and where each is."""

ZOO_MODULE = "sagafuzz.adapters.zoo"
"""Where the mutants are: dozens of classes, imported only for who asks for one."""
