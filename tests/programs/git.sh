# git: many commits, a merge, repack with threads, log, blame, fsck. Names of objects depend on every
# byte that was ever in memory.
. "$(dirname "$0")/tools.sh"
need git
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a
export GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='1600000000 +0000' GIT_COMMITTER_DATE='1600000000 +0000'
on git init -q -b main repository && cd repository || exit 1
for round in 1 2 3 4 5 6 7 8; do
    for file in 1 2 3 4 5 6 7 8 9 10; do
        seq $((round * file)) $((round * file + 400 * file)) >"file$file.txt"
    done
    on git add . && on git commit -q -m "round $round" || exit 1
done
on git checkout -q -b side HEAD~3 && echo side >side.txt && on git add . && on git commit -q -m side
on git checkout -q main && on git merge -q -m merge side || exit 1
on git repack -adfq --threads=2 --depth=20 --window=50 || exit 1
on git log --stat --graph --format='%H %s'
on git blame file7.txt | tail -n 50
on git fsck --full --strict
on git rev-parse HEAD main:file10.txt
