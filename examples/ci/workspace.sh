#!/usr/bin/env bash
# What the scripts beside this one share: a copy of this folder as a workspace of somebody else, with Bazel's own folder
# beside it, both gone at the end.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
passed=0
failed=0
started=() # Processes.
bazel=(bazel --host_jvm_args=-Xmx600m "--output_user_root=$work/out")
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

# shellcheck disable=SC2317  # Called by the trap.
clean() {
  (cd "$work/example" && "${bazel[@]}" shutdown) >/dev/null 2>&1
  [[ ${#started[@]} -eq 0 ]] || kill "${started[@]}" 2>/dev/null
  wait
  chmod -R u+w "$work" && rm -rf "$work"
}
trap clean EXIT

# make_workspace PREFIX: the working directory from then on.
make_workspace() {
  cp -r "$here" "$work/example"
  cd "$work/example" || exit 1
  sed -i "s|path = \"../..\"|path = \"$root\"|; s|mase = \"../..\"|mase = \"$root\"|" WORKSPACE
  echo "build --repo_env=MASE_PREFIX=$1" >>.bazelrc
}

expect() { # WHAT COMMAND...
  local what=$1
  shift
  if "$@" >"$work/log" 2>&1; then
    passed=$((passed + 1))
    echo "ok      $what"
  else
    failed=$((failed + 1))
    echo "FAILED  $what"
    tail -n 20 "$work/log" | sed 's/^/        /'
  fi
}
finish() {
  echo "$passed passed, $failed failed"
  [[ $failed -eq 0 ]]
}

build() { "${bazel[@]}" build --color=no --curses=no --noshow_progress "$@"; }
clean_outputs() { "${bazel[@]}" clean >/dev/null 2>&1; }
# How many actions Bazel ran, by where ("worker", "linux-sandbox", "disk cache hit"), in the last build.
ran() { sed -nE "s/.*processes: (.* )?([0-9]+) $1[,.].*/\2/p" "$work/log" | tail -n 1; }
says() { grep -qF -- "$1" "$2"; }
equal() { [[ $1 == "$2" ]] || { echo "'$1' is not '$2'"; return 1; }; }

# A cache, $server, and what runs actions for it, on a port that nobody else has.
start_cache() {
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("localhost", 0)); print(s.getsockname()[1])')
  server=grpc://localhost:$port
  "$root/tools/remote_cache" "$work/cache" "$port" >"$work/cache.log" 2>&1 &
  started+=($!)
  for _ in $(seq 600); do
    (exec 3<>"/dev/tcp/localhost/$port") 2>/dev/null && return
    kill -0 $! 2>/dev/null || break
    sleep 0.1
  done
  cat "$work/cache.log"
  exit 1
}
start_worker() { # start_worker NAME
  "$root/tools/remote_worker" "--port=${server##*:}" "--folder=$work/worker$1" >"$work/worker$1.log" 2>&1 &
  started+=($!)
}
