#!/bin/sh
# python3's own tests under `freehold run --hardened=strict`: a module that fails there has to fail without it as well, and
# no misuse is reported. All blocks come from malloc, since python's allocator for small ones is left out.
#   suites.sh [MODULE...]
. "$SOURCES/tests/cli/lib.sh"
python=${PYTHON:-/usr/bin/python3}
export PYTHONMALLOC=malloc
"$python" -c 'import test.test_gc' 2>/dev/null || { echo 'no tests of python3 here (Debian: libpython3.N-testsuite)'; exit 77; }
[ $# -gt 0 ] || set -- test_gc test_dict test_list test_json test_re test_threading test_thread test_signal test_subprocess \
    test_fork1 test_ctypes test_weakref test_mmap test_io test_pickle test_struct test_bytes test_array test_itertools \
    test_zlib test_bz2 test_lzma test_hashlib test_ssl test_decimal test_asyncio test_concurrent_futures \
    test_multiprocessing_fork test_queue test_selectors test_socket test_xml_etree test_pyexpat test_functools test_datetime

# It compares the descriptors that it finds with those it expects, and the file for reports is one more.
counts_files=test_pass_fds_redirected
failed_there=0
: >err
for module; do
    cases=$((cases + 1))
    status=0
    timeout 900 "$FREEHOLD" run --hardened=strict -q --json report.json -- \
        "$python" -m test --timeout 600 -i $counts_files "$module" >out 2>&1 </dev/null || status=$?
    grep -q '"what"' report.json && fail "$module: $(cat report.json)"
    [ $status -ne 0 ] || continue
    tail -n 20 out
    if timeout 900 "$python" -m test --timeout 600 -i $counts_files "$module" >plain 2>&1 </dev/null; then
        fail "$module: status $status under strict alone"
    else
        failed_there=$((failed_there + 1))
    fi
done
[ $failed_there -lt 5 ] || fail "$failed_there modules fail without the library too: nothing was tried"
finish
