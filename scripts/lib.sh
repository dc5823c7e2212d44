# What every script here begins with: where the checkout is, how to speak, how to time a phase.
set -u -o pipefail
export PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin:${CARGO_HOME:-$HOME/.cargo}/bin
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
RUN=$ROOT/.run   # everything that a run leaves behind; not in git
LAB=$ROOT/tests/live/lab
LAB_PARTS=ceph,neutron-agents,swift   # what the tests and `make run` need of the lab

T0=${T0:-$(date +%s)}
say() { printf '[%4ds] %s\n' $(($(date +%s) - T0)) "$*" >&2; }
die() { say "FAILED: $*"; exit 1; }

# cloud_given: has whoever runs this named a cloud of their own?
cloud_given() { [ -n "${OS_CLOUD:-}${OS_AUTH_URL:-}" ]; }

# phase NAME COMMAND...: runs it, says how long it took and keeps that for phases_report.
PHASES=()
phase() {
    local name=$1 start rc=0; shift
    start=$(date +%s)
    say "--- $name"
    "$@" || rc=$?
    PHASES+=("$(printf '%6d s  %s%s' $(($(date +%s) - start)) "$name" "$([ $rc -eq 0 ] || echo "  FAILED")")")
    return $rc
}
phases_report() {
    printf '\nWhere the time went:\n'
    printf '  %s\n' "${PHASES[@]}"
    printf '  %6d s  in all\n' $(($(date +%s) - T0))
}
