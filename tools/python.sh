#!/bin/sh
# Prints the Python to build environments with: $PYTHON, else the first one found that is new enough.
set -eu
for python in "${PYTHON:-}" python3 python3.11 python3.12 python3.13 python3.14 python; do
  if [ -n "$python" ] && "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "$python"
    exit 0
  fi
done
echo "No Python 3.11 or later with venv was found; install one, or write: make PYTHON=/path/to/python3 ..." >&2
exit 1
