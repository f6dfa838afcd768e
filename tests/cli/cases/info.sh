# shellcheck shell=bash
# What every file and folder of ours is, where it came from and whether it is stale.
make_images photos 300
evenkeel audit photos -o RUN --encoder pixels --clusters 3 --quiet >/dev/null 2>&1
evenkeel prune RUN --method nearest --keep 0.3 --name near --recipe near.json --quiet >/dev/null
evenkeel weights RUN --scheme inverse --name even --quiet >/dev/null
evenkeel export RUN --subset near -o links --as links --quiet >/dev/null
evenkeel export RUN --subset near -o shards --as tar --quiet >/dev/null
evenkeel export RUN --subset near -o list --as list --quiet >/dev/null
mkdir RUN/scores RUN/mine && cp RUN/clusters/distance.npy RUN/scores/far.npy
run evenkeel info RUN/subsets/near
run evenkeel info RUN/subsets
run evenkeel info RUN/weights/even
run evenkeel info near.json
# Every file that is there is known: the first line of each.
every() {
	find "$1" -type f -o -type d | LC_ALL=C sort | while read -r file; do
		case $file in
		RUN/mine | */near-random*) ;;
		links/*/*) ;;
		*) evenkeel info "$file" 2>&1 | sed -E -n -e 's/ \([0-9.]+ (bytes|kB)\)$//' -e 1p ;;
		esac
	done
}
every RUN
every shards
every list
run evenkeel info links
run evenkeel info "$(find links -type l | LC_ALL=C sort | head -1)"
run evenkeel info RUN/scores/far.npy --json
run evenkeel info RUN/mine
run evenkeel info photos
run evenkeel info nowhere
run evenkeel info RUN near.json
cp -r RUN/subsets/near RUN/subsets/copied
run evenkeel info RUN/subsets/copied | grep 'run.json does not'
# What is stale, and what makes it again.
evenkeel embed RUN --storage f16 --quiet >/dev/null
run evenkeel info RUN/clusters/distance.npy | grep stale
run evenkeel info RUN/subsets
run evenkeel info RUN/subsets/near | grep stale
run evenkeel info RUN/weights/even | grep stale
run evenkeel info RUN/weights/even/weights.npy --json | grep -e '"current"' -e '"stale"'
run evenkeel info links | tail -1
evenkeel prune RUN --recipe near.json --quiet >/dev/null
run evenkeel info RUN/subsets/near | grep current
run evenkeel info links | tail -1
# Made again, it holds what it held: an export is of what it was made from, not of when.
evenkeel prune RUN --recipe near.json --force --quiet >/dev/null
run evenkeel info links | tail -1
evenkeel export RUN --subset near -o links --as links --weights even --force --quiet >/dev/null
run evenkeel info links | tail -1
evenkeel weights RUN --scheme sqrt --name even --force --quiet >/dev/null
run evenkeel info links | tail -1
sed -i '/"inputs"/,/^\t}/d' list/.evenkeel-export
run evenkeel info list | tail -1
# A record by another hand steers no terminal, leads nowhere else, and is looked through once.
cat >other.json <<'END'
{"zz\u001b]0;x\u0007\n": {"options": {"\u001b[31mred": 1, "c1": "\u009b31m \u202e\u007f"},
 "inputs": {"../../../../../../../../../dev/zero": {"bytes": 1, "mtime_ns": "1", "xxh64": "0"}}},
END
sed 1d RUN/run.json >>other.json
mv other.json RUN/run.json
evenkeel info RUN | grep -F -A 3 zz | sed 's/: 19.*UTC.*/: WHEN/'
evenkeel info RUN --json | grep -A 1 '31mred'
rm -r RUN
run evenkeel info links | tail -1
