#!/bin/sh
# Prints a Python of each version that is supported, but for the one of the development environment, where it is on
# this machine: on the path, or made by pyenv.
set -eu
cd "$(dirname "$0")/.."
for version in 3.11 3.12 3.13; do
  for python in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python3; do
    if "$python" -c "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != tuple(map(int, '$version'.split('.'))))" 2>/dev/null; then
      if ! .venv/bin/python -c "import sys; sys.exit(sys.version_info[:2] != tuple(map(int, '$version'.split('.'))))"; then
        echo "$python"
      fi
      break
    fi
  done
done
