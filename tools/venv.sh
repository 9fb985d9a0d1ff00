#!/usr/bin/env bash
# Makes the development environment: a virtual environment with the pinned tools, in which
# `sagafuzz` is imported from the tree of links.   tools/venv.sh [DIRECTORY]   (default: .venv)
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

if ! "$venv/bin/python" -c "import pip" 2>/dev/null; then  # none, or one cut short
  python=$(tools/python.sh)
  "$python" -m venv --clear "$venv"
fi
pip() { "$venv/bin/python" -m pip "$@"; }

pip install --quiet --upgrade --constraint constraints.txt pip setuptools
tools/links.sh
wheel=$("$venv/bin/python" tools/link_wheel.py build/link-wheel)
pip uninstall --quiet --yes sagafuzz 2>/dev/null || true
pip install --quiet --constraint constraints.txt "$wheel[dev]"
