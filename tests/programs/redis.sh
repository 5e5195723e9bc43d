# redis-server on a socket: strings, lists, hashes, sorted sets, expiry, a snapshot by fork, and
# many clients at once. Its own answers are compared.
. "$(dirname "$0")/tools.sh"
need redis-server
need redis-cli
socket=$PWD/redis.sock
on redis-server --port 0 --unixsocket "$socket" --save '' --daemonize no --loglevel warning \
    --dir "$PWD" >server.log &
server=$!
trap 'kill $server 2>/dev/null' EXIT
ask() {
    redis-cli -s "$socket" "$@"
}
waited=0
until ask ping >/dev/null 2>&1; do
    waited=$((waited + 1))
    [ $waited -le 600 ] || { echo 'the server does not answer' >&2; cat server.log >&2; exit 1; }
    sleep 0.1
done
ask eval 'for i = 1, 20000 do
    redis.call("set", "s" .. i, string.rep("v", i % 700))
    redis.call("rpush", "l" .. i % 100, i)
    redis.call("hset", "h" .. i % 500, "f" .. i, i * 3)
    redis.call("zadd", "z", i * 7919 % 50021, "m" .. i)
end return redis.call("dbsize")' 0
for i in $(seq 1 97 20000); do echo "strlen s$i"; echo "append s$i more"; echo "getrange s$i 0 10"; done | ask
for i in $(seq 0 99); do echo "llen l$i"; echo "lrange l$i -3 -1"; done | ask
ask zrange z 0 200 withscores
ask eval 'local n = 0 for i = 1, 20000, 2 do n = n + redis.call("del", "s" .. i) end return n' 0
if command -v redis-benchmark >/dev/null; then
    redis-benchmark -s "$socket" -q -n 5000 -c 20 -r 1000 -t set,lpush,sadd,zadd >/dev/null || exit 1
fi
ask save
ask memory purge
ask eval 'return {redis.call("exists", "s1", "s2"), redis.call("zcard", "z")}' 0
ask shutdown nosave
wait $server
trap - EXIT
