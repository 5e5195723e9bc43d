# What the scripts of this folder share; sourced.
#   need PROGRAM    leaves with 77, "skipped", if there is none
#   on PROGRAM ...  runs it on the malloc that is to be tried
need() {
    command -v "$1" >/dev/null || { echo "skipped: no $1 here"; exit 77; }
}
on() {
    if [ -n "${PRELOAD:-}" ]; then LD_PRELOAD=$PRELOAD "$@"; else "$@"; fi
}
