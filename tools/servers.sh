#!/usr/bin/env bash
# PostgreSQL and Redis for the tests, on loopback, with their data in DIR. Needs Debian's postgresql and
# redis-server (any user; as root PostgreSQL runs as its own user).   tools/servers.sh start DIR; . DIR/env
# ...; tools/servers.sh stop DIR      Stops only what it started.
set -euo pipefail
what=${1:?start or stop}
dir=${2:?a folder}

postgres_bin() {
  local found
  found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
  echo "${found:-$(dirname "$(command -v postgres)")}"
}
as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then
    (cd / && setpriv --reuid=postgres --regid=postgres --init-groups "$@")
  else
    "$@"
  fi
}
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start() {
  mkdir -p "$dir/pg" "$dir/redis"
  dir=$(cd "$dir" && pwd)
  local bin pg_port redis_port
  bin=$(postgres_bin) pg_port=$(free_port) redis_port=$(free_port)
  if [ "$(id -u)" -eq 0 ]; then
    chown postgres "$dir/pg"
    chmod a+x "$dir"
    if ! as_postgres test -w "$dir/pg"; then
      echo "$dir: the user postgres cannot reach it; give a folder whose parents others may enter (chmod a+x)" >&2
      return 1
    fi
  fi
  as_postgres "$bin/initdb" -D "$dir/pg/data" -U sagafuzz -A trust --no-sync >"$dir/initdb.log"
  as_postgres "$bin/postgres" -D "$dir/pg/data" -c listen_addresses=127.0.0.1 -c port="$pg_port" \
    -c unix_socket_directories= >"$dir/postgres.log" 2>&1 &
  redis-server --bind 127.0.0.1 --port "$redis_port" --dir "$dir/redis" --appendonly yes --appendfsync always \
    --save '' --daemonize no >"$dir/redis.log" 2>&1 &
  echo $! >"$dir/redis.pid"
  for _ in $(seq 100); do
    if "$bin/pg_isready" -q -U sagafuzz -d postgres -h 127.0.0.1 -p "$pg_port" && redis-cli -p "$redis_port" ping >"$dir/ping" 2>&1; then
      break
    fi
    sleep 0.2
  done
  "$bin/pg_isready" -U sagafuzz -d postgres -h 127.0.0.1 -p "$pg_port"
  redis-cli -p "$redis_port" ping
  cat >"$dir/env" <<ENV
export SAGAFUZZ_TEST_POSTGRES='host=127.0.0.1 port=$pg_port user=sagafuzz dbname=postgres'
export SAGAFUZZ_TEST_REDIS='redis://127.0.0.1:$redis_port/0'
ENV
}

stop() {
  local file pid
  for file in "$dir/pg/data/postmaster.pid" "$dir/redis.pid"; do
    if [ -f "$file" ]; then
      pid=$(head -1 "$file")
      kill -INT "$pid" 2>/dev/null || true
      for _ in $(seq 50); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.2
      done
    fi
  done
}

"$what"
