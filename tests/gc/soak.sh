#!/bin/sh
# The collector's model and relay, in every policy and mode in turn, until SECONDS are over:
#   soak.sh DIRECTORY SECONDS [policy]     programs of the build in DIRECTORY
# Each round has a seed of its own, which the log keeps if it fails. Ends with "N runs, N failed".
set -u
build=$1 seconds=$2 only=${3:-all}
logs=$build/soak
runs=0
failed=0
end=$(($(date +%s) + seconds))
mkdir -p "$logs"

# run NAME command...
run() {
    name=$1
    shift
    [ "$(date +%s)" -lt $end ] || return 0
    runs=$((runs + 1))
    log=$logs/$runs-$name.log
    echo "$*" >"$log"
    if timeout 600 nice "$@" >>"$log" 2>&1; then
        rm -f "$log"
    else
        failed=$((failed + 1))
        echo "run $runs failed: $(head -n 1 "$log"), $(grep -m 1 seed "$log") ($log)"
        tail -n 3 "$log"
    fi
}

round() {
    policy=$1
    model=$build/tests/gc/gc_model_test
    run model "$model" 400000 random 1 policy="$policy"
    run verified "$model" 60000 random 1 policy="$policy" debug=3
    run stress "$model" 6000 random 1 policy="$policy" stress=3 debug=1
    run move "$model" 60000 random 1 policy="$policy" debug=5
    run adaptive "$model" 200000 random 1 policy="$policy" sizing=2 markers=3
    run threads "$model" 200000 random 4 policy="$policy"
    run threads_stress "$model" 6000 random 3 policy="$policy" stress=7 debug=1
    run threads_delayed "$model" 60000 random 3 policy="$policy" debug=17
    run one_processor taskset -c 0 "$model" 60000 random 4 policy="$policy"
    run relay "$build/tests/gc/gc_relay_test" 2000000 random 4 policy="$policy"
    run relay_delayed "$build/tests/gc/gc_relay_test" 300000 random 3 policy="$policy" debug=17
}

while [ "$(date +%s)" -lt $end ]; do
    case $only in
    all) for policy in 0 1 2 3; do round $policy; done ;;
    *) round "$only" ;;
    esac
done
echo "$runs runs, $failed failed"
[ $failed -eq 0 ] && [ $runs -gt 0 ]
