# GNU sort with two threads over more than its first buffer, and uniq and awk behind it.
. "$(dirname "$0")/tools.sh"
need sort
need awk
awk 'BEGIN { for (i = 0; i < 400000; i++) print i * 7919 % 400009, "line", i % 977 }' >lines
on sort --parallel=2 -S 8M -k3,3n -k1,1nr lines | sha256sum
on sort --parallel=2 -u -k3,3 lines | head -n 100
on awk '{ n[$3] += $1; s[$3] = s[$3] substr($1, 1, 1) } END { for (i = 0; i < 977; i++) print i, n[i], s[i] }' lines
