#!/bin/sh
# Makes build/links/sagafuzz, a tree of links in which the four code folders stand where an
# installed package has them. Type checkers, import-linter and the development environment
# import from it. Run again, it adds what is new and removes what is gone.   tools/links.sh
set -eu
cd "$(dirname "$0")/.."
tree=build/links/sagafuzz
mkdir -p "$tree"
for entry in harness/* reference_saga adapters reports; do
  link=$tree/${entry##*/}
  case "$entry" in *__pycache__) continue ;; esac
  [ -L "$link" ] || ln -s "../../../$entry" "$link"
done
for link in "$tree"/*; do
  [ -e "$link" ] || rm -f "$link"
done
