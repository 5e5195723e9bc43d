# gcc compiling with optimisation: the object must be the same to the bit.
. "$(dirname "$0")/tools.sh"
need gcc
{
    echo '#include <string.h>'
    for i in $(seq 120); do
        echo "static int table$i[64] = {$i, [40] = 7};"
        echo "double work$i(double x, const char *s, int n) {"
        echo "  double sum = x; size_t m = strlen(s);"
        echo "  for (int i = 0; i < n; i++) { sum = sum * $i + table$i[(i + m) & 63]; if (sum > 1e9) sum /= (i + 1.5); }"
        echo "  switch (n % 7) { case 0: return sum; case 1: return -sum; case 5: return sum * m; default: return sum + n; }"
        echo "}"
    done
} >big.c
# -pipe would be one more process; the driver starts cc1 and as, which inherit the preload.
on gcc -O2 -g -frandom-seed=1 -fdebug-prefix-map="$PWD"=. -c big.c -o big.o || exit 1
sha256sum big.o
on objdump -d big.o | tail -n 200
