#!/usr/bin/env bash
# Installs an engine that sagafuzz can test: its server at the pinned version, in a folder of DIR that is named after
# both (the usual DIR is where sagafuzz looks), and its Python packages into the interpreter PYTHON, or .venv.
# Does nothing where they are there already.   tools/engines.sh temporal|restate|celery|… [DIR]      Prints the environment to use.
set -euo pipefail
name=${1:?an engine: temporal, restate, dtm, lra, dbos, dbos-ts, celery, celery-saga, taskflow or absurd}
dir=${2:-${XDG_CACHE_HOME:-$HOME/.cache}/sagafuzz/engines}
top=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$top/.venv/bin/python}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

need() {  # PROGRAM HOW
  command -v "$1" >/dev/null || { echo "$name needs $1, which is not installed; run: $2" >&2; exit 2; }
}
keep() {  # FOLDER PROGRAM FILE: it appears there when it is whole
  mkdir -p "$dir/$1"
  mv "$3" "$dir/$1/$2.part"
  chmod a+x "$dir/$1/$2.part"
  mv "$dir/$1/$2.part" "$dir/$1/$2"
}
there() {  # FOLDER PROGRAM: says where it is, or that it is not there
  if [ -x "$dir/$1/$2" ]; then
    echo "# $2 is in $dir/$1"
    echo "export PATH='$dir/$1':\$PATH"
    return 0
  fi
  return 1
}
by_go() {  # FOLDER PROGRAM MODULE VERSION PACKAGE [FILE SCRIPT]: sed mends the file before
  there "$1" "$2" && return
  need go "apt-get install golang"
  local made source
  made=$(mktemp -d)
  (
    cd "$made"
    go mod init engine
    go mod edit -require="$3@$4"
    if [ -n "${6:-}" ]; then
      go mod download "$3@$4"
      source=$(go list -mod=mod -m -f '{{.Dir}}' "$3")
      cp -r "$source" copy
      chmod -R u+w copy
      sed -i "$7" "copy/$6"
      go mod edit -replace="$3=./copy"
    fi
    go build -mod=mod -ldflags "-s -w -X main.Version=${4#v}" -o "$2" "$5"
  ) >"$made/log" 2>&1 || { tail -20 "$made/log" >&2; exit 1; }
  keep "$1" "$2" "$made/$2"
  rm -rf "$made"
  there "$1" "$2"
}
by_npm() {  # FOLDER PROGRAM PACKAGE VERSION: the program of the platform's own package
  there "$1" "$2" && return
  need npm "apt-get install npm"
  local made
  made=$(mktemp -d)
  npm install --prefix "$made" --no-audit --no-fund --silent "$3@$4" >&2
  keep "$1" "$2" "$(find "$made/node_modules" -path "*/bin/$2" -type f -size +1M | head -1)"
  rm -rf "$made"
  there "$1" "$2"
}
by_node() {  # FOLDER PROGRAM PACKAGE VERSION: the program is Node, which finds the package and what that needs
  there "$1" "$2" && return
  need npm "apt-get install npm"
  local made
  made=$(mktemp -d)
  npm install --prefix "$made" --no-audit --no-fund --no-package-lock --silent "$3@$4" >&2
  mkdir -p "$dir/$1"
  rm -rf "$dir/$1/node_modules"
  mv "$made/node_modules" "$dir/$1/"
  # shellcheck disable=SC2016
  printf '%s\n' '#!/bin/sh' 'NODE_PATH=$(dirname "$(readlink -f "$0")")/node_modules exec node "$@"' >"$made/$2"
  keep "$1" "$2" "$made/$2"
  rm -rf "$made"
  there "$1" "$2"
}
by_maven() {  # FOLDER PROGRAM MAIN GROUP:ARTIFACT:VERSION…: the program is tools/MAIN.java with these artifacts
  there "$1" "$2" && return
  need mvn "apt-get install maven"
  need javac "apt-get install default-jdk-headless"
  local made main=$3 folder=$1 program=$2
  made=$(mktemp -d)
  shift 3
  {
    echo '<project><modelVersion>4.0.0</modelVersion><groupId>engine</groupId><artifactId>engine</artifactId><version>1</version>'
    printf '%s\n' "$@" | sed 's!\(.*\):\(.*\):\(.*\)!<dependency><groupId>\1</groupId><artifactId>\2</artifactId><version>\3</version></dependency>!' |
      sed '1s/^/<dependencies>/; $s!$!</dependencies></project>!'
  } >"$made/pom.xml"
  {
    mvn -B -q -f "$made/pom.xml" dependency:copy-dependencies -DoutputDirectory="$made/lib"
    javac -cp "$made/lib/*" -d "$made/lib" "$top/tools/$main.java"
  } >"$made/log" 2>&1 || { tail -20 "$made/log" >&2; exit 1; }
  mkdir -p "$dir/$folder"
  rm -rf "$dir/$folder/lib"
  mv "$made/lib" "$dir/$folder/"
  # shellcheck disable=SC2016
  printf '%s\n' '#!/bin/sh' 'lib=$(dirname "$(readlink -f "$0")")/lib' \
    "exec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp \"\$lib:\$lib/*\" $main \"\$@\"" >"$made/$program"
  keep "$folder" "$program" "$made/$program"
  rm -rf "$made"
  there "$folder" "$program"
}
by_pip() {  # REQUIREMENTS
  "$python" -m pip install --quiet --disable-pip-version-check --constraint "$top/constraints.txt" "$@"
  echo "# $* in $python"
}

case $name in
  temporal)
    by_go temporal-1.5.1 temporal github.com/temporalio/cli v1.5.1 github.com/temporalio/cli/cmd/temporal
    by_pip temporalio
    ;;
  restate)
    by_npm restate-1.7.12 restate-server @restatedev/restate-server 1.7.12
    by_pip restate-sdk hypercorn
    ;;
  celery)
    need redis-server "apt-get install redis-server"
    by_pip 'celery[redis]'
    ;;
  celery-saga)
    need redis-server "apt-get install redis-server"
    by_pip celery-saga 'celery[redis]'
    ;;
  dtm)  # it would listen on all interfaces
    by_go dtm-1.19.0 dtm github.com/dtm-labs/dtm v1.19.0 github.com/dtm-labs/dtm dtmsvr/svr.go \
      's/Sprintf(":%d"/Sprintf("127.0.0.1:%d"/'
    ;;
  lra)
    by_maven lra-1.1.0 lra-coordinator LraCoordinator org.jboss.narayana.lra:lra-coordinator-jar:1.1.0.Final \
      org.jboss.resteasy:resteasy-{undertow,client,jackson2-provider}:7.0.1.Final
    ;;
  dbos)
    by_pip dbos
    ;;
  dbos-ts)
    need postgres "apt-get install postgresql"
    by_node dbos-ts-5.3.0 dbos-ts @dbos-inc/dbos-sdk 5.3.0
    ;;
  taskflow)
    by_pip taskflow sqlalchemy alembic sqlalchemy-utils
    ;;
  absurd)
    need postgres "apt-get install postgresql"
    by_pip absurd-sdk absurdctl 'psycopg[binary]'
    ;;
  *)
    echo "$name is no engine that this script installs; write temporal, restate, dtm, lra, dbos, dbos-ts, celery, celery-saga, taskflow or absurd" >&2
    exit 2
    ;;
esac
