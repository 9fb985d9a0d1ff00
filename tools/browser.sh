#!/usr/bin/env bash
# Installs what the tests of the HTML report need: playwright into .venv, axe-core and mermaid into build/browser, and
# Chromium with a font from Debian's packages where there is none.   tools/browser.sh
set -euo pipefail
cd "$(dirname "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

.venv/bin/python -m pip install --quiet --constraint constraints.txt playwright
npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts --prefix build/browser \
  axe-core@4.14.1 mermaid@11.17.2
if ! command -v chromium chromium-browser google-chrome >/dev/null; then
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends chromium fonts-dejavu-core >/dev/null
fi
