#!/bin/sh
# Makes build/links/sagafuzz, a tree of links in which the four code folders stand where an
# installed package has them. Type checkers, import-linter and the development environment
# import from it.   tools/links.sh
set -eu
cd "$(dirname "$0")/.."
tree=build/links/sagafuzz
rm -rf build/links
mkdir -p "$tree"
for entry in harness/*; do
  case "$entry" in *__pycache__) continue ;; esac
  ln -s "../../../$entry" "$tree/"
done
for folder in reference_saga adapters reports; do
  ln -s "../../../$folder" "$tree/$folder"
done
