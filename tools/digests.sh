#!/usr/bin/env bash
# Searches services as they are: alone, with participants that are apps, and with threads. Prints the digest of each, which
# is the same whatever Python, hash seed and number of workers.   tools/digests.sh PYTHON [WORKERS]
set -euo pipefail
cd "$(dirname "$0")/../examples"
python=$1 workers=${2:-1}
kinds=crash-after-effect,crash-after-log,lost-ack,timeout,participant-crash-after-commit
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
for adapter in service/tours_adapter.py:Tours recipes/apps_adapter.py:Shop recipes/flask_adapter.py:Tickets recipes/pool_adapter.py:Parcels; do
  (
    cd "${adapter%/*}"
    "$python" -m sagafuzz run "${adapter#*/}" --faults 1 --random 0 --scenario succeeds --kinds "$kinds" \
      -j "$workers" --report-dir "$reports" >"$reports/said" || { cat "$reports/said" >&2; exit 1; }
    printf '%s  %s\n' "$(sed -n 's/.*digest //p' "$reports/said")" "$adapter"
  )
done
