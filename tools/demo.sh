#!/bin/sh
# The main job, end to end, on the bundled model: compress it well and too hard, gate both against the
# dense model, answer a prompt with the one that was promoted.
set -eu
sinter=$(realpath "${1:-build/sinter}")
cd "$(dirname "$0")/.."
out=demo-out
mkdir -p "$out"

step() { printf '\n\033[1m[%s/6] %s\033[0m\n' "$1" "$2"; }
run() {
  printf '$ sinter'
  printf ' %s' "$@"
  printf '\n'
  "$sinter" "$@"
}
# Runs a gate and returns its exit code; only 0 (promoted) and 3 (refused) are verdicts.
gate() {
  code=0
  run gate "$@" || code=$?
  if [ "$code" != 0 ] && [ "$code" != 3 ]; then
    echo "demo: the gate did not reach a verdict (exit $code)" >&2
    exit 1
  fi
}

step 1 "The dense model"
run inspect models/pebble
rm -rf "$out/good" "$out/bad" "$out/gate-good" "$out/gate-bad"

step 2 "Compress it with a good recipe"
run compress models/pebble -r recipes/int8.yaml -o "$out/good"

step 3 "Compress it with one that is too aggressive"
run compress models/pebble -r recipes/int3.yaml -o "$out/bad"

step 4 "Gate the good one: does it still behave?"
gate models/pebble "$out/good" --suite suites/pebble -o "$out/gate-good"
good=$code

step 5 "Gate the aggressive one"
gate models/pebble "$out/bad" --suite suites/pebble -o "$out/gate-bad"
bad=$code

step 6 "Ask the promoted one"
run run "$out/good" 'Calculate 348 plus 275.'

printf '\nReports to look at: %s/gate-good/report.html and %s/gate-bad/report.html\n' "$out" "$out"
if [ "$good" = 0 ] && [ "$bad" = 3 ]; then
  echo "The good recipe was promoted, the aggressive one was refused."
else
  echo "demo: expected one promotion and one refusal, found exit codes $good and $bad" >&2
  exit 1
fi
